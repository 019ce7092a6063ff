"""Faces of a video as Parquet tables: one row per face and frame, and one row per frame."""

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
from facegeom.results import FACE_SHAPES, Faces
from facegeom.video.frames import Frame
from facegeom.video.tracking import TrackedFaces

ROW_GROUP = 256
"""Rows to hold in memory before they are written."""

ANGLES = ("yaw_deg", "pitch_deg", "roll_deg")

COLUMN_SHAPES: dict[str, tuple[int, ...]] = {
    **FACE_SHAPES,
    **dict.fromkeys(ANGLES, ()),
    "camera_rotation": (3, 3),
}
"""Columns of a face and the shapes of their entries."""


def face_columns(faces: Faces) -> dict[str, npt.NDArray[np.float32]]:
    """Return the columns of N faces: arrays (N, *shape) by the names of :data:`COLUMN_SHAPES`."""
    angles = angles_from_rotation(faces.rotation.astype(np.float64)).astype(np.float32)
    fields = {name: getattr(faces, name) for name in FACE_SHAPES}
    return {**fields, **dict(zip(ANGLES, angles.T, strict=True)), "camera_rotation": faces.camera_rotation}


def schema() -> Any:
    """Return the schema of the table of faces: frame, time_s, id, the columns of a face.

    A field with a shape, such as ``mesh_px`` (478, 3), is a list of that many numbers, row by row.
    """
    import pyarrow as pa

    fields = [
        pa.field(name, pa.list_(pa.float32(), prod(shape)) if shape else pa.float32())
        for name, shape in COLUMN_SHAPES.items()
    ]
    return pa.schema([("frame", pa.int64()), ("time_s", pa.float64()), ("id", pa.int32()), *fields])


def frames_schema() -> Any:
    """Return the schema of the table of frames."""
    import pyarrow as pa

    return pa.schema(
        [
            *(("frame", pa.int64()), ("time_s", pa.float64()), ("faces", pa.int32())),
            *(("damaged", pa.bool_()), ("cut", pa.bool_())),
        ]
    )


class TableWriter:
    """Write rows into an open Parquet file, one row group at a time."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._pending: list[Any] = []
        self._rows = 0

    def write(self, frame: Frame, tracked: TrackedFaces) -> None:
        """Append the rows of one frame: one for each face, of which there may be none."""
        if len(tracked.ids):
            self._append(_to_batch(frame, tracked))

    def _append(self, batch: Any) -> None:
        self._pending.append(batch)
        self._rows += batch.num_rows
        if self._rows >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the pending rows as a row group."""
        import pyarrow as pa

        if self._pending:
            self._writer.write_table(pa.Table.from_batches(self._pending))
        self._pending, self._rows = [], 0


class FramesWriter(TableWriter):
    """Write one row for each frame: how many faces it has, whether it is damaged or starts a scene."""

    def write(self, frame: Frame, tracked: TrackedFaces) -> None:
        """Append the row of one frame."""
        import pyarrow as pa

        values = (frame.index, frame.time_s, len(tracked.ids), frame.damaged, tracked.cut)
        columns = [
            pa.array([value], field.type) for value, field in zip(values, frames_schema(), strict=True)
        ]
        self._append(pa.RecordBatch.from_arrays(columns, schema=frames_schema()))


@contextmanager
def open_table(path: Path, metadata: Mapping[str, str]) -> Iterator[TableWriter]:
    """Open a Parquet file of faces for writing; it appears under its name if the block ends without an error.

    Args:
        path: path of the file.
        metadata: stored in the file; may be filled until the end of the block.

    Raises:
        OutputError: the file cannot be written.
    """
    with _open_parquet(path, metadata, schema()) as writer:
        table = TableWriter(writer)
        yield table
        table.flush()


@contextmanager
def open_frames_table(path: Path, metadata: Mapping[str, str]) -> Iterator[FramesWriter]:
    """Open a Parquet file of frames for writing, as :func:`open_table`."""
    with _open_parquet(path, metadata, frames_schema()) as writer:
        table = FramesWriter(writer)
        yield table
        table.flush()


@contextmanager
def _open_parquet(path: Path, metadata: Mapping[str, str], columns: Any) -> Iterator[Any]:
    from pyarrow.parquet import ParquetWriter

    with replacing(path) as temporary, ParquetWriter(temporary, columns, compression="zstd") as writer:
        yield writer
        writer.add_key_value_metadata(dict(metadata))


def read_table(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Read a table of ``facegeom video``: of faces, or of frames (``NAME.frames.parquet``).

    Returns:
        The columns as arrays with one entry per row, fields in their shapes; and the metadata: source, rate,
        width, height, fov_deg, fov_source, smoothing, version, start_s, frames, seconds.

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
    names = (frames_schema() if "faces" in table.column_names else schema()).names
    missing = set(names) - set(table.column_names)
    if missing:
        raise InputError(
            f"expected the columns of `facegeom video` in {str(path)!r}, missing: {sorted(missing)}"
        )
    metadata = {key.decode(): value.decode() for key, value in stored.items() if key != b"ARROW:schema"}
    return {name: _to_array(table, name) for name in names}, metadata


def _to_batch(frame: Frame, tracked: TrackedFaces) -> Any:
    """Return the rows of one frame as a record batch."""
    import pyarrow as pa

    count = len(tracked.ids)
    frame_and_time = pa.array([frame.index] * count), pa.array([frame.time_s] * count)
    columns = [*frame_and_time, pa.array(tracked.ids.astype(np.int32))]
    for name, values in face_columns(tracked.faces).items():
        flat, shape = pa.array(values.ravel()), COLUMN_SHAPES[name]
        columns.append(pa.FixedSizeListArray.from_arrays(flat, prod(shape)) if shape else flat)
    return pa.RecordBatch.from_arrays(columns, schema=schema())


def _to_array(table: Any, name: str) -> npt.NDArray[Any]:
    """Return a column as an array (rows, *shape of the field)."""
    column = table[name].combine_chunks()
    shape = COLUMN_SHAPES.get(name, ())
    values = column.flatten() if shape else column
    return np.asarray(values.to_numpy(zero_copy_only=False).reshape(len(column), *shape))
