"""The input index: the list of a run's photos, stored so that each part file always holds the same ones."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import pyarrow as pa

from facegeom.errors import InputError
from facegeom.export.files import replacing

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

Kind: TypeAlias = Literal["file", "tar", "parquet", "damaged"]


class PhotoRef(NamedTuple):
    """Where one photo of a run is stored, and its key in the output.

    Attributes:
        key: unique identifier, the same in every run over the same sources: the path as the source was
            given; in a tar file followed by "/" and the member's name, in a Parquet file by "#" and the row.
        name: the photo's name in its source: path below the folder, tar member, or value of the name column;
            None without one.
        kind: how to read it: a "file", a member of a "tar", a row of a "parquet"; "damaged" stands for a
            source that could not be listed.
        path: of the file that holds it: absolute, or a URL.
        position: offset of the first byte in the tar file, or row in the Parquet file; else 0.
        size: bytes of the photo, for a row those of its Parquet file; -1 where the store does not report it.
        problem: why a damaged source could not be listed.
    """

    key: str
    name: str | None
    kind: Kind
    path: str
    position: int = 0
    size: int = -1
    problem: str | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """All fields that must not change when a run is resumed: all but the path."""
        return self.key, self.name, self.kind, self.position, self.size, self.problem


class Job(NamedTuple):
    """The photos of one part file.

    Attributes:
        part: number of the part file.
        photos: in the order of its rows.
    """

    part: int
    photos: tuple[PhotoRef, ...]

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of the part file: its number, and a SHA-256 over the identities of its photos."""
        identities = json.dumps([photo.identity for photo in self.photos], separators=(",", ":"))
        return {"part": self.part, "inputs": hashlib.sha256(identities.encode()).hexdigest()}


class InputIndex:
    """The stored list of photos. Each record batch holds the photos of one part file and is read on demand.

    Args:
        folder: of the run.

    Raises:
        InputError: the index is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(folder / FILE)))
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"cannot read {folder / FILE}: {error}; use another output folder") from error

    def __len__(self) -> int:
        """Return the number of part files."""
        return int(self._reader.num_record_batches)

    def __getitem__(self, part: int) -> Job:
        try:
            batch = self._reader.get_batch(part)
            batch.validate(full=True)
            return Job(part, tuple(PhotoRef(**row) for row in batch.to_pylist()))
        except (pa.ArrowException, OSError, TypeError, ValueError) as error:
            raise InputError(f"{FILE} of the run is damaged ({error}); use another output folder") from error


def write_index(photos: Iterable[PhotoRef], folder: Path, part_size: int, old: InputIndex | None) -> int:
    """Store the list of photos, read lazily, and return their number; ``old`` is that of a resumed run.

    Raises:
        InputError: the photos differ from those of the run that is resumed.
        OutputError: the index cannot be written.
    """
    stream = iter(photos) if old is None else _checked(photos, old)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    total = 0
    with (
        replacing(folder / FILE) as path,
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, _SCHEMA, options=options) as writer,
    ):
        while batch := list(islice(stream, part_size)):
            writer.write_batch(pa.RecordBatch.from_pylist([photo._asdict() for photo in batch], _SCHEMA))
            total += len(batch)
    return total


def _checked(photos: Iterable[PhotoRef], old: InputIndex) -> Iterator[PhotoRef]:
    """Yield the photos while they are those of the run that is resumed; else raise an InputError."""
    before = chain.from_iterable(old[part].photos for part in range(len(old)))
    for photo, expected in zip_longest(photos, before):
        if photo is None:
            raise InputError(f"the photo {_label(expected)} of the run is missing; {_ADVICE}")
        if expected is None:
            raise InputError(f"the photo {_label(photo)} is not in the run; {_ADVICE}")
        if photo.identity != expected.identity:
            raise InputError(
                f"expected the photo {_label(expected)} of the run, found {_label(photo)}; {_ADVICE}"
            )
        yield photo


def _label(photo: PhotoRef) -> str:
    return f"{photo.key!r} ({photo.size} bytes)"
