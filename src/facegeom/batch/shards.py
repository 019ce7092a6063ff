"""What is inside tar and Parquet files, listed from headers and footers without reading a photo."""

import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from facegeom.batch.photo import Photo
from facegeom.errors import InputError
from facegeom.image.reading import ENDINGS

_UNREADABLE = (OSError, EOFError, ValueError, tarfile.TarError, pa.ArrowException)


class Columns(NamedTuple):
    """Columns of Parquet sources.

    Attributes:
        image: with the photos' bytes; None for the only one that can hold them.
        name: with their names, optional.
    """

    image: str | None = None
    name: str | None = None


def tar_members(store: Any, path: str, whole: Photo) -> Iterator[Photo]:
    """The photos of a tar file, such as a WebDataset's, in its order; other members are passed over.

    Args:
        store: file system.
        path: of the tar file in it.
        whole: the tar file; its members' keys continue its key. If it breaks off, what came before is
            listed, and a damaged "photo" says why it ends there.
    """
    seen: Counter[str] = Counter()
    try:
        with store.open(path, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # else it remembers them all
                if member.isreg() and _is_photo(member.name):
                    seen[member.name] += 1
                    again = f"#{seen[member.name]}" if seen[member.name] > 1 else ""
                    yield whole._replace(
                        key=f"{whole.key}/{member.name}{again}",
                        name=member.name,
                        kind="tar",
                        position=member.offset_data,
                        size=member.size,
                    )
    except _UNREADABLE as error:
        yield whole._replace(kind="damaged", problem=f"the tar file is damaged or cut short ({error})")


def _is_photo(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


def parquet_rows(store: Any, path: str, whole: Photo, columns: Columns) -> Iterator[Photo]:
    """The rows of a Parquet file, one photo each.

    Raises:
        InputError: no column can hold photos, or the one that was asked for is not there.
    """
    try:
        with store.open(path, "rb") as stream:
            file = pq.ParquetFile(stream)
            names = _names(file, image_column(file.schema_arrow, columns.image, whole.key), columns.name)
            for row, name in zip(range(file.metadata.num_rows), names, strict=True):
                yield whole._replace(key=f"{whole.key}#{row}", name=name, kind="parquet", position=row)
    except InputError:
        raise
    except _UNREADABLE as error:
        yield whole._replace(kind="damaged", problem=f"the Parquet file is damaged or cut short ({error})")


def image_column(schema: pa.Schema, wanted: str | None, file: str) -> str:
    """The column with the photos: binary, or a struct with binary ``bytes`` as in Hugging Face's data sets.

    Raises:
        InputError: it is not there, or several could be meant.
    """
    able = [field.name for field in schema if _holds_bytes(field.type)]
    if wanted in able or (wanted is None and len(able) == 1):
        return wanted or able[0]
    found = f"{file!r} has {', '.join(f'{field.name} ({field.type})' for field in schema) or 'no column'}"
    if wanted is not None:
        raise InputError(f"expected the column {wanted!r} with the bytes of photos, but {found}")
    advice = "name it with --column" if able else "name the photos by a glob that leaves the file out"
    raise InputError(f"expected one column with the bytes of photos, but {found}; {advice}")


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _holds_bytes(kind.field(place).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _names(file: pq.ParquetFile, image: str, wanted: str | None) -> Iterator[str | None]:
    """Names of the rows: of the column asked for, else the path beside the bytes, else none."""
    kind = file.schema_arrow.field(image).type
    if wanted is None and pa.types.is_struct(kind) and kind.get_field_index("path") >= 0:
        for batch in file.iter_batches(columns=[f"{image}.path"]):
            yield from (_text(value["path"]) if value else None for value in batch.column(0).to_pylist())
    elif wanted is None:
        yield from (None for _ in range(file.metadata.num_rows))
    elif wanted not in file.schema_arrow.names:
        raise InputError(f"expected the column {wanted!r} with names, found {file.schema_arrow.names}")
    else:
        for batch in file.iter_batches(columns=[wanted]):
            yield from (_text(value) for value in batch.column(0).to_pylist())


def _text(value: object) -> str | None:
    return None if value is None else str(value)
