"""All faces of a video as Parquet: one row for each face of each frame."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.export.files import replacing
from facegeom.geometry.rotation import angles_from_rotation
from facegeom.results import SHAPES
from facegeom.video.reading import Frame
from facegeom.video.tracking import TrackedFaces

ROW_GROUP = 256
"""Rows that are held in memory before they are written."""

ANGLES = ("yaw_deg", "pitch_deg", "roll_deg")


def schema() -> Any:
    """The columns: frame, time_s, id, the fields of a face, its angles.

    A field with a shape, such as ``mesh_px`` (478, 3), is a list of that many numbers, row by row.
    """
    import pyarrow as pa

    fields = [
        pa.field(name, pa.list_(pa.float32(), prod(shape)) if shape else pa.float32())
        for name, shape in SHAPES.items()
    ]
    head = [("frame", pa.int64()), ("time_s", pa.float64()), ("id", pa.int32())]
    return pa.schema([*head, *fields, *((angle, pa.float32()) for angle in ANGLES)])


class TableWriter:
    """Rows into an open Parquet file, a group at a time. Get one from :func:`open_table`."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._pending: list[Any] = []
        self._rows = 0

    def write(self, frame: Frame, tracked: TrackedFaces) -> None:
        """The faces of one frame; none is fine."""
        if len(tracked.ids):
            self._pending.append(_rows(frame, tracked))
            self._rows += len(tracked.ids)
        if self._rows >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        import pyarrow as pa

        if self._pending:
            self._writer.write_table(pa.Table.from_batches(self._pending))
        self._pending, self._rows = [], 0


@contextmanager
def open_table(path: Path, about: Mapping[str, str]) -> Iterator[TableWriter]:
    """A Parquet file to write, there under its name once the block has ended without an error.

    Args:
        path: of the file.
        about: stored with it; may be filled as late as the end of the block.

    Raises:
        OutputError: it cannot be written.
    """
    from pyarrow.parquet import ParquetWriter

    with replacing(path) as temporary, ParquetWriter(temporary, schema(), compression="zstd") as writer:
        table = TableWriter(writer)
        yield table
        table.flush()
        writer.add_key_value_metadata(dict(about))


def read_table(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """The columns as arrays, one entry for each row, fields in their shapes; and what is stored about them.

    Raises:
        InputError: it is no Parquet file of ``facegeom video``.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            table, stored = file.read(), file.metadata.metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"expected a Parquet file of `facegeom video`, got {str(path)!r}: {error}"
        ) from error
    missing = set(schema().names) - set(table.column_names)
    if missing:
        raise InputError(
            f"expected the columns of `facegeom video` in {str(path)!r}, missing: {sorted(missing)}"
        )
    about = {key.decode(): value.decode() for key, value in stored.items() if key != b"ARROW:schema"}
    return {name: _column(table, name) for name in schema().names}, about


def _rows(frame: Frame, tracked: TrackedFaces) -> Any:
    import pyarrow as pa

    count, faces = len(tracked.ids), tracked.faces
    angles = angles_from_rotation(faces.rotation.astype(np.float64)).astype(np.float32)
    when = pa.array([frame.index] * count), pa.array([frame.time_s] * count)
    columns = [*when, pa.array(tracked.ids.astype(np.int32))]
    for name, shape in SHAPES.items():
        flat = pa.array(getattr(faces, name).ravel())
        columns.append(pa.FixedSizeListArray.from_arrays(flat, prod(shape)) if shape else flat)
    return pa.RecordBatch.from_arrays([*columns, *map(pa.array, angles.T)], schema=schema())


def _column(table: Any, name: str) -> npt.NDArray[Any]:
    column = table[name].combine_chunks()
    shape = SHAPES.get(name, ())
    values = column.flatten() if shape else column
    return np.asarray(values.to_numpy(zero_copy_only=False).reshape(len(column), *shape))
