"""The work that every engine does: analyze the photos of a job, and track photos that crash workers."""

import hashlib
import platform
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from facegeom.analyzer import FaceAnalyzer
from facegeom.batch.input_index import Job, Record
from facegeom.batch.reading import Reader
from facegeom.batch.rows import Row, counts_of, encode, encode_table, to_table
from facegeom.batch.shards import Photo
from facegeom.batch.stores import Folder, UnreachableError, patiently
from facegeom.errors import FacegeomError, InputError
from facegeom.models import weights
from facegeom.models.engine import Engine
from facegeom.results import Faces
from facegeom.worker_pool.process import WorkerError

MAX_DEATHS = 2
"""Worker deaths on a job before its photos are tracked, and on a tracked photo before it is skipped."""

TIMEOUT_S = 120.0
"""Longest time for one photo by default, seconds."""

PART_SIZE = 128
"""Most photos of a part file by default."""

_SKIPPED = "a worker process died on this photo, again and again; it was left out"


@dataclass(frozen=True)
class Settings:
    """Settings of a worker.

    Attributes:
        device: as of :class:`facegeom.FaceAnalyzer`.
        mesh: whether rows hold the mesh.
        column: Parquet column with the photos' bytes; None for the only one that can hold them.
        options: of :class:`facegeom.FaceAnalyzer`.
        timeout_s: longest time for one photo, seconds; a worker that takes longer is killed.
        silence_s: longest time for which a store is waited for, seconds.
        name_column: Parquet column with the photos' names.
        part_size: most photos of a part file.
        sample: fraction of the photos of a shard that are analyzed.
        out: path or URL of the run, from which finished part files are read.
        writes: whether the worker writes its part files there; else they are returned.
        made_with: version and networks of the run, which those here must equal; empty for any.
    """

    device: str = "cpu"
    mesh: bool = True
    column: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S
    silence_s: float = TIMEOUT_S
    name_column: str | None = None
    part_size: int = PART_SIZE
    sample: float = 1.0
    out: str | None = None
    writes: bool = False
    made_with: Mapping[str, Any] = field(default_factory=dict)


class Piece(NamedTuple):
    """A finished part file: its record, and its content unless the worker has written it."""

    record: Record
    content: bytes | None


class Outcome(NamedTuple):
    """The end of a job: None, or why its source or its output cannot be reached."""

    part: int
    problem: str | None


def is_chosen(key: str, sample: float) -> bool:
    """Return whether a photo belongs to a random sample, the same in every run."""
    if sample >= 1:
        return True
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < sample * 2.0**64


def networks_of(analyzer: FaceAnalyzer) -> dict[str, str]:
    """Return the SHA-256 of each network that an analyzer uses, by the file's name without ending."""
    used = {engine.path.name for engine in _engines(analyzer)}
    hashes = dict(
        entry.of(variant)
        for entry in weights.manifest().values()
        for variant in (weights.FLOAT32, *entry.variants)
    )
    return {path.stem: digest for path, digest in hashes.items() if path.name in used}


def _engines(part: object) -> Iterator[Engine]:
    """Yield the networks of an analyzer, or of a part of it, wherever it keeps them."""
    if isinstance(part, Engine):
        yield part
    elif isinstance(part, (list, tuple)):
        for each in part:
            yield from _engines(each)
    elif type(part).__module__.startswith("facegeom."):
        yield from _engines(list(getattr(part, "__dict__", {}).values()))


class Attempt(NamedTuple):
    """How to process a job: whether to report each photo before it is analyzed; which to skip, and why."""

    track: bool = False
    skip: Mapping[int, str] = MappingProxyType({})


Report = Callable[[int | Piece | None], object]
"""Gets the number of each photo before it is analyzed, each finished part file, None while it waits."""


class Worker:
    """Turn jobs into part files, with one analyzer, single-threaded by default, and one reader.

    Photos are analyzed one at a time, so each row equals the result of ``FaceAnalyzer(threads=1)`` on its
    photo alone.

    Raises:
        InputError: an option is out of its range, the device is missing, or the version or the networks are
            not those of the run.
        WeightsError: a weight file is missing.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._analyze = FaceAnalyzer(**{"device": settings.device, "threads": 1, **settings.options})
        self._check()
        self._read = Reader(settings.column, settings.name_column, settings.silence_s)
        self._out = Folder(settings.out) if settings.out else None
        encode([], settings.mesh, {})  # what the first part would load counts to no photo's time

    def _check(self) -> None:
        here = {"facegeom": version("facegeom"), "networks": networks_of(self._analyze)}
        wrong = [name for name, value in self._settings.made_with.items() if here[name] != value]
        if wrong:
            raise InputError(
                f"the machine {platform.node()} has another {' and other '.join(wrong)} than the run:"
                f" facegeom {here['facegeom']}, not {self._settings.made_with['facegeom']};"
                " install the same package on every machine"
            )

    def __call__(
        self, job: Job, attempt: Attempt | None = None, report: Report = lambda event: None
    ) -> str | None:
        """Analyze the photos of a job, report each part file, and return why it stays open, else None."""
        try:
            for piece in self._pieces(job, attempt or Attempt(), report):
                report(piece)
        except UnreachableError as error:
            return str(error)
        return None

    def _pieces(self, job: Job, attempt: Attempt, report: Report) -> Iterator[Piece]:
        """Yield the part files of a job that are not there yet."""
        if self._out is None:
            job = job._replace(records=(), retry=False)
        old = self._rows_of(job, report)
        kept = _kept(old) if job.retry else set()
        before = () if job.retry else job.records
        first = piece = len(before)
        done = sum(record.photos for record in before)
        seen = Counter(old["name"].to_pylist()) if before else Counter()
        piece_rows: list[Row | int] = []  # an index is that of an old row
        position = before[-1].position if before else 0
        for number, photo in enumerate(self._photos(job, kept, done, position, seen, report), done):
            if len(piece_rows) == self._settings.part_size:
                yield self._piece(job, piece, False, piece_rows, old, position, report)
                piece, piece_rows = piece + 1, []
            if photo is None or number in kept:
                piece_rows.append(number)
            else:
                piece_rows.append(self._row(photo, number, attempt, report))
            position = photo.position if photo else 0
        if piece_rows or piece == first:
            yield self._piece(job, piece, True, piece_rows, old, position, report)

    def _photos(
        self, job: Job, kept: set[int], done: int, position: int, seen: Counter[str], report: Report
    ) -> Iterator[Photo | None]:
        """Yield the photos of a job; None for single ones whose row is kept."""
        wait = partial(report, None)
        if job.photos and job.photos[0].is_shard:
            for photo in self._read.photos(job, done, position, seen, wait):
                if is_chosen(photo.ref.key, self._settings.sample):
                    yield photo
            return
        wanted = tuple(ref for number, ref in enumerate(job.photos) if number not in kept)
        photos = self._read.photos(job._replace(photos=wanted), done, on_wait=wait)
        for number in range(done, len(job.photos)):
            yield None if number in kept else next(photos)

    def _rows_of(self, job: Job, report: Report) -> pa.Table:
        """Return the rows that a job has already, where they are needed: to keep them, or for their names."""
        tables = [to_table([], self._settings.mesh)]

        def load(record: Record) -> None:
            content = self._out.read(record.file) if self._out else None
            if content is None or hashlib.sha256(content).hexdigest() != record.sha256:
                raise OSError("it is not there as it was written")  # it may just be on its way
            tables.append(pq.read_table(pa.BufferReader(content)).replace_schema_metadata())

        if job.retry or job.photos[0].kind == "tar":
            for record in job.records:
                read = partial(patiently, partial(load, record), record.file)
                self._read.in_thread(read, partial(report, None), record.file)
        return pa.concat_tables(tables)

    def _piece(
        self,
        job: Job,
        piece: int,
        last: bool,
        rows: list[Row | int],
        old: pa.Table,
        position: int,
        report: Report,
    ) -> Piece:
        """Encode one part file, and write it if this worker does."""
        new = [row for row in rows if isinstance(row, Row)]
        table = to_table(new, self._settings.mesh)
        if len(new) < len(rows):
            fresh = iter(range(len(new)))
            order = [next(fresh) if isinstance(row, Row) else len(new) + row for row in rows]
            table = pa.concat_tables([table, old]).take(order).combine_chunks()
        counts = counts_of(table)
        content = encode_table(table, {"part": job.part, "piece": piece, "inputs": job.inputs})
        record = Record(
            job.part,
            piece,
            last,
            table.num_rows,
            counts.faces,
            counts.errors,
            len(content),
            hashlib.sha256(content).hexdigest(),
            job.inputs,
            0 if last else position,
        )
        if not (self._settings.writes and self._out):
            return Piece(record, content)
        self._read.in_thread(
            partial(self._out.write, record.file, content), partial(report, None), record.file
        )
        return Piece(record, None)

    def _row(self, photo: Photo, number: int, attempt: Attempt, report: Report) -> Row:
        key, name = photo.ref.key, photo.ref.name
        if number in attempt.skip:
            return Row(key, name, None, attempt.skip[number])
        if photo.content is None:
            return Row(key, name, None, photo.problem)
        report(number)
        return Row(key, name, *self._faces(photo.content))

    def _faces(self, content: bytes) -> tuple[Faces | None, str | None]:
        """Return the faces of a photo, or why it cannot be used."""
        try:
            return self._analyze(content), None
        except FacegeomError as error:
            return None, str(error)
        except MemoryError:
            return None, "not enough memory for this photo; make it smaller"
        except Exception as error:  # one photo must not stop a run of millions
            return None, f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"


def _kept(rows: pa.Table) -> set[int]:
    """Return the numbers of the rows without an error."""
    return {number for number, error in enumerate(rows["error"].to_pylist()) if error is None}


class CrashTracker:
    """Count worker deaths for each job, to find and skip photos that crash workers.

    After ``MAX_DEATHS`` deaths on a job, its photos are tracked one by one. A photo that kills as many
    workers again is skipped, and so is one that took too long, at once. A worker killed for another reason
    costs only the repeated work.
    """

    def __init__(self) -> None:
        self._starts: Counter[int] = Counter()
        self._current_photo: dict[int, int] = {}
        self._deaths: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._overdue: defaultdict[int, dict[int, str]] = defaultdict(dict)

    def start(self, part: int) -> Attempt:
        """Record that a worker starts a job; a second start before :meth:`finish` means it died."""
        if (photo := self._current_photo.pop(part, None)) is not None:
            self._deaths[part][photo] += 1
        track = self._starts[part] >= MAX_DEATHS
        self._starts[part] += 1
        deadly = {photo: _SKIPPED for photo, count in self._deaths[part].items() if count >= MAX_DEATHS}
        return Attempt(track, deadly | self._overdue[part])

    def overdue(self, part: int, photo: int, timeout_s: float) -> None:
        """Record that a worker is killed because a photo takes too long: it is skipped from now on.

        Raises:
            WorkerError: it was skipped already, so what takes too long is no photo.
        """
        if photo in self._overdue[part]:
            raise WorkerError(f"workers do not finish within {timeout_s:g} s; give more time by --timeout")
        self._overdue[part][photo] = f"it took longer than {timeout_s:g} s and was left out; see --timeout"
        self._starts[part] -= 1
        self._current_photo.pop(part, None)

    def start_photo(self, part: int, photo: int) -> None:
        """Record that a worker starts a photo, given by its number, if the job is tracked."""
        if self._starts[part] > MAX_DEATHS:
            self._current_photo[part] = photo

    def finish(self, part: int) -> None:
        """Forget a job that is done."""
        for counts in (self._starts, self._current_photo, self._deaths, self._overdue):
            counts.pop(part, None)
