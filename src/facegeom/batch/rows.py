"""Rows and part files: one row per photo; each field of its faces is a column with a list over the faces."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facegeom.results import FACE_SHAPES, MOTION_SHAPES, Faces

_DERIVED = {"camera_rotation": (3, 3)} | dict.fromkeys(
    ("yaw_deg", "pitch_deg", "roll_deg", "gaze_yaw_deg", "gaze_pitch_deg"), ()
)
"""Properties of faces that are columns, too, and their shapes for one face."""

_ABOUT = {
    "width": pa.int32(),
    "height": pa.int32(),
    "fov_deg": pa.float64(),
    "fov_source": pa.string(),
    "turned_deg": pa.int32(),
    "min_face_px": pa.float64(),
}
"""Columns that describe a photo, and their types."""

_METADATA_KEY = b"facegeom"


@dataclass(frozen=True)
class Row:
    """Result for one photo.

    Attributes:
        key: of the photo, unique in the run.
        name: the photo's name in its source; None without one.
        faces: None where the photo could not be used.
        error: the reason in that case, else None.
    """

    key: str
    name: str | None
    faces: Faces | None
    error: str | None = None


@dataclass(frozen=True)
class Counts:
    """Number of photos, faces and errors in one part file or in several."""

    photos: int = 0
    faces: int = 0
    errors: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.photos + other.photos, self.faces + other.faces, self.errors + other.errors)

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(self.photos - other.photos, self.faces - other.faces, self.errors - other.errors)


def schema(mesh: bool = True) -> pa.Schema:
    """Return the Arrow schema of rows. The faces' columns and their number are null in rows with an error.

    Each field of the faces is a column of its own, not a member of a struct, because readers can skip whole
    columns only.

    Args:
        mesh: include the fields of the mesh.
    """
    return pa.schema(
        [
            pa.field("key", pa.string(), nullable=False),
            pa.field("name", pa.string()),
            pa.field("error", pa.string()),
            *(pa.field(name, kind) for name, kind in _ABOUT.items()),
            pa.field("faces", pa.int32()),
            *(pa.field(name, pa.list_(_nested(shape))) for name, shape in _fields(mesh).items()),
        ]
    )


def _fields(mesh: bool) -> dict[str, tuple[int, ...]]:
    """Return the fields of a face with their shapes: those of ``results.Face``, then those that follow."""
    kept = {name: shape for name, shape in FACE_SHAPES.items() if mesh or not name.startswith("mesh")}
    return kept | MOTION_SHAPES | _DERIVED


def _nested(shape: tuple[int, ...]) -> pa.DataType:
    """Return the Arrow type of a float32 array: nested lists of fixed lengths."""
    return pa.list_(_nested(shape[1:]), shape[0]) if shape else pa.float32()


def to_table(rows: Sequence[Row], mesh: bool) -> pa.Table:
    """Convert rows to an Arrow table of :func:`schema`."""
    results = [row.faces for row in rows]
    columns = [
        *(pa.array([getattr(row, name) for row in rows], pa.string()) for name in ("key", "name", "error")),
        *(
            pa.array([None if faces is None else getattr(faces, name) for faces in results], kind)
            for name, kind in _ABOUT.items()
        ),
        pa.array([None if faces is None else len(faces) for faces in results], pa.int32()),
        *_face_columns(results, mesh),
    ]
    return pa.Table.from_arrays(columns, schema=schema(mesh))


def _face_columns(results: Sequence[Faces | None], mesh: bool) -> Iterator[pa.Array]:
    """Yield each field of the faces as lists over the faces of a photo."""
    valid = [faces for faces in results if faces is not None]
    ends = np.cumsum([0, *(0 if faces is None else len(faces) for faces in results)])
    missing = pa.array([faces is None for faces in results], pa.bool_())
    for name, shape in _fields(mesh).items():
        arrays = (each.or_nan(name, shape) for each in valid)
        values = np.concatenate([np.zeros((0, *shape), np.float32), *arrays])
        array = pa.array(values.reshape(-1), pa.float32())
        for length in reversed(shape):
            array = pa.FixedSizeListArray.from_arrays(array, length)
        yield pa.ListArray.from_arrays(pa.array(ends, pa.int32()), array, mask=missing)


def from_table(table: pa.Table) -> Iterator[Row]:
    """Yield the rows of a table with the mesh; the inverse of :func:`to_table`."""
    for row in table.to_pylist():
        faces, count = None, row["faces"]
        if count is not None:
            fields: dict[str, Any] = {
                name: np.array(row[name], np.float32).reshape(count, *shape)
                for name, shape in (FACE_SHAPES | MOTION_SHAPES).items()
            }
            if count and np.isnan(fields["expression"]).all():  # of networks that do not give it
                fields |= dict.fromkeys(MOTION_SHAPES)
            faces = Faces(**fields, **{name: row[name] for name in _ABOUT}, file=row["name"])
        yield Row(row["key"], row["name"], faces, row["error"])


def encode(rows: Sequence[Row], mesh: bool, metadata: Mapping[str, Any]) -> bytes:
    """Encode rows as a Parquet file; equal rows give equal bytes.

    Args:
        rows: in the order of the file.
        mesh: include the fields of the mesh.
        metadata: stored in the file with the counts of the rows; see :func:`read_metadata`.
    """
    return encode_table(to_table(rows, mesh), metadata)


def encode_table(table: pa.Table, metadata: Mapping[str, Any]) -> bytes:
    """Encode a table of :func:`schema` as a Parquet file; see :func:`encode`."""
    encoded = json.dumps({**metadata, **asdict(counts_of(table))}, sort_keys=True).encode()
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata({_METADATA_KEY: encoded}),
        sink,
        compression="zstd",
        use_dictionary=False,
        write_page_checksum=True,
    )
    return bytes(sink.getvalue())


def counts_of(table: pa.Table) -> Counts:
    """Return the counts of a table of rows."""
    faces = pc.sum(table["faces"]).as_py() or 0
    return Counts(table.num_rows, faces, table.num_rows - table["error"].null_count)


def read_metadata(parquet_schema: pa.Schema) -> dict[str, Any]:
    """Return the metadata that :func:`encode` stored; empty for other files."""
    return dict(json.loads((parquet_schema.metadata or {}).get(_METADATA_KEY, b"{}")))


def is_part_file(parquet_schema: pa.Schema) -> bool:
    """Return whether a Parquet file holds rows of a run, of any version, and so no photos."""
    return _METADATA_KEY in (parquet_schema.metadata or {})
