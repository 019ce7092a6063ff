"""Paths and URLs: open them, read and write whole files and ranges, and wait for a store that stays away."""

import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache, partial
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar
from uuid import uuid4

import fsspec
import pyarrow as pa
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.local import LocalFileSystem
from pyarrow.fs import FileSystem

from facegeom.errors import FacegeomError, InputError

RETRY_DELAYS_S: tuple[float, ...] = (0.5, 1, 2, 4, 8, 15, 15, 15)
"""Pauses between attempts to reach a source or an output: a minute in all."""

_CHUNK_BYTES, _CHUNKS_AHEAD = 1 << 21, 4
_WAIT_S = 0.25
_REASON_LENGTH = 300
_GOOGLE_WAIT = "retry_limit_seconds=30"
"""Option of pyarrow's driver for Google Cloud Storage, which else waits for a quarter of an hour."""

_ATOMIC = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "memory"}
"""Stores in which a new object appears whole or not at all."""

_T = TypeVar("_T")
_waiting: ContextVar[tuple[Callable[[], object], float]] = ContextVar("waiting", default=(lambda: None, 1e9))


class UnreachableError(FacegeomError):
    """A source or the output cannot be reached. It says nothing of the photos: try again later."""


def is_url(location: str) -> bool:
    """Return whether a location is a URL, not a path on this machine."""
    return "://" in location


def reason_of(error: Exception) -> str:
    """Return why a store has failed, in one line."""
    if isinstance(error, FileNotFoundError):
        return "no such file any more"
    text = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return shorten(text, _REASON_LENGTH, placeholder=" …")


def open_store(location: str) -> tuple[Any, str]:
    """Return the fsspec file system of a path or URL, and the path within it.

    Listings are not cached: with millions of photos they would fill the memory.

    Raises:
        InputError: no driver supports the URL.
    """
    if not location:
        raise InputError("expected a path or URL, got an empty text")
    if "::" in location:
        raise InputError(f"expected a plain URL, got the chain {location!r}; unpack it first")
    try:
        store, path = fsspec.core.url_to_fs(location, use_listings_cache=False)
    except ImportError as error:
        scheme, _, rest = location.partition("://")
        host, slash, path = rest.partition("/")
        store, root = _open_with_pyarrow(f"{scheme}://{host}", str(error))
        return store, f"{root.rstrip('/')}{slash}{path}"
    except ValueError as error:
        raise InputError(
            f"expected a path or a URL that fsspec supports, got {location!r}: {error}"
        ) from error
    except Exception as error:  # drivers of stores raise errors of any type
        raise InputError(f"cannot open {location!r}: {reason_of(error)}") from error
    return store, str(path)


@lru_cache(64)
def _open_with_pyarrow(place: str, missing: str) -> tuple[Any, str]:
    """Open a bucket of S3 or Google, or a Hadoop store, without further packages."""
    waiting = f"?{_GOOGLE_WAIT}" if place.startswith(("gs://", "gcs://")) else ""
    try:
        store, root = FileSystem.from_uri(place + waiting)
    except (pa.ArrowException, OSError) as error:
        reason = reason_of(error)
        if "nrecognized filesystem type" in reason:  # pyarrow knows no such store, so a driver is missing
            reason = shorten(missing, _REASON_LENGTH, placeholder=" …")
        raise InputError(f"cannot open {place!r}: {reason}") from error
    return ArrowFSWrapper(store), root


def url_of(path: str, source: str) -> str:
    """Return the path or URL by which a worker opens a file; ``source`` is one in the same store."""
    if not is_url(source) or is_url(path):
        return path
    scheme, _, rest = source.partition("://")
    host = rest.partition("/")[0]  # or a bucket, which the paths of its store begin with
    if path.lstrip("/").startswith(f"{host}/") and host:
        return f"{scheme}://{path.lstrip('/')}"
    return f"{scheme}://{host}/{path.lstrip('/')}"


def patiently(action: Callable[[], _T], what: str) -> _T:
    """Return the result of an action, tried again and again for a minute while it raises any error.

    Raises:
        UnreachableError: it still fails.
        FacegeomError: the action says so; it is not tried again.
    """
    delays_s = list(RETRY_DELAYS_S)
    while True:
        try:
            return action()
        except (FacegeomError, MemoryError):
            raise
        except Exception as error:  # drivers of stores raise errors of any type
            if not delays_s:
                raise UnreachableError(f"{what} cannot be reached: {reason_of(error)}") from error
        time.sleep(delays_s.pop(0))


@contextmanager
def waiting(callback: Callable[[], object], limit_s: float) -> Iterator[None]:
    """Call back four times a second while this thread waits for a store; wait no longer than the limit."""
    token = _waiting.set((callback, limit_s))
    try:
        yield
    finally:
        _waiting.reset(token)


def result_of(future: "Future[_T]", what: str) -> _T:
    """Wait for what another thread reads and return it.

    Raises:
        UnreachableError: nothing came within the limit of :func:`waiting`.
    """
    callback, limit_s = _waiting.get()
    end_s = time.monotonic() + limit_s
    while True:
        with suppress(Late):
            return future.result(max(0.0, min(_WAIT_S, end_s - time.monotonic())))
        if time.monotonic() >= end_s:
            raise UnreachableError(f"{what} cannot be reached: no answer within {limit_s:g} s")
        callback()


def is_deleted(store: Any, path: str) -> bool:
    """Return whether a file is gone while its folder is there, not the folder or the whole store with it."""
    folder, _, name = path.rstrip("/").rpartition("/")
    try:
        if "http" in str(store.protocol):  # it has no folders, and an answer is one
            return True
        names = {str(each).rstrip("/").rpartition("/")[2] for each in store.ls(folder or "/", detail=False)}
    except Exception:  # see patiently
        return False
    return bool(names) and name not in names


class RangeStream(io.RawIOBase):
    """Read a file of a store by exact ranges, each patiently; a whole stretch ahead of its reader.

    Args:
        store: fsspec file system.
        path: in the store.
        size: bytes of the file.

    Attributes:
        failure: why the store could not be reached; libraries that read from the stream may hide it.
    """

    def __init__(self, store: Any, path: str, size: int) -> None:
        self._store, self._path, self.size = store, path, size
        self._position = self._start = self._stop = 0
        self._chunks: dict[int, Future[bytes]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._file: Any = None
        self.failure: UnreachableError | None = None

    def ahead(self, start: int, stop: int) -> None:
        """Fetch a stretch in parallel as it is read; each byte of it is fetched once."""
        if (start, stop) != (self._start, self._stop):
            self._start, self._stop, self._chunks = start, min(stop, self.size), {}

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; fewer only at the end."""
        stop = self.size if size < 0 else min(self._position + size, self.size)
        pieces = []
        try:
            while self._position < stop:
                piece = self._piece(stop)
                pieces.append(piece)
                self._position += len(piece)
        except UnreachableError as error:
            self.failure = error
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _piece(self, stop: int) -> bytes:
        """Return bytes from the position on, at most to ``stop``."""
        self._pool = self._pool or ThreadPoolExecutor(_CHUNKS_AHEAD, "facegeom-range")
        if not self._start <= self._position < self._stop:
            if self._position < self._start:
                stop = min(stop, self._start)
            fetch = partial(self._fetch, self._position, stop)
            return result_of(self._pool.submit(patiently, fetch, self._path), self._path)
        number = (self._position - self._start) // _CHUNK_BYTES
        for old in [each for each in self._chunks if each < number - 1]:
            del self._chunks[old]  # the one before stays: tarfile looks back by a byte
        for each in range(number, number + _CHUNKS_AHEAD):
            start = self._start + each * _CHUNK_BYTES
            if each not in self._chunks and start < self._stop:
                fetch = partial(self._fetch, start, min(start + _CHUNK_BYTES, self._stop))
                self._chunks[each] = self._pool.submit(patiently, fetch, self._path)
        begin = self._position - self._start - number * _CHUNK_BYTES
        chunk = result_of(self._chunks[number], self._path)
        return chunk[begin : begin + stop - self._position]

    def _fetch(self, start: int, stop: int) -> bytes:
        if isinstance(self._store, ArrowFSWrapper):
            self._file = self._file or self._store.fs.open_input_file(self._path)  # asks for the size
            content = bytes(self._file.read_at(stop - start, start))
        else:
            content = bytes(self._store.cat_file(self._path, start=start, end=stop))
        if len(content) != stop - start:
            raise OSError(f"got {len(content)} of {stop - start} bytes")
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset and return it."""
        self._position = (
            offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        )
        return self._position

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._position

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Stop fetching."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        super().close()


class Folder:
    """A folder of a store or of this machine, in which files appear whole or not at all.

    Args:
        location: path or URL.

    Raises:
        InputError: no driver supports the URL.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self._store, self._root = open_store(location)
        scheme = location.partition("://")[0]
        self._is_atomic = scheme in _ATOMIC and not isinstance(self._store, LocalFileSystem)

    def write(self, name: str, content: bytes) -> None:
        """Write a file so that it appears whole or not at all.

        Raises:
            UnreachableError: the store cannot be reached.
        """
        patiently(partial(self._write, f"{self._root}/{name}", content), f"{self.location}/{name}")

    def _write(self, path: str, content: bytes) -> None:
        if self._is_atomic:
            self._store.pipe_file(path, content)
            return
        parent = path.rpartition("/")[0]
        temporary = f"{parent}/.{uuid4().hex}.tmp"
        self._store.makedirs(parent, exist_ok=True)
        try:
            self._store.pipe_file(temporary, content)
            self._store.mv(temporary, path)
        except BaseException:
            with suppress(Exception):
                self._store.rm_file(temporary)
            raise

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is none.

        Raises:
            UnreachableError: the store cannot be reached.
        """
        return patiently(partial(self._read, f"{self._root}/{name}"), f"{self.location}/{name}")

    def _read(self, path: str) -> bytes | None:
        try:
            return bytes(self._store.cat_file(path))
        except FileNotFoundError:
            return None

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Return the bytes of each file in a folder below, by name.

        Raises:
            UnreachableError: the store cannot be reached.
        """
        path = f"{self._root}/{folder}".rstrip("/")
        found = patiently(partial(self._list, path), f"{self.location}/{folder}")
        return {Path(info["name"]).name: info["size"] for info in found if info["type"] == "file"}

    def _list(self, path: str) -> list[dict[str, Any]]:
        try:
            return list(self._store.ls(path, detail=True))
        except FileNotFoundError:
            return []

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""
        patiently(partial(self._remove, f"{self._root}/{name}"), f"{self.location}/{name}")

    def _remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._store.rm_file(path)
