"""Open files by path or URL, and read the bytes of photos; workers do this for the photos they analyze."""

import os
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from itertools import accumulate, islice
from pathlib import Path
from textwrap import shorten
from typing import IO, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.arrow import ArrowFSWrapper
from pyarrow.fs import FileSystem

from facegeom.batch.input_index import PhotoRef
from facegeom.errors import FacegeomError, ImageError, InputError

MAX_BYTES = 1 << 30
"""Largest photo that is read, bytes."""

_RETRY_DELAYS_S = (1.0, 4.0)
_PERMANENT_ERRORS = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_ROWS_PER_BATCH = 16
_REASON_LENGTH = 300
_GOOGLE_WAIT = "retry_limit_seconds=30"
"""Option of pyarrow's driver for Google Cloud Storage, which else waits for a quarter of an hour."""


def is_url(location: str) -> bool:
    """Return whether a location is a URL, not a path on this machine."""
    return "://" in location


def normalized(location: str | os.PathLike[str]) -> str:
    """Return a source as the keys of its photos begin: without trailing slash or leading ``./``."""
    text = os.fspath(location)
    if is_url(text):
        return text.rstrip("/")
    return Path(text).as_posix()


def open_store(location: str) -> tuple[Any, str]:
    """Return the fsspec file system of a path or URL, and the path within it.

    Listings are not cached: with millions of photos they would fill the memory.

    Raises:
        InputError: no driver supports the URL.
    """
    if "::" in location:
        raise InputError(f"expected a plain URL, got the chain {location!r}; unpack it first")
    try:
        store, path = fsspec.core.url_to_fs(location, use_listings_cache=False)
    except ImportError as error:
        return _open_with_pyarrow(location, error)
    except ValueError as error:
        raise InputError(
            f"expected a path or a URL that fsspec supports, got {location!r}: {error}"
        ) from error
    except Exception as error:  # drivers of stores raise errors of any type
        raise InputError(f"cannot open {location!r}: {reason_of(error)}") from error
    return store, str(path)


def _open_with_pyarrow(location: str, missing: ImportError) -> tuple[Any, str]:
    """Open S3, Google and Hadoop stores without further packages."""
    waiting = f"?{_GOOGLE_WAIT}" if location.startswith(("gs://", "gcs://")) and "?" not in location else ""
    try:
        store, path = FileSystem.from_uri(location + waiting)
    except (pa.ArrowException, OSError) as error:
        reason = reason_of(error)
        if "nrecognized filesystem type" in reason:  # pyarrow knows no such store, so a driver is missing
            reason = reason_of(missing)
        raise InputError(f"cannot open {location!r}: {reason}") from error
    return ArrowFSWrapper(store), path


def url_of(path: str, source: str) -> str:
    """Return the path or URL by which a worker opens a file; ``source`` is one in the same store."""
    if not is_url(source) or is_url(path):
        return path
    return f"{source.partition('://')[0]}://{path.lstrip('/')}"


def image_column(schema: pa.Schema, wanted: str | None, file: str) -> str:
    """Return the column with the photos' bytes.

    A column can hold them if it is binary, or a struct with binary ``bytes`` as in Hugging Face data sets.

    Raises:
        InputError: the wanted column is missing, or none is wanted and not exactly one can hold photos.
    """
    candidates = [field.name for field in schema if _holds_bytes(field.type)]
    if wanted in candidates or (wanted is None and len(candidates) == 1):
        return wanted or candidates[0]
    found = f"{file!r} has {', '.join(f'{field.name} ({field.type})' for field in schema) or 'no column'}"
    if wanted is not None:
        raise InputError(f"expected the column {wanted!r} with the bytes of photos, but {found}")
    advice = "name it with --column" if candidates else "name the photos by a glob that leaves the file out"
    raise InputError(f"expected one column with the bytes of photos, but {found}; {advice}")


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_bytes(kind.field(index).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


class Reader:
    """Read photos one after another; a tar or Parquet file stays open between its photos.

    Args:
        column: Parquet column with the photos' bytes; None for the only one that can hold them.
    """

    def __init__(self, column: str | None = None) -> None:
        self._column = column
        self._path: str | None = None  # of the open file
        self._stream: IO[bytes] | None = None
        self._rows: _ParquetRows | None = None

    def __call__(self, photo: PhotoRef) -> bytes:
        """Return the bytes of a photo's file; a failing store is tried three times.

        Raises:
            ImageError: the photo cannot be read.
        """
        if photo.kind == "damaged":
            raise ImageError(photo.problem or "damaged")
        if photo.size > MAX_BYTES and photo.kind != "parquet":
            raise ImageError(f"expected at most {MAX_BYTES:,} bytes, got {photo.size:,}")
        delays_s = list(_RETRY_DELAYS_S) if is_url(photo.path) else []
        while True:
            try:
                return self._read(photo)
            except FacegeomError:
                raise
            except Exception as error:  # drivers of stores raise errors of any type
                self._close()
                if not delays_s or isinstance(error, _PERMANENT_ERRORS):
                    raise ImageError(f"cannot be read: {reason_of(error)}") from error
            time.sleep(delays_s.pop(0))

    def _read(self, photo: PhotoRef) -> bytes:
        if photo.kind == "file":
            store, path = open_store(photo.path)
            with store.open(path, "rb") as stream:
                return bytes(stream.read(MAX_BYTES))
        stream = self._opened(photo)
        if self._rows is not None:
            return self._rows.read(photo.position)
        stream.seek(photo.position)
        content = bytes(stream.read(photo.size))
        if len(content) < photo.size:
            raise ImageError(
                f"the tar file breaks off after {len(content)} of {photo.size} bytes of the photo"
            )
        return content

    def _opened(self, photo: PhotoRef) -> IO[bytes]:
        """Return the tar or Parquet file of a photo, opened if it is another one than before."""
        if self._stream is None or self._path != photo.path:
            self._close()
            store, path = open_store(photo.path)
            self._stream = store.open(path, "rb")
            self._rows = (
                _ParquetRows(self._stream, self._column, photo.key) if photo.kind == "parquet" else None
            )
            self._path = photo.path
        return self._stream

    def _close(self) -> None:
        """Close the open tar or Parquet file."""
        with suppress(Exception):  # a store that has failed may fail again on closing
            if self._stream is not None:
                self._stream.close()
        self._path = self._stream = self._rows = None


class _ParquetRows:
    """Read the photos of a Parquet file forward, one row group at a time, with few rows in memory."""

    def __init__(self, stream: IO[bytes], column: str | None, key: str) -> None:
        self._file = pq.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False)
        self._column = image_column(self._file.schema_arrow, column, key)
        groups = self._file.metadata.num_row_groups
        lengths = (self._file.metadata.row_group(group).num_rows for group in range(groups))
        self._group_edges = list(accumulate(lengths, initial=0))
        self._next_row = self._group_end = 0
        self._values: Iterator[Any] = iter(())

    def read(self, row: int) -> bytes:
        """Return the photo's bytes in a row."""
        if not self._next_row <= row < self._group_end:
            self._seek_group(row)
        skipped, self._next_row = row - self._next_row, self._group_end  # seek again if reading fails
        value = next(islice(self._values, skipped, None)).as_py()
        self._next_row = row + 1
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is None:
            raise ImageError("the row holds no bytes (null)")
        return bytes(content)

    def _seek_group(self, row: int) -> None:
        """Move to the start of the row group that holds a row."""
        group = bisect_right(self._group_edges, row) - 1
        if group + 1 >= len(self._group_edges):
            rows = self._group_edges[-1]
            raise ImageError(f"expected row {row}, but the file has {rows} rows; it has changed")
        batches = self._file.iter_batches(_ROWS_PER_BATCH, row_groups=[group], columns=[self._column])
        self._values = (value for batch in batches for value in batch.column(0))
        self._next_row, self._group_end = self._group_edges[group : group + 2]


def reason_of(error: Exception) -> str:
    """Return why a store has failed, in one line."""
    if isinstance(error, FileNotFoundError):
        return "no such file any more"
    text = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return shorten(text, _REASON_LENGTH, placeholder=" …")
