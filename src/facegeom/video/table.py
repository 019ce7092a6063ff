"""Faces of a video as a Parquet table: one row per face and frame."""

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
from facegeom.results import FACE_SHAPES
from facegeom.video.reading import Frame
from facegeom.video.tracking import TrackedFaces

ROW_GROUP = 256
"""Rows to hold in memory before they are written."""

ANGLES = ("yaw_deg", "pitch_deg", "roll_deg")


def schema() -> Any:
    """Return the table's schema: frame, time_s, id, the fields of a face, its angles.

    A field with a shape, such as ``mesh_px`` (478, 3), is a list of that many numbers, row by row.
    """
    import pyarrow as pa

    fields = [
        pa.field(name, pa.list_(pa.float32(), prod(shape)) if shape else pa.float32())
        for name, shape in FACE_SHAPES.items()
    ]
    head = [("frame", pa.int64()), ("time_s", pa.float64()), ("id", pa.int32())]
    return pa.schema([*head, *fields, *((angle, pa.float32()) for angle in ANGLES)])


class TableWriter:
    """Write rows into an open Parquet file, one row group at a time. Get one from :func:`open_table`."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._pending: list[Any] = []
        self._rows = 0

    def write(self, frame: Frame, tracked: TrackedFaces) -> None:
        """Append the faces of one frame, which may have none."""
        if len(tracked.ids):
            self._pending.append(_to_batch(frame, tracked))
            self._rows += len(tracked.ids)
        if self._rows >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the pending rows as a row group."""
        import pyarrow as pa

        if self._pending:
            self._writer.write_table(pa.Table.from_batches(self._pending))
        self._pending, self._rows = [], 0


@contextmanager
def open_table(path: Path, metadata: Mapping[str, str]) -> Iterator[TableWriter]:
    """Open a Parquet file for writing; it appears under its name when the block ends without an error.

    Args:
        path: path of the file.
        metadata: stored in the file; may be filled until the end of the block.

    Raises:
        OutputError: the file cannot be written.
    """
    from pyarrow.parquet import ParquetWriter

    with replacing(path) as temporary, ParquetWriter(temporary, schema(), compression="zstd") as writer:
        table = TableWriter(writer)
        yield table
        table.flush()
        writer.add_key_value_metadata(dict(metadata))


def read_table(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Read a table of ``facegeom video``.

    Returns:
        The columns as arrays with one entry per row, fields in their shapes; and the metadata: source,
        rate, frames, seconds.

    Raises:
        InputError: the file is not a Parquet file of ``facegeom video``.
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
    metadata = {key.decode(): value.decode() for key, value in stored.items() if key != b"ARROW:schema"}
    return {name: _to_array(table, name) for name in schema().names}, metadata


def _to_batch(frame: Frame, tracked: TrackedFaces) -> Any:
    """Return the rows of one frame as a record batch."""
    import pyarrow as pa

    count, faces = len(tracked.ids), tracked.faces
    angles = angles_from_rotation(faces.rotation.astype(np.float64)).astype(np.float32)
    frame_and_time = pa.array([frame.index] * count), pa.array([frame.time_s] * count)
    columns = [*frame_and_time, pa.array(tracked.ids.astype(np.int32))]
    for name, shape in FACE_SHAPES.items():
        flat = pa.array(getattr(faces, name).ravel())
        columns.append(pa.FixedSizeListArray.from_arrays(flat, prod(shape)) if shape else flat)
    return pa.RecordBatch.from_arrays([*columns, *map(pa.array, angles.T)], schema=schema())


def _to_array(table: Any, name: str) -> npt.NDArray[Any]:
    """Return a column as an array (rows, *shape of the field)."""
    column = table[name].combine_chunks()
    shape = FACE_SHAPES.get(name, ())
    values = column.flatten() if shape else column
    return np.asarray(values.to_numpy(zero_copy_only=False).reshape(len(column), *shape))
