"""Reading photos from every kind of source, and the errors of unreadable ones."""

import os
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from facegeom.batch import shards, stores
from facegeom.batch.input_index import Job, PhotoRef, jobs_of
from facegeom.batch.reading import Reader
from facegeom.batch.shards import Photo
from facegeom.batch.sources import Wanted, list_photos
from facegeom.batch.stores import RangeStream, UnreachableError

from .conftest import jpeg, write_parquet, write_tar

VALUES = list(range(0, 200, 20))


@pytest.fixture
def memory() -> Iterator[Any]:
    store = fsspec.filesystem("memory")
    store.mkdir("/lake")
    yield store
    store.rm("/lake", recursive=True)


def sources(folder: Path) -> list[Path]:
    """Write ten photos as files, in a tar file, and in a binary and a struct column of Parquet files."""
    (folder / "files").mkdir()
    photos = [jpeg(value) for value in VALUES]
    for number, photo in enumerate(photos):
        (folder / f"files/{number}.jpg").write_bytes(photo)
    return [
        folder / "files",
        write_tar(folder / "s.tar", {f"{number}.jpg": photo for number, photo in enumerate(photos)}),
        write_parquet(folder / "t.parquet", {"image": list(photos)}, row_group=4),
        write_parquet(
            folder / "u.parquet", {"image": [{"bytes": p, "path": "p"} for p in photos]}, row_group=3
        ),
    ]


def photos_in(*places: object, rows: int = 1, reader: Reader | None = None) -> list[Photo]:
    """Return the photos that a reader yields of all jobs over some sources."""
    reader = reader or Reader()
    jobs = jobs_of(list_photos([str(place) for place in places], Wanted(rows=rows)), 4)
    return [photo for job in jobs for photo in reader.photos(job)]


def read_one(ref: PhotoRef) -> Photo:
    (photo,) = Reader().photos(Job(0, (ref,)))
    return photo


@pytest.mark.parametrize("rows", [1, 4, 100])
def test_every_source_in_order(tmp_path: Path, rows: int) -> None:
    for source in sources(tmp_path):
        photos = photos_in(source, rows=rows)
        assert [photo.content for photo in photos] == [jpeg(value) for value in VALUES]
        assert len({photo.ref.key for photo in photos}) == 10


@pytest.mark.parametrize("walked", [32, 0])
def test_tar_files_as_members_and_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, walked: int
) -> None:
    """Both ways give the same photos; with names that occur twice, and members that are no photos."""
    monkeypatch.setattr("facegeom.batch.sources._WALKED_TARS", walked)
    tar = write_tar(
        tmp_path / "s.tar",
        {f"{number}.{ending}": jpeg(number) for number in range(9) for ending in ("json", "jpg")},
    )
    with tarfile.open(tar, "a") as more:
        for number in (3, 3, 5):
            (tmp_path / "x").write_bytes(jpeg(100 + number))
            more.add(tmp_path / "x", f"{number}.jpg")
    assert len(list(list_photos([tar]))) == (12 if walked else 1)
    photos = photos_in(tar)
    names = [*(f"{number}.jpg" for number in range(9)), "3.jpg#2", "3.jpg#3", "5.jpg#2"]
    assert [photo.ref.key for photo in photos] == [f"{tar}/{name}" for name in names]
    assert [photo.content for photo in photos] == [jpeg(value) for value in (*range(9), 103, 103, 105)]
    assert photos_in(tar) == photos


def test_shards_are_gone_on_with_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facegeom.batch.sources._WALKED_TARS", 0)
    for source in sources(tmp_path)[1:]:
        (job,) = jobs_of(list_photos([source]), 4)
        whole = list(Reader().photos(job))
        for done in range(1, 10):
            seen = Counter(photo.ref.name for photo in whole[:done])
            rest = Reader().photos(job, done, whole[done - 1].position, seen)
            assert list(rest) == whole[done:]


def test_from_a_store(tmp_path: Path, memory: Any) -> None:
    for source in sources(tmp_path):
        memory.put(str(source), f"/lake/{source.name}", recursive=True)
    photos = photos_in("memory://lake")
    assert len(photos) == 4 * len(VALUES)
    assert sorted(photo.content or b"" for photo in photos) == sorted(4 * [jpeg(value) for value in VALUES])


class Counting:
    """A store that counts the bytes that are read of each file."""

    protocol = "counting"

    def __init__(self, content: bytes) -> None:
        self.content, self.fetched = content, list[tuple[int, int]]()

    def size(self, path: str) -> int:
        return len(self.content)

    def cat_file(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        self.fetched.append((start, len(self.content) if end is None else end))
        return self.content[start:end]


@pytest.mark.parametrize(("source", "most"), [(1, 1.0), (2, 1.1), (3, 1.1)])
def test_shards_are_fetched_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: int, most: float
) -> None:
    """Listing and reading together fetch little more than the file, in ranges that are small enough."""
    monkeypatch.setattr("facegeom.batch.sources._WALKED_TARS", 0)
    monkeypatch.setattr(stores, "_CHUNK_BYTES", 1 << 16)
    monkeypatch.setitem(globals(), "jpeg", lambda value: bytes([value]) * 100_000)
    file = sources(tmp_path)[source]
    if source > 1:  # photos that cannot be compressed
        noise = [np.random.default_rng(value).bytes(100_000) for value in VALUES]
        column = noise if source == 2 else [{"bytes": each, "path": "p"} for each in noise]
        write_parquet(file, {"image": column}, row_group=3)
    store = Counting(file.read_bytes())
    monkeypatch.setattr(shards, "open_store", lambda location: (store, location))
    photos = photos_in(file, rows=3)
    assert len(photos) == 10 and all(len(photo.content or b"") == 100_000 for photo in photos)
    total = sum(end - start for start, end in store.fetched)
    assert total <= most * len(store.content) + 2 * 65536 * (source > 1)
    assert max(end - start for start, end in store.fetched) <= 1 << 16


def test_missing_or_changed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gone from a folder that is there is a photo's fault; what has changed is listed anew first."""
    monkeypatch.setattr(stores, "RETRY_DELAYS_S", ())
    files, tar, table, _ = sources(tmp_path)
    gone, member = (list(list_photos([source]))[9] for source in (files, tar))
    (rows,) = list_photos([table])
    Path(gone.path).unlink()
    tar.write_bytes(tar.read_bytes()[: member.position + 100])
    write_parquet(table, {"image": [jpeg()] * 3})
    assert read_one(gone).problem == "cannot be read: no such file any more"
    assert "100 of" in str(read_one(member).problem)
    with pytest.raises(UnreachableError, match="cannot be reached: got"):
        list(Reader().photos(Job(0, (rows,))))


UNREACHABLE = [
    (lambda folder: folder.rename(folder.with_name("away")), "no such file any more"),
    (lambda folder: [path.unlink() for path in folder.iterdir()], "no such file any more"),
    (lambda folder: (folder / "3.jpg").chmod(0), "Permission denied"),
]


@pytest.mark.parametrize(("vanish", "reason"), UNREACHABLE)
def test_a_vanished_mount_is_no_photos_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vanish: Callable[[Path], object], reason: str
) -> None:
    """The folder is gone, or the empty place of the mount is left, or a file may not be read for now."""
    monkeypatch.setattr(stores, "RETRY_DELAYS_S", (0.0, 0.0))
    folder = sources(tmp_path)[0]
    ref = list(list_photos([folder]))[3]
    if reason == "Permission denied" and os.access(__file__, os.R_OK) and os.geteuid() == 0:
        monkeypatch.setattr("builtins.open", _denied)  # the superuser may read everything
    else:
        vanish(folder)
    with pytest.raises(UnreachableError, match=f"3.jpg cannot be reached: {reason}"):
        read_one(ref)


def _denied(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_rows_without_bytes(tmp_path: Path) -> None:
    empty = {"bytes": None, "path": "p"}
    write_parquet(tmp_path / "t.parquet", {"image": [empty, {"bytes": jpeg(), "path": "p"}, None]})
    first, second, third = photos_in(tmp_path / "t.parquet")
    assert second.content == jpeg()
    assert all(photo.content is None and "null" in str(photo.problem) for photo in (first, third))


def test_damaged_pages_cost_their_row_group(tmp_path: Path) -> None:
    """Every row has its key, the groups behind are read."""
    noise = [np.random.default_rng(value).bytes(2000) for value in range(6)]
    write_parquet(tmp_path / "t.parquet", {"image": noise}, row_group=2)
    table = pq.ParquetFile(tmp_path / "t.parquet").metadata
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    for offset in range(40):
        content[table.row_group(1).column(0).data_page_offset + offset] ^= 255
    (tmp_path / "t.parquet").write_bytes(content)
    photos = photos_in(tmp_path / "t.parquet")
    assert [photo.ref.key.rpartition("#")[2] for photo in photos] == list("012345")
    assert [photo.content for photo in photos] == [*noise[:2], None, None, *noise[4:]]
    assert all("damaged" in str(photo.problem) for photo in photos[2:4])


def test_damaged_sources_say_why(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("words " * 300)
    (photo,) = photos_in(tmp_path / "x.tar")
    assert photo.content is None and "tar file is damaged" in str(photo.problem)


def test_too_large_photos_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "MAX_BYTES", 100)
    (tmp_path / "a.jpg").write_bytes(jpeg())
    write_tar(tmp_path / "b.tar", {"b.jpg": jpeg()})
    write_parquet(tmp_path / "c.parquet", {"image": [jpeg()]})
    for photo in photos_in(tmp_path):
        assert "expected at most 100 bytes" in str(photo.problem) and photo.content is None


class ClientError(Exception):
    """As botocore raises it: no OSError."""


class Failing(Counting):
    """A store whose first calls fail, or are cut short."""

    def __init__(self, content: bytes, failures: int, error: Exception | None) -> None:
        super().__init__(content)
        self.failures, self.error = failures, error

    def cat_file(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        content = super().cat_file(path, start, end)
        self.failures -= 1
        if self.failures < 0:
            return content
        if self.error:
            raise self.error
        return content[:-1]


@pytest.mark.parametrize("error", [OSError("the line is busy"), ClientError("the line is busy"), None])
@pytest.mark.parametrize("failures", [0, 2, 3])
def test_a_store_is_tried_again_and_again(
    monkeypatch: pytest.MonkeyPatch, failures: int, error: Exception | None
) -> None:
    store = Failing(jpeg(), failures, error)
    ref = PhotoRef("s3://lake/a.jpg", "a.jpg", "file", "s3://lake/a.jpg", 0, len(jpeg()))
    monkeypatch.setattr("facegeom.batch.reading.open_store", lambda location: (store, "/lake/a.jpg"))
    monkeypatch.setattr(stores, "RETRY_DELAYS_S", (0.0, 0.0))
    stream = RangeStream(Failing(jpeg(), failures, error), "/lake/a.jpg", len(jpeg()))
    if failures < 3:
        assert read_one(ref).content == stream.read() == jpeg()
        return
    reason = "the line is busy" if error else f"got {len(jpeg()) - 1} of {len(jpeg())} bytes"
    for read in (lambda: read_one(ref), stream.read):
        with pytest.raises(UnreachableError, match=reason):
            read()
    assert stream.failure
