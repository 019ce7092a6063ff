"""Shards of photos: members of tar files and rows of Parquet files, listed and streamed once, in order."""

import tarfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from facegeom.batch.input_index import PhotoRef
from facegeom.batch.rows import is_part_file
from facegeom.batch.stores import RangeStream, UnreachableError, open_store, patiently
from facegeom.errors import InputError
from facegeom.image.reading import ENDINGS
from facegeom.results.saving import is_own_picture

MAX_BYTES = 1 << 30
"""Largest photo that is read, bytes."""

_UNREADABLE = (OSError, EOFError, ValueError, tarfile.TarError, pa.ArrowException)
_ROWS_PER_BATCH = 16


class Photo(NamedTuple):
    """A photo that was read.

    Attributes:
        ref: where it is stored.
        content: bytes of its file; None if they cannot be had.
        problem: the reason in that case.
        position: where the shard's next photo begins: offset in its tar file, or row; else 0.
    """

    ref: PhotoRef
    content: bytes | None
    problem: str | None = None
    position: int = 0


def opened(file: PhotoRef) -> RangeStream:
    """Open the file of a shard.

    Raises:
        UnreachableError: it cannot be reached.
    """
    store, path = open_store(file.path)
    size = file.size if file.size >= 0 else patiently(lambda: int(store.size(path)), file.path)
    return RangeStream(store, path, size)


def _blame(stream: RangeStream, file: PhotoRef, error: Exception) -> str:
    """Return why a shard is damaged; raise an UnreachableError if its store has failed or it has changed."""
    if stream.failure:
        raise stream.failure
    store, path = open_store(file.path)
    if patiently(lambda: int(store.size(path)), file.path) != stream.size:
        raise UnreachableError(f"{file.path} has changed since it was listed")
    return f"is damaged or cut short ({error})"


def too_large(size: int) -> str:
    """Return the reason not to read a photo."""
    return f"expected at most {MAX_BYTES:,} bytes, got {size:,}"


def tar_members(
    file: PhotoRef, stream: RangeStream, position: int = 0, seen: Counter[str] | None = None
) -> Iterator[tuple[PhotoRef, int]]:
    """Yield the photos of a tar file, such as a WebDataset shard, in its order, and where the next begins.

    If the file is damaged, the members before the damage are followed by a "damaged" photo.

    Args:
        file: the tar file.
        stream: its content.
        position: where to begin.
        seen: how often names occurred before.

    Raises:
        UnreachableError: the store cannot be reached.
    """
    seen = Counter() if seen is None else seen
    try:
        stream.seek(position)
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # else tarfile keeps all members in memory
                if member.isreg() and _is_photo(member.name):
                    name = member.name.encode(errors="backslashreplace").decode()
                    seen[name] += 1
                    repeat = f"#{seen[name]}" if seen[name] > 1 else ""
                    photo = file._replace(
                        key=f"{file.key}/{name}{repeat}",
                        name=name,
                        kind="member",
                        position=member.offset_data,
                        size=member.size,
                        photo_count=1,
                    )
                    yield photo, tar.offset
    except _UNREADABLE as error:
        problem = f"the tar file {_blame(stream, file, error)}"
        yield file._replace(kind="damaged", photo_count=1, problem=problem), stream.size


def _is_photo(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and not is_own_picture(name)


def tar_photos(shard: PhotoRef, position: int, seen: Counter[str]) -> Iterator[Photo]:
    """Read the photos of a tar file from a position on, each byte once.

    Raises:
        UnreachableError: the store cannot be reached.
    """
    with opened(shard) as stream:
        stream.ahead(position, stream.size)
        for ref, following in tar_members(shard, stream, position, seen):
            if ref.kind == "damaged" or ref.size > MAX_BYTES:
                yield Photo(ref, None, ref.problem or too_large(ref.size), following)
                continue
            stream.seek(ref.position)
            content = stream.read(ref.size)
            yield member_photo(ref, content, following)


def member_photo(ref: PhotoRef, content: bytes, position: int = 0) -> Photo:
    """Return a member that was read; its tar file may break off within it."""
    if len(content) < ref.size:
        reason = f"the tar file breaks off after {len(content)} of {ref.size} bytes of the photo"
        return Photo(ref, None, reason, position)
    return Photo(ref, content, None, position)


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


def row_groups(file: PhotoRef, image: str | None, name: str | None, rows: int) -> list[PhotoRef]:
    """Return the shards of a Parquet file: whole row groups, of at least so many rows; read the footer only.

    Raises:
        InputError: it lacks a column.
        UnreachableError: the store cannot be reached.
    """
    with opened(file) as stream:
        try:
            table = pq.ParquetFile(stream)
        except _UNREADABLE as error:
            return [file._replace(kind="damaged", problem=f"the Parquet file {_blame(stream, file, error)}")]
        if is_part_file(table.schema_arrow):
            return []  # rows of a run, not photos
        image_column(table.schema_arrow, image, file.key)
        if name is not None and name not in table.schema_arrow.names:
            raise InputError(f"expected the column {name!r} with names, found {table.schema_arrow.names}")
        found, first = [], 0
        edges = _edges(table)
        for number, end in enumerate(edges[1:], 1):
            if end - first >= rows or (number == len(edges) - 1 and end > first):
                found.append(file._replace(kind="parquet", position=first, photo_count=end - first))
                first = end
        return found


def _edges(table: pq.ParquetFile) -> list[int]:
    """Return the first row of each row group, and the number of rows."""
    groups = range(table.metadata.num_row_groups)
    return list(accumulate((table.metadata.row_group(group).num_rows for group in groups), initial=0))


class ParquetShards:
    """Read the photos of Parquet files; the last file stays open, since its next rows often follow.

    Args:
        image: column with the photos' bytes; None for the only one that can hold them.
        name: column with the photos' names, optional.
    """

    def __init__(self, image: str | None, name: str | None) -> None:
        self._image, self._name = image, name
        self._open: tuple[tuple[object, ...], RangeStream, pq.ParquetFile] | None = None

    def photos(self, shard: PhotoRef, position: int = 0) -> Iterator[Photo]:
        """Read the photos of a shard from a row on, with few of them in memory.

        Raises:
            UnreachableError: the store cannot be reached, or the file has changed.
        """
        stream, table = self._opened(shard)
        image = image_column(table.schema_arrow, self._image, shard.key)
        edges, row, end = _edges(table), max(position, shard.position), shard.position + shard.photo_count
        if end > edges[-1]:
            raise UnreachableError(f"{shard.path} has changed since it was listed")
        while row < end:
            group = bisect_right(edges, row) - 1
            values = self._values(stream, table, group, image)
            try:
                for number, value in enumerate(values, edges[group]):
                    if number == end:  # of a shard that is cut by a limit
                        break
                    if number == row:
                        yield _row(shard, row, *value)
                        row += 1
            except _UNREADABLE as error:
                problem = f"the Parquet file {_blame(stream, shard, error)}"
                self.close()
                for damaged in range(row, min(end, edges[group + 1])):
                    yield _row(shard, damaged, b"", None)._replace(content=None, problem=problem)
                stream, table = self._opened(shard)
                row = edges[group + 1]

    def _values(
        self, stream: RangeStream, table: pq.ParquetFile, group: int, image: str
    ) -> Iterator[tuple[bytes | None, object]]:
        """Yield the bytes and the name of each row of a group."""
        about = table.metadata.row_group(group)
        leaves = [about.column(number) for number in range(about.num_columns)]
        bytes_of = max(
            (leaf for leaf in leaves if leaf.path_in_schema.split(".")[0] == image),
            key=lambda leaf: leaf.total_compressed_size,
        )
        begin = min(bytes_of.dictionary_page_offset or bytes_of.data_page_offset, bytes_of.data_page_offset)
        stream.ahead(begin, begin + bytes_of.total_compressed_size)
        columns = [image, self._name] if self._name and self._name != image else [image]
        batches = table.iter_batches(_ROWS_PER_BATCH, row_groups=[group], columns=columns, use_threads=False)
        for batch in batches:
            names = batch[self._name] if self._name else [None] * batch.num_rows
            for value, name in zip(batch[image], names, strict=True):
                content: Any = value.as_py()
                if isinstance(content, dict):
                    yield content.get("bytes"), name.as_py() if self._name else content.get("path")
                else:
                    yield content, name.as_py() if self._name else None

    def _opened(self, shard: PhotoRef) -> tuple[RangeStream, pq.ParquetFile]:
        """Return the file of a shard, opened if it is another one than before."""
        place = shard.path, shard.version, shard.size
        if self._open is None or self._open[0] != place:
            self.close()
            stream = opened(shard)
            try:
                self._open = place, stream, pq.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False)
            except _UNREADABLE as error:
                raise UnreachableError(f"{shard.path} {_blame(stream, shard, error)}") from error
        return self._open[1:]

    def close(self) -> None:
        """Close the open file."""
        if self._open is not None:
            self._open[1].close()
        self._open = None


def _row(shard: PhotoRef, row: int, content: bytes | None, name: object) -> Photo:
    ref = shard._replace(
        key=f"{shard.key}#{row}", name=None if name is None else str(name), position=row, photo_count=1
    )
    if content is None:
        return Photo(ref, None, "the row holds no bytes (null)", row + 1)
    if len(content) > MAX_BYTES:
        return Photo(ref, None, too_large(len(content)), row + 1)
    return Photo(ref, content, None, row + 1)
