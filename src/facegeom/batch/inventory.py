"""The list of a run's photos, kept beside its parts, so that part k is the same photos for ever."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pyarrow as pa

from facegeom.batch.photo import Photo
from facegeom.errors import InputError, OutputError

FILE = "inputs.arrow"
_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),
        ("path", pa.string()),
        ("position", pa.int64()),
        ("size", pa.int64()),
        ("problem", pa.string()),
    ]
)
_ADVICE = "give the same sources as before, or another output folder"


class Job(NamedTuple):
    """The photos of one part.

    Attributes:
        part: number of the part.
        photos: in the order of its rows.
    """

    part: int
    photos: tuple[Photo, ...]

    @property
    def about(self) -> dict[str, Any]:
        """What the part's file says of its origin: its number, and a SHA-256 over its photos' identities."""
        listed = json.dumps([photo.identity for photo in self.photos], separators=(",", ":"))
        return {"part": self.part, "inputs": hashlib.sha256(listed.encode()).hexdigest()}


class Inventory:
    """The stored list; a part's photos are one record batch of it, read when asked for.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(folder / FILE)))
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"cannot read {folder / FILE}: {error}; use another output folder") from error

    def __len__(self) -> int:
        """The number of parts."""
        return int(self._reader.num_record_batches)

    def __getitem__(self, part: int) -> Job:
        rows = self._reader.get_batch(part).to_pylist()
        return Job(part, tuple(Photo(**row) for row in rows))


def take_inventory(photos: Iterable[Photo], folder: Path, part_size: int, old: Inventory | None) -> int:
    """Store the list of photos; their number.

    Args:
        photos: read as they come; one part's worth is held in memory.
        folder: of the run.
        part_size: photos of a part.
        old: the list of the run that goes on.

    Raises:
        InputError: there is no photo, or the list is not that of the run that goes on.
        OutputError: the list cannot be stored.
    """
    temporary = folder / f".{uuid4().hex}.tmp"
    try:
        total = _store(temporary, _batches(photos, part_size), old)
        os.replace(temporary, folder / FILE)
    except OSError as error:
        raise OutputError(f"cannot write {folder / FILE}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return total


def _store(path: Path, batches: Iterator[Sequence[Photo]], old: Inventory | None) -> int:
    total = part = 0
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA, options=options) as writer:
        for part, photos in enumerate(batches):
            if old is not None:
                _check_same(photos, old[part].photos if part < len(old) else ())
            writer.write_batch(pa.RecordBatch.from_pylist([photo._asdict() for photo in photos], _SCHEMA))
            total += len(photos)
    if old is not None and part + 1 < len(old):
        raise InputError(f"the run has more photos, as {old[part + 1].photos[0].key!r}; {_ADVICE}")
    return total


def _check_same(now: Sequence[Photo], before: Sequence[Photo]) -> None:
    if [photo.identity for photo in now] == [photo.identity for photo in before]:
        return
    for new, old in zip(now, before, strict=False):
        if new.identity != old.identity:
            raise InputError(f"expected the photo {_label(old)} of the run, found {_label(new)}; {_ADVICE}")
    more, less = (now[len(before) :], before[len(now) :])
    if more:
        raise InputError(f"the photo {_label(more[0])} is not in the run; {_ADVICE}")
    raise InputError(f"the photo {_label(less[0])} of the run is missing; {_ADVICE}")


def _label(photo: Photo) -> str:
    return f"{photo.key!r} ({photo.size} bytes)"


def _batches(photos: Iterable[Photo], size: int) -> Iterator[list[Photo]]:
    stream = iter(photos)
    while some := list(islice(stream, size)):
        yield some
