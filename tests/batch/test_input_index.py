"""The input index: part files, and which lists count as the same."""

from pathlib import Path

import pytest

from facegeom.batch.input_index import FILE, InputIndex, PhotoRef, write_index
from facegeom.errors import InputError

PHOTOS = [
    PhotoRef(f"a/{number}.jpg", f"{number}.jpg", "file", f"/x/a/{number}.jpg", 0, 10) for number in range(7)
]


def test_parts_are_fixed_slices(tmp_path: Path) -> None:
    assert write_index(iter(PHOTOS), tmp_path, 3, None) == 7
    index = InputIndex(tmp_path)
    assert [index[part].photos for part in range(len(index))] == [
        tuple(PHOTOS[:3]),
        tuple(PHOTOS[3:6]),
        tuple(PHOTOS[6:]),
    ]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_every_field_is_kept(tmp_path: Path) -> None:
    photos = [
        PhotoRef("t#1", None, "parquet", "s3://b/t", 1, -1),
        PhotoRef("x", "y", "damaged", "z", 0, 5, "bad"),
    ]
    write_index(photos, tmp_path, 10, None)
    assert InputIndex(tmp_path)[0].photos == tuple(photos)


def test_the_same_photos_elsewhere_are_the_same(tmp_path: Path) -> None:
    write_index(PHOTOS, tmp_path, 3, None)
    before = InputIndex(tmp_path)
    metadata = before[0].metadata
    moved = [photo._replace(path=photo.path.replace("/x/", "/y/")) for photo in PHOTOS]
    write_index(moved, tmp_path, 3, before)
    after = InputIndex(tmp_path)
    assert after[0].metadata == metadata and after[0].photos[0].path == "/y/a/0.jpg"


OTHER = [
    (PHOTOS[:6], "'a/6.jpg'"),
    (PHOTOS[:2], "'a/2.jpg' (10 bytes) of the run is missing"),
    (PHOTOS[:3], "'a/3.jpg' (10 bytes) of the run is missing"),
    ([*PHOTOS, PHOTOS[0]._replace(key="b")], "'b' (10 bytes) is not in the run"),
    ([*PHOTOS, *(PhotoRef(f"b{n}", None, "file", "p") for n in range(3))], "is not in the run"),
    (
        [*PHOTOS[:4], PHOTOS[4]._replace(size=11), *PHOTOS[5:]],
        "'a/4.jpg' (10 bytes) of the run, found 'a/4.jpg' (11",
    ),
    ([*PHOTOS[1:], PHOTOS[0]], "expected the photo 'a/0.jpg'"),
    ([PHOTOS[0]._replace(name="other"), *PHOTOS[1:]], "expected the photo"),
]


@pytest.mark.parametrize(("photos", "message"), OTHER)
def test_other_photos_are_refused(tmp_path: Path, photos: list[PhotoRef], message: str) -> None:
    write_index(PHOTOS, tmp_path, 3, None)
    content = (tmp_path / FILE).read_bytes()
    with pytest.raises(InputError) as caught:
        write_index(photos, tmp_path, 3, InputIndex(tmp_path))
    assert message in str(caught.value) and "another output folder" in str(caught.value)
    assert (tmp_path / FILE).read_bytes() == content and len(list(tmp_path.iterdir())) == 1


def test_damaged_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"words")
    with pytest.raises(InputError, match="use another output folder"):
        InputIndex(tmp_path)
