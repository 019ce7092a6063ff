"""Tables of a video, one of its faces and one of its frames, as Parquet or as CSV files."""

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.export.files import replacing
from facegeom.geometry.schemes import ARKIT52
from facegeom.results import FACE_SHAPES, MOTION_SHAPES
from facegeom.video.frames import Frame
from facegeom.video.tracking import TrackedFaces

ROW_GROUP = 256
"""Rows to hold in memory before they are written to Parquet."""

_THREE_DECIMALS = ("_px", "_mm", "_deg", "_xyxy")
"""Endings of fields in pixels, millimetres and degrees; other fractions have six decimals in CSV."""

Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """What a table holds.

    Attributes:
        columns: numpy's name of the type, and the shape of an entry, by the names of the columns.
        rows: returns the columns of the rows of one frame.
    """

    columns: Mapping[str, tuple[str, tuple[int, ...]]]
    rows: Callable[[Frame, TrackedFaces], Columns]

    def schema(self) -> Any:
        """Return the Parquet schema; entries with a shape are lists of that many numbers, row by row."""
        import pyarrow as pa

        types = {name: pa.from_numpy_dtype(np.dtype(dtype)) for name, (dtype, _) in self.columns.items()}
        shapes = {name: shape for name, (_, shape) in self.columns.items() if shape}
        return pa.schema(types | {name: pa.list_(types[name], prod(shapes[name])) for name in shapes})

    def header(self) -> list[str]:
        """Return the names of the columns in CSV, which has one for each number.

        ``box_left``, ``landmarks_px_0_x``, ``mesh_confidence_477``, ``rotation_0_0`` (row, column),
        ``translation_mm_x``: the field, the number of the point from 0, the axis.
        """
        return [name for field, (_, shape) in self.columns.items() for name in _csv_names(field, shape)]


def _csv_names(field: str, shape: tuple[int, ...]) -> list[str]:
    if field == "box_xyxy":
        return [f"box_{side}" for side in ("left", "top", "right", "bottom")]
    parts: list[Any] = [ARKIT52 if field == "expression" else range(size) for size in shape]
    if shape and shape[-1] <= 3 and not field.endswith(("rotation", "confidence")):
        parts[-1] = "xyz"[: shape[-1]]
    return ["_".join(map(str, (field, *part))) for part in product(*parts)]


def _face_rows(frame: Frame, tracked: TrackedFaces) -> Columns:
    """Return a row for each face."""
    faces, count = tracked.faces, len(tracked.ids)
    place = {"frame": [frame.index] * count, "time_s": [frame.time_s] * count, "id": tracked.ids}
    openings = zip(_OPENINGS, (*faces.eye_open.T, faces.mouth_open), strict=True)
    return place | {name: faces.or_nan(name, shape) for name, shape in _FACE_FIELDS.items()} | dict(openings)


def _frame_rows(frame: Frame, tracked: TrackedFaces) -> Columns:
    """Return one row: how many faces the frame has, whether it is damaged or starts a scene."""
    values = (frame.index, frame.time_s, len(tracked.ids), frame.damaged, tracked.cut)
    return {name: [value] for name, value in zip(FRAMES.columns, values, strict=True)}


_PLACE: dict[str, tuple[str, tuple[int, ...]]] = {"frame": ("int64", ()), "time_s": ("float64", ())}
_ANGLES: dict[str, tuple[int, ...]] = {"yaw_deg": (), "pitch_deg": (), "roll_deg": ()}
_LOOKS: dict[str, tuple[int, ...]] = {"gaze_yaw_deg": (), "gaze_pitch_deg": ()}
_FACE_FIELDS: dict[str, tuple[int, ...]] = {
    **FACE_SHAPES,
    **_ANGLES,
    "camera_rotation": (3, 3),
    **MOTION_SHAPES,
    **_LOOKS,
}
_OPENINGS = ("eye_open_right", "eye_open_left", "mouth_open")
_FACE_SHAPES = _FACE_FIELDS | dict.fromkeys(_OPENINGS, ())

FACES = Kind(
    {**_PLACE, "id": ("int32", ()), **{name: ("float32", shape) for name, shape in _FACE_SHAPES.items()}},
    _face_rows,
)
FRAMES = Kind(
    {**_PLACE, "faces": ("int32", ()), "damaged": ("bool", ()), "cut": ("bool", ())},
    _frame_rows,
)


class _ParquetTable:
    """Write rows into an open Parquet file, one row group at a time."""

    def __init__(self, writer: Any, kind: Kind) -> None:
        self._writer, self._kind = writer, kind
        self._pending: list[Any] = []

    def write(self, frame: Frame, tracked: TrackedFaces) -> None:
        """Append the rows of one frame."""
        import pyarrow as pa

        arrays = []
        for name, values in self._kind.rows(frame, tracked).items():
            dtype, shape = self._kind.columns[name]
            flat = pa.array(np.asarray(values, dtype).ravel())
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, prod(shape)) if shape else flat)
        if len(arrays[0]):
            self._pending.append(pa.RecordBatch.from_arrays(arrays, schema=self._writer.schema))
        if sum(batch.num_rows for batch in self._pending) >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the pending rows as a row group."""
        import pyarrow as pa

        if self._pending:
            self._writer.write_table(pa.Table.from_batches(self._pending))
        self._pending = []


class _CsvTable:
    """Write rows into an open CSV file."""

    def __init__(self, writer: Any, kind: Kind) -> None:
        self._writer, self._kind = writer, kind
        writer.writerow(kind.header())

    def write(self, frame: Frame, tracked: TrackedFaces) -> None:
        """Append the rows of one frame."""
        texts = []
        for name, values in self._kind.rows(frame, tracked).items():
            dtype, shape = self._kind.columns[name]
            form = "%.3f" if name.endswith(_THREE_DECIMALS) else "%.6f" if "float" in dtype else "%d"
            numbers = np.asarray(values, dtype).reshape(-1, prod(shape)).tolist()
            texts.append([[form % number for number in row] for row in numbers])
        self._writer.writerows(chain.from_iterable(row) for row in zip(*texts, strict=True))


@contextmanager
def open_table(path: Path, kind: Kind, metadata: Mapping[str, str]) -> Iterator[_ParquetTable | _CsvTable]:
    """Open a table for writing; it appears under its name if the block ends without an error.

    Args:
        path: path of the file, which ends in ".parquet" or ".csv".
        kind: :data:`FACES` or :data:`FRAMES`.
        metadata: stored in a Parquet file; may be filled until the end of the block.

    Raises:
        OutputError: the file cannot be written.
    """
    if path.suffix == ".csv":
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="ascii") as file:
            yield _CsvTable(csv.writer(file), kind)
        return
    from pyarrow.parquet import ParquetWriter

    with (
        replacing(path) as temporary,
        temporary.open("wb") as stream,  # Arrow opens no file whose name is no text
        ParquetWriter(stream, kind.schema(), compression="zstd") as writer,
    ):
        table = _ParquetTable(writer, kind)
        yield table
        table.flush()
        writer.add_key_value_metadata(
            {name: text.encode(errors="replace") for name, text in metadata.items()}
        )


def read_table(path: str | Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Read a Parquet table of ``facegeom video``: of faces, or of frames (``NAME.frames.parquet``).

    Returns:
        The columns as arrays with one entry per row, fields in their shapes; and the metadata: source, rate,
        width, height, fov_deg, fov_source, smoothing, version, start_s, frames, seconds.

    Raises:
        InputError: the file is not a Parquet file of ``facegeom video``.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with Path(path).open("rb") as opened, ParquetFile(opened) as file:
            table, stored = file.read(), file.metadata.metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"expected a Parquet file of `facegeom video`, got {str(path)!r}: {error}"
        ) from error
    kind = FRAMES if "faces" in table.column_names else FACES
    missing = sorted(set(kind.columns) - set(table.column_names))
    if missing:
        raise InputError(f"expected the columns of `facegeom video` in {str(path)!r}, missing: {missing}")
    columns = {}
    for name, (_, shape) in kind.columns.items():
        column = table[name].combine_chunks()
        flat = column.flatten() if shape else column
        columns[name] = flat.to_numpy(zero_copy_only=False).reshape(len(column), *shape)
    metadata = {key.decode(): value.decode() for key, value in stored.items() if key != b"ARROW:schema"}
    return columns, metadata
