"""The folder of a run, on this machine or in a store: part files, and the ledger that says which are done."""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from facegeom.batch.input_index import FILE, Job, Record
from facegeom.batch.rows import read_metadata
from facegeom.batch.stores import Folder, is_url
from facegeom.errors import InputError, OutputError
from facegeom.export.files import make_folder, write

LEDGER_FILE = "ledger.jsonl"
_LEDGER_FOLDER = "ledger"
_FLUSH_S = 5.0
"""Longest time that the ledger in a store lags behind; what was done since is done again after a kill."""

Records = dict[int, dict[int, Record]]
"""Records by part and piece."""


class Output:
    """Read and write the folder of a run.

    On this machine the ledger is one file with a line for each part file. A store has no files that grow:
    there it is a folder of such files, which are joined when a run begins and ends.

    Args:
        location: path or URL.
        only_read: whether nothing is written there; the input index then is a copy.

    Raises:
        OutputError: the folder cannot be made.
        InputError: the location is empty, or no driver supports the URL.
    """

    def __init__(self, location: str, only_read: bool = False) -> None:
        if not location:
            raise InputError("expected the folder of a run, got an empty text")
        self.is_store = is_url(location)
        self.location = location.rstrip("/") if self.is_store else str(Path(location).resolve())
        self._path = Path(self.location)
        if not self.is_store and not only_read:
            make_folder(self._path)
        self.folder = Folder(self.location)
        is_copied = self.is_store or only_read
        self._scratch = TemporaryDirectory(prefix="facegeom-") if is_copied else None
        self._unwritten: list[Record] = []
        self._flushed_s = time.monotonic()
        self._sizes: dict[str, int] | None = None

    @property
    def index_folder(self) -> Path:
        """Folder on this machine that holds the input index: the run's own, or a copy."""
        return Path(self._scratch.name) if self._scratch else self._path

    def fetch_index(self) -> bool:
        """Make the input index lie in :attr:`index_folder`; return whether there is one."""
        path = self.index_folder / FILE
        if self._scratch and (content := self.read(FILE)) is not None:
            path.write_bytes(content)
        return path.is_file()

    def store_index(self) -> None:
        """Write the input index to the store."""
        if self.is_store:
            self.folder.write(FILE, (self.index_folder / FILE).read_bytes())

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None without one."""
        return self.folder.read(name)

    def write(self, name: str, content: bytes) -> None:
        """Write a file that appears whole or not at all.

        Raises:
            OutputError: it cannot be written on this machine.
            UnreachableError: the store cannot be reached.
        """
        if self.is_store:
            self.folder.write(name, content)
        else:
            write(self._path / name, content)

    def records(self) -> Records:
        """Return the ledger. A line that was not written to its end is none."""
        if self.is_store:
            names = [f"{_LEDGER_FOLDER}/{name}" for name in sorted(self.folder.sizes(_LEDGER_FOLDER))]
        else:
            names = [LEDGER_FILE]
        found: Records = {}
        for name in names:
            for line in (self.read(name) or b"").split(b"\n"):
                with suppress(ValueError, TypeError):
                    record = Record(**json.loads(line))
                    if [type(field) for field in record] == [type(field) for field in _EXAMPLE]:
                        found.setdefault(record.part, {})[record.piece] = record
        return found

    def add(self, record: Record) -> None:
        """Add a finished part file to the ledger; in a store, within some seconds."""
        self._unwritten.append(record)
        if not self.is_store:
            self._append()
        elif time.monotonic() - self._flushed_s > _FLUSH_S:
            self.flush()

    def _append(self) -> None:
        path = self._path / LEDGER_FILE
        try:
            with path.open("ab") as stream:
                stream.write(_lines(self._unwritten))
        except OSError as error:
            raise OutputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
        self._unwritten = []

    def flush(self) -> None:
        """Write what the ledger in a store lacks."""
        if self._unwritten:
            self.folder.write(_ledger_name(), _lines(self._unwritten))
        self._unwritten, self._flushed_s = [], time.monotonic()

    def replace(self, records: Iterable[Record]) -> None:
        """Write the ledger anew."""
        self._unwritten = []
        if not self.is_store:
            write(self._path / LEDGER_FILE, _lines(records))
            return
        old = self.folder.sizes(_LEDGER_FOLDER)
        self.folder.write(_ledger_name(), _lines(records))
        for name in old:
            self.folder.remove(f"{_LEDGER_FOLDER}/{name}")

    def verified(self, job: Job, pieces: dict[int, Record]) -> tuple[Record, ...]:
        """Return the records of a job whose part files are there as they were written, up to the first gap.

        On this machine each file is read and hashed; in a store its size is compared.
        """
        found: list[Record] = []
        inputs = job.inputs
        while (record := pieces.get(len(found))) and record.inputs == inputs and self._is_as_written(record):
            found.append(record)
            if record.last:
                break
        return tuple(found)

    def _is_as_written(self, record: Record) -> bool:
        if self.is_store:
            if self._sizes is None:
                self._sizes = self.folder.sizes("parts")
            return self._sizes.get(Path(record.file).name) == record.bytes
        try:
            content = (self._path / record.file).read_bytes()
            if hashlib.sha256(content).hexdigest() != record.sha256:
                return False
            found = read_metadata(pq.read_schema(pa.BufferReader(content)))
        except (pa.ArrowException, OSError, ValueError):
            return False  # not there, or damaged, for example by a full disk
        names = ("part", "piece", "inputs", "photos", "faces", "errors")
        return found == {name: getattr(record, name) for name in names}

    def part_files(self) -> set[str]:
        """Return the names of all part files, such as ``parts/part-0000000.parquet``."""
        names = self.folder.sizes("parts")
        return {f"parts/{name}" for name in names if name.startswith("part-")}

    def clean(self) -> None:
        """Remove the temporary files of a killed run."""
        if self.is_store:
            return
        try:
            for folder in (self._path, self._path / "parts"):
                for temporary in folder.glob(".*.tmp"):
                    temporary.unlink()
        except OSError as error:
            raise OutputError(f"cannot remove {str(temporary)!r}: {error.strerror or error}") from error

    def close(self) -> None:
        """Remove the copy of the index."""
        if self._scratch:
            self._scratch.cleanup()


_EXAMPLE = Record(0, 0, True, 0, 0, 0, 0, "", "")


def _ledger_name() -> str:
    return f"{_LEDGER_FOLDER}/{time.time_ns():020d}-{uuid4().hex[:8]}.jsonl"


def _lines(records: Iterable[Record]) -> bytes:
    return "".join(json.dumps(record._asdict()) + "\n" for record in records).encode()


def sort_key(file: str) -> tuple[str, str]:
    """Return by what to sort part files so that they are in the order of the photos."""
    name = Path(file).stem
    return name[:12], name[12:]


def ordered(records: Records) -> Iterator[Record]:
    """Yield records in the order of the photos."""
    for _, pieces in sorted(records.items()):
        for _, record in sorted(pieces.items()):
            yield record
