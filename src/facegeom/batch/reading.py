"""The bytes of photos, read where they are analysed: in the worker."""

import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from itertools import accumulate
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from facegeom.batch import stores
from facegeom.batch.photo import Photo
from facegeom.batch.shards import image_column
from facegeom.errors import ImageError

MAX_BYTES = 1 << 30
"""Longest photo that is read, bytes."""

_WAITS_S = (1.0, 4.0)
_LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_ROWS_AT_ONCE = 16


class Reader:
    """Reads photos one after the other; the file that holds several stays open between them.

    Args:
        column: of Parquet files with the photos; None for the only one that can hold them.
    """

    def __init__(self, column: str | None = None) -> None:
        self._column = column
        self._tar: tuple[str, IO[bytes]] | None = None
        self._rows: _Rows | None = None

    def __call__(self, photo: Photo) -> bytes:
        """The photo's file.

        Raises:
            ImageError: it cannot be read; a store that fails is asked three times.
        """
        if photo.kind == "damaged":
            raise ImageError(photo.problem or "damaged")
        if photo.size > MAX_BYTES and photo.kind != "parquet":
            raise ImageError(f"expected at most {MAX_BYTES:,} bytes, got {photo.size:,}")
        waits_s = list(_WAITS_S) if stores.is_url(photo.path) else []
        while True:
            try:
                return self._read(photo)
            except (OSError, pa.ArrowException) as error:
                self._forget()
                if not waits_s or isinstance(error, _LASTING):
                    raise ImageError(f"cannot be read: {_reason(error)}") from error
            time.sleep(waits_s.pop(0))

    def _read(self, photo: Photo) -> bytes:
        if photo.kind == "tar":
            return self._member(photo)
        if photo.kind == "parquet":
            return self._row(photo)
        store, path = stores.open_store(photo.path)
        with store.open(path, "rb") as stream:
            return bytes(stream.read(MAX_BYTES))

    def _member(self, photo: Photo) -> bytes:
        if self._tar is None or self._tar[0] != photo.path:
            self._forget()
            store, path = stores.open_store(photo.path)
            self._tar = photo.path, store.open(path, "rb")
        stream = self._tar[1]
        stream.seek(photo.position)
        content = stream.read(photo.size)
        if len(content) < photo.size:
            raise ImageError(
                f"the tar file breaks off after {len(content)} of {photo.size} bytes of the photo"
            )
        return content

    def _row(self, photo: Photo) -> bytes:
        if self._rows is None or self._rows.path != photo.path:
            self._forget()
            self._rows = _Rows(photo, self._column)
        return self._rows.read(photo.position)

    def _forget(self) -> None:
        with suppress(OSError):  # a store that has failed may fail again at closing
            if self._tar is not None:
                self._tar[1].close()
            if self._rows is not None:
                self._rows.close()
        self._tar = self._rows = None


class _Rows:
    """Goes forward through a Parquet file, one row group at a time, holding few rows."""

    def __init__(self, photo: Photo, column: str | None) -> None:
        self.path = photo.path
        store, path = stores.open_store(photo.path)
        self._stream = store.open(path, "rb")
        self._file = pq.ParquetFile(self._stream, buffer_size=1 << 20, pre_buffer=False)
        self._column = image_column(self._file.schema_arrow, column, photo.key)
        groups = self._file.metadata.num_row_groups
        lengths = (self._file.metadata.row_group(group).num_rows for group in range(groups))
        self._edges = list(accumulate(lengths, initial=0))
        self._first = self._next = self._end = 0
        self._batches: Iterator[Any] = iter(())
        self._values: Any = ()

    def read(self, row: int) -> bytes:
        """The bytes in a row."""
        if not self._first <= row < self._end:
            self._enter_group(row)
        while row >= self._next:
            self._values = next(self._batches).column(0)
            self._first, self._next = self._next, self._next + len(self._values)
        value = self._values[row - self._first].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is None:
            raise ImageError("the row holds no bytes (null)")
        return bytes(content)

    def _enter_group(self, row: int) -> None:
        """Go to the beginning of the row group that holds a row."""
        group = bisect_right(self._edges, row) - 1
        if group + 1 >= len(self._edges):
            raise ImageError(f"expected row {row}, but the file has {self._edges[-1]} rows; it has changed")
        self._batches = self._file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[self._column])
        self._first = self._next = self._edges[group]
        self._end = self._edges[group + 1]

    def close(self) -> None:
        self._file.close()
        self._stream.close()


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file any more"
    return str(getattr(error, "strerror", None) or error)
