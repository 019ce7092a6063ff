"""Reading photos from every kind of source, and the errors of unreadable ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from facegeom.batch import reading
from facegeom.batch.reading import Reader
from facegeom.batch.sources import list_photos
from facegeom.errors import ImageError

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


@pytest.mark.parametrize("step", [1, -1, 3])
def test_every_source_in_any_order(tmp_path: Path, step: int) -> None:
    read = Reader()
    for source in sources(tmp_path):
        photos = list(list_photos([source]))
        order = [index * step % len(photos) for index in range(len(photos))]
        assert [read(photos[index]) for index in order] == [jpeg(VALUES[index]) for index in order]


def test_alternating_sources(tmp_path: Path) -> None:
    read = Reader()
    columns = zip(*(list_photos([source]) for source in sources(tmp_path)), strict=True)
    for value, photos in zip(VALUES, columns, strict=True):
        assert [read(photo) for photo in photos] == [jpeg(value)] * 4


def test_from_a_store(tmp_path: Path, memory: Any) -> None:
    for source in sources(tmp_path):
        memory.put(str(source), f"/lake/{source.name}", recursive=True)
    photos = list(list_photos(["memory://lake"]))
    read = Reader()
    assert len(photos) == 4 * len(VALUES)
    assert sorted(map(read, photos)) == sorted(4 * [jpeg(value) for value in VALUES])


def test_missing_or_changed_files(tmp_path: Path) -> None:
    files, tar, table, _ = sources(tmp_path)
    gone, member, row = (list(list_photos([source]))[9] for source in (files, tar, table))
    Path(gone.path).unlink()
    tar.write_bytes(tar.read_bytes()[: member.position + 100])
    write_parquet(table, {"image": [jpeg()] * 3})
    for photo, message in ((gone, "no such file"), (member, "100 of"), (row, "the file has 3 rows")):
        with pytest.raises(ImageError, match=message):
            Reader()(photo)


def test_rows_without_bytes(tmp_path: Path) -> None:
    empty = {"bytes": None, "path": "p"}
    write_parquet(tmp_path / "t.parquet", {"image": [empty, {"bytes": jpeg(), "path": "p"}, None]})
    first, second, third = list_photos([tmp_path / "t.parquet"])
    read = Reader()
    assert read(second) == jpeg()
    for photo in (first, third):
        with pytest.raises(ImageError, match="null"):
            read(photo)


def test_damaged_sources_say_why(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("words " * 300)
    (photo,) = list_photos([tmp_path / "x.tar"])
    with pytest.raises(ImageError, match="tar file is damaged"):
        Reader()(photo)


def test_too_large_photos_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (photo,) = list_photos([tmp_path])
    with pytest.raises(ImageError, match="expected at most 100 bytes"):
        Reader()(photo)


class ClientError(Exception):
    """As botocore raises it: no OSError."""


class Failing:
    """A store whose first calls fail."""

    def __init__(self, store: Any, failures: int, error: type[Exception]) -> None:
        self.store, self.failures, self.error = store, failures, error

    def open(self, path: str, mode: str) -> Any:
        self.failures -= 1
        if self.failures >= 0:
            raise self.error("the line is busy")
        return self.store.open(path, mode)


@pytest.mark.parametrize("error", [OSError, ClientError])
@pytest.mark.parametrize("failures", [0, 2, 3])
def test_a_store_is_tried_three_times(
    memory: Any, monkeypatch: pytest.MonkeyPatch, failures: int, error: type[Exception]
) -> None:
    memory.pipe_file("/lake/a.jpg", jpeg())
    (photo,) = list_photos(["memory://lake/a.jpg"])
    failing = Failing(memory, failures, error)
    monkeypatch.setattr(reading, "open_store", lambda location: (failing, "/lake/a.jpg"))
    monkeypatch.setattr(reading, "_RETRY_DELAYS_S", (0.0, 0.0))
    if failures < 3:
        assert Reader()(photo) == jpeg()
    else:
        with pytest.raises(ImageError, match="the line is busy"):
            Reader()(photo)
