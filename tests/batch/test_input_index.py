"""The input index: jobs, and how a new listing changes it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from facegeom.batch.growth import Growth, grow
from facegeom.batch.input_index import FILE, InputIndex, Job, PhotoRef, jobs_of, write_index
from facegeom.errors import InputError

PHOTOS = [
    PhotoRef(f"a/{number}.jpg", f"{number}.jpg", "file", f"/x/a/{number}.jpg", 0, 10, 1, "1")
    for number in range(7)
]
SHARDS = [
    PhotoRef("s.tar", "s.tar", "tar", "s3://b/s.tar", 0, 1000, -1, "e1"),
    *(PhotoRef("t.parquet", "t.parquet", "parquet", "s3://b/t", 100 * n, 900, 100) for n in range(2)),
]


def photos_of(folder: Path) -> list[tuple[PhotoRef, ...]]:
    return [job.photos for job in InputIndex(folder)]


def test_jobs_are_slices_and_shards(tmp_path: Path) -> None:
    write_index(jobs_of([*PHOTOS[:4], SHARDS[0], *PHOTOS[4:], *SHARDS[1:]], 3), tmp_path)
    slices = tuple(PHOTOS[:3]), (PHOTOS[3],), (SHARDS[0],), tuple(PHOTOS[4:]), (SHARDS[1],), (SHARDS[2],)
    assert photos_of(tmp_path) == list(slices)
    index = InputIndex(tmp_path)
    assert len(index) == 6 and [index[part].photos for part in (5, 0, 2)] == [slices[5], slices[0], slices[2]]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_many_jobs(tmp_path: Path) -> None:
    """Record batches hold about a thousand photos; none divides a job."""
    photos = [PHOTOS[0]._replace(key=str(number)) for number in range(5000)]
    write_index(jobs_of(photos, 300), tmp_path)
    index = InputIndex(tmp_path)
    assert len(index) == 17 and [photo for job in index for photo in job.photos] == photos
    assert index[16] == Job(16, tuple(photos[4800:]))


def test_every_field_is_kept(tmp_path: Path) -> None:
    photos = [
        PhotoRef("t", None, "file", "s3://b/t", 1, -1),
        PhotoRef("x", "y", "damaged", "z", 0, 5, 1, None, "bad"),
    ]
    write_index(jobs_of(photos, 10), tmp_path)
    assert InputIndex(tmp_path)[0].photos == tuple(photos)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the index of seven photos in jobs of three, and three shards."""
    write_index(jobs_of([*PHOTOS, *SHARDS], 3), tmp_path)
    return tmp_path


def test_the_same_photos_elsewhere_are_the_same(folder: Path) -> None:
    before, content = InputIndex(folder)[0], (folder / FILE).read_bytes()
    moved = [photo._replace(path=photo.path.replace("/x/", "/y/")) for photo in (*PHOTOS, *SHARDS)]
    assert grow(moved[::-1], folder, 3, lambda: True, set()) == Growth()
    assert InputIndex(folder)[0].inputs == before.inputs and (folder / FILE).read_bytes() == content


def test_new_photos_become_new_jobs(folder: Path) -> None:
    before = photos_of(folder)
    new = [PHOTOS[0]._replace(key=f"b/{number}.jpg") for number in range(4)]
    assert grow([*new, *PHOTOS, *SHARDS], folder, 3, lambda: True, set()) == Growth(new=4)
    assert photos_of(folder) == [*before, tuple(new[:3]), tuple(new[3:])]


def test_changed_photos_take_their_place(folder: Path) -> None:
    """By size or by version; only their jobs have other inputs."""
    inputs = [job.inputs for job in InputIndex(folder)]
    changed = [PHOTOS[1]._replace(size=11), PHOTOS[5]._replace(version="2"), SHARDS[0]._replace(version="e2")]
    listed = {photo.key + str(photo.position): photo for photo in (*PHOTOS, *SHARDS, *changed)}
    assert grow(listed.values(), folder, 3, lambda: True, set()) == Growth(changed=3)
    now = InputIndex(folder)
    assert [now[0].photos[1], now[1].photos[2]] == changed[:2]
    assert [job.inputs != before for job, before in zip(now, inputs, strict=True)] == [
        *(True, True, False, True, False, False)
    ]


REMOVED: list[tuple[set[int], Callable[[], bool], int, tuple[PhotoRef, ...]]] = [
    ({0, 1, 2, 3, 4, 5}, lambda: True, 2, tuple(PHOTOS[:3])),  # done: their rows stay
    (set(), lambda: True, 0, (PHOTOS[2],)),  # not done: nothing is left to do
    (set(), lambda: False, 0, tuple(PHOTOS[:3])),  # the listing is not whole
]


@pytest.mark.parametrize(("done", "whole", "removed", "expected"), REMOVED)
def test_removed_photos(
    folder: Path, done: set[int], whole: Callable[[], bool], removed: int, expected: tuple[PhotoRef, ...]
) -> None:
    assert grow([*PHOTOS[2:], *SHARDS], folder, 3, whole, done) == Growth(removed=removed)
    assert InputIndex(folder)[0].photos == expected


def test_rows_of_a_changed_shard_that_are_no_longer_there(folder: Path) -> None:
    listed = [*PHOTOS, SHARDS[0], SHARDS[1]._replace(photo_count=50, size=500)]
    assert grow(listed, folder, 3, lambda: True, set(range(6))) == Growth(changed=1)
    assert [len(photos) for photos in photos_of(folder)] == [3, 3, 1, 1, 1, 0]


def test_damaged_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"words")
    with pytest.raises(InputError, match="use another output folder"):
        InputIndex(tmp_path)
