"""The input index: what a run reads, stored as jobs, so that each part file always holds the same photos."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from facegeom.errors import InputError
from facegeom.export.files import replacing

FILE = "inputs.arrow"
_SCHEMA = pa.schema(
    [
        ("part", pa.int64()),
        ("key", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),
        ("path", pa.string()),
        ("position", pa.int64()),
        ("size", pa.int64()),
        ("photo_count", pa.int64()),
        ("version", pa.string()),
        ("problem", pa.string()),
    ]
)
_BATCH = 1024
_ADVICE = "use another output folder"

Kind: TypeAlias = Literal["file", "member", "damaged", "tar", "parquet"]


class PhotoRef(NamedTuple):
    """Where one photo of a run is stored, or a shard of photos, and its key in the output.

    Attributes:
        key: unique identifier, the same in every run over the same sources: the path as the source was
            given; in a tar file followed by "/" and the member's name, in a Parquet file by "#" and the row.
            Of a shard the path.
        name: the photo's name in its source: path below the folder, tar member, or value of the name column;
            None without one.
        kind: how to read it: a "file", a "member" of a tar file; "damaged" stands for a source that holds no
            photos that can be read. A shard is a whole "tar", or rows of a "parquet", whose photos are
            listed by the worker that reads it.
        path: of the file that holds it: absolute, or a URL.
        position: offset of the member's first byte, or first row of the shard; else 0.
        size: bytes of the photo, of a shard those of its file; -1 where the store does not report it.
        photo_count: 1, or that of the shard; -1 of a tar.
        version: ETag or time of the last change of the file; None where the store does not report it.
        problem: why a damaged source could not be listed.
    """

    key: str
    name: str | None
    kind: Kind
    path: str
    position: int = 0
    size: int = -1
    photo_count: int = 1
    version: str | None = None
    problem: str | None = None

    @property
    def is_shard(self) -> bool:
        """Whether this stands for several photos."""
        return self.kind in ("tar", "parquet")

    @property
    def identity(self) -> tuple[object, ...]:
        """All fields that must not change when a run is resumed: all but the path."""
        return self[:3] + self[4:]


class Record(NamedTuple):
    """A finished part file, as the ledger has it.

    Attributes:
        part: number of the job.
        piece: number of the file among those of the job, from 0; a shard may have several.
        last: whether it is the job's last.
        photos, faces, errors: counts.
        bytes: size of the file.
        sha256: of the file.
        inputs: SHA-256 over the identities of the job's photos.
        position: where the shard's next photo begins: offset in its tar file, or row; else 0.
    """

    part: int
    piece: int
    last: bool
    photos: int
    faces: int
    errors: int
    bytes: int
    sha256: str
    inputs: str
    position: int = 0

    @property
    def file(self) -> str:
        """Name of the part file below the folder of the run."""
        return f"parts/part-{self.part:07d}{f'-{self.piece:04d}' if self.piece else ''}.parquet"


class Job(NamedTuple):
    """What one worker reads in one go: some photos, or one shard.

    Attributes:
        part: number of the job; it names the part files.
        photos: in the order of the rows.
        records: of the part files that are there already; work goes on after them.
        retry: whether these hold errors: only those photos are analyzed again, the other rows are taken.
    """

    part: int
    photos: tuple[PhotoRef, ...]
    records: tuple[Record, ...] = ()
    retry: bool = False

    @property
    def inputs(self) -> str:
        """SHA-256 over the identities of its photos, which is stored in its part files."""
        identities = json.dumps([photo.identity for photo in self.photos], separators=(",", ":"))
        return hashlib.sha256(identities.encode()).hexdigest()


class InputIndex:
    """The stored jobs of a run. They are read on demand.

    Args:
        folder: of the index file.

    Raises:
        InputError: the index is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(folder / FILE)))
            batches = range(self._reader.num_record_batches)
            firsts = [self._batch(batch)["part"][0].as_py() for batch in batches]
        except (pa.ArrowException, OSError, IndexError) as error:
            raise InputError(f"cannot read {folder / FILE}: {error}; {_ADVICE}") from error
        self._firsts = np.array(firsts, np.int64)
        self._cached = -1

    def __reduce__(self) -> tuple[type["InputIndex"], tuple[Path]]:
        return InputIndex, (self._folder,)

    def _batch(self, number: int) -> Any:
        batch = self._reader.get_batch(number)
        batch.validate(full=True)
        return batch

    @cached_property
    def _last(self) -> Any:
        return self._batch(len(self._firsts) - 1)["part"][-1].as_py()

    def __len__(self) -> int:
        """Return the number of jobs."""
        return self._last + 1 if len(self._firsts) else 0

    def __iter__(self) -> Iterator[Job]:
        for number in range(len(self._firsts)):
            yield from self._jobs(number)

    def __getitem__(self, part: int) -> Job:
        number = int(np.searchsorted(self._firsts, part, "right")) - 1
        if number != self._cached:
            self._cached, self._found = number, {job.part: job for job in self._jobs(number)}
        return self._found[part]

    def _jobs(self, number: int) -> Iterator[Job]:
        """Yield the jobs of one record batch; none is in two."""
        try:
            columns = self._batch(number).to_pydict()
            parts = columns.pop("part")
            photos = map(PhotoRef._make, zip(*columns.values(), strict=True))
            pairs = zip(parts, photos, strict=True)
            for part, group in groupby(pairs, key=lambda pair: pair[0]):
                yield Job(part, tuple(photo for _, photo in group if photo.key))
        except (pa.ArrowException, OSError, TypeError, ValueError) as error:
            raise InputError(f"{FILE} of the run is damaged ({error}); {_ADVICE}") from error


def jobs_of(photos: Iterable[PhotoRef], part_size: int, first: int = 0) -> Iterator[Job]:
    """Cut a list into jobs: each shard alone, the others by ``part_size``; ``first`` is the first number."""
    rest: list[PhotoRef] = []
    for photo in photos:
        if rest and (photo.is_shard or len(rest) == part_size):
            yield Job(first, tuple(rest))
            first, rest = first + 1, []
        if photo.is_shard:
            yield Job(first, (photo,))
            first += 1
        else:
            rest.append(photo)
    if rest:
        yield Job(first, tuple(rest))


def write_index(jobs: Iterable[Job], folder: Path) -> None:
    """Store jobs, read lazily; the file appears whole or not at all.

    Raises:
        OutputError: the index cannot be written.
    """
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    stream = iter(jobs)
    with (
        replacing(folder / FILE) as path,
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, _SCHEMA, options=options) as writer,
    ):
        while batch := list(_some(stream)):
            nothing = (PhotoRef("", None, "damaged", ""),)  # keeps the number of a job whose photos are gone
            rows = [(job.part, *photo) for job in batch for photo in job.photos or nothing]
            columns = [
                pa.array(column, field.type)
                for column, field in zip(zip(*rows, strict=True), _SCHEMA, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_SCHEMA))


def _some(jobs: Iterator[Job]) -> Iterator[Job]:
    """Yield jobs of about ``_BATCH`` photos."""
    photos = 0
    while photos < _BATCH and (job := next(jobs, None)) is not None:
        photos += max(1, len(job.photos))
        yield job
