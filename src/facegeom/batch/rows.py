"""A row is what is known of one photo; each field of its faces is a column, a list over the faces."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from facegeom.geometry.rotation import angles_from_rotation
from facegeom.results import SHAPES, Faces

ANGLES = ("yaw_deg", "pitch_deg", "roll_deg")
_META = b"facegeom"


@dataclass(frozen=True)
class Row:
    """One photo's answer.

    Attributes:
        key: of the photo, unique in the run.
        name: what the source calls the photo, if it does.
        faces: None where the photo could not be used.
        error: the reason then, else None.
    """

    key: str
    name: str | None
    faces: Faces | None
    error: str | None = None


@dataclass(frozen=True)
class Counts:
    """How much there is in a part, or in all of them."""

    photos: int = 0
    faces: int = 0
    errors: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.photos + other.photos, self.faces + other.faces, self.errors + other.errors)


def schema(mesh: bool = True) -> pa.Schema:
    """Columns of the rows. Those of the faces, and their number, are null where there is an error.

    A field of the faces is a column of its own rather than one of a struct, since readers skip what they are
    not asked for by whole columns.

    Args:
        mesh: with the fields of the mesh.
    """
    return pa.schema(
        [
            pa.field("key", pa.string(), nullable=False),
            pa.field("name", pa.string()),
            pa.field("error", pa.string()),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("faces", pa.int32()),
            *(pa.field(name, pa.list_(_nested(shape))) for name, shape in _fields(mesh).items()),
        ]
    )


def _fields(mesh: bool) -> dict[str, tuple[int, ...]]:
    """Fields of a face and their shapes: those of ``results.Face`` and the angles."""
    kept = {name: shape for name, shape in SHAPES.items() if mesh or not name.startswith("mesh")}
    return kept | dict.fromkeys(ANGLES, ())


def _nested(shape: tuple[int, ...]) -> pa.DataType:
    """float32, or lists of fixed lengths of it."""
    return pa.list_(_nested(shape[1:]), shape[0]) if shape else pa.float32()


def encode(rows: Sequence[Row], mesh: bool, about: Mapping[str, Any]) -> bytes:
    """The rows as a Parquet file; the same rows give the same bytes.

    Args:
        rows: in the order of the file.
        mesh: with the fields of the mesh.
        about: kept in the file's metadata, beside the counts; see :func:`read_about`.
    """
    counts = count(rows)
    meta = {_META: json.dumps({**about, **vars(counts)}, sort_keys=True).encode()}
    sink = pa.BufferOutputStream()
    pq.write_table(
        to_table(rows, mesh).replace_schema_metadata(meta),
        sink,
        compression="zstd",
        use_dictionary=False,
        write_page_checksum=True,
    )
    return bytes(sink.getvalue())


def count(rows: Sequence[Row]) -> Counts:
    """Photos, faces and errors."""
    faces = sum(len(row.faces) for row in rows if row.faces is not None)
    return Counts(len(rows), faces, sum(row.error is not None for row in rows))


def read_about(parquet_schema: pa.Schema) -> dict[str, Any]:
    """What :func:`encode` kept in the metadata; empty for a file of another maker."""
    return dict(json.loads((parquet_schema.metadata or {}).get(_META, b"{}")))


def to_table(rows: Sequence[Row], mesh: bool) -> pa.Table:
    """The rows as an Arrow table of :func:`schema`."""
    answers = [row.faces for row in rows]
    columns = [
        pa.array([row.key for row in rows], pa.string()),
        pa.array([row.name for row in rows], pa.string()),
        pa.array([row.error for row in rows], pa.string()),
        pa.array([None if faces is None else faces.width for faces in answers], pa.int32()),
        pa.array([None if faces is None else faces.height for faces in answers], pa.int32()),
        pa.array([None if faces is None else len(faces) for faces in answers], pa.int32()),
        *_faces_columns(answers, mesh),
    ]
    return pa.Table.from_arrays(columns, schema=schema(mesh))


def _faces_columns(answers: Sequence[Faces | None], mesh: bool) -> Iterator[pa.Array]:
    there = [faces for faces in answers if faces is not None]
    values = {name: _joined(there, name) for name in _fields(mesh) if name not in ANGLES}
    angles = angles_from_rotation(values["rotation"]).astype(np.float32)
    values |= {name: angles[:, place] for place, name in enumerate(ANGLES)}
    ends = np.cumsum([0, *(0 if faces is None else len(faces) for faces in answers)])
    offsets = pa.array(ends, pa.int32())
    missing = pa.array([faces is None for faces in answers], pa.bool_())
    for value in values.values():
        yield pa.ListArray.from_arrays(offsets, _to_arrow(value), mask=missing)


def _joined(answers: Sequence[Faces], name: str) -> np.ndarray:
    """A field of all faces of all photos, (N, ...) float32."""
    return np.concatenate([np.zeros((0, *SHAPES[name]), np.float32), *(getattr(a, name) for a in answers)])


def _to_arrow(values: np.ndarray) -> pa.Array:
    array = pa.array(values.reshape(-1), pa.float32())
    for length in reversed(values.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array


def from_table(table: pa.Table) -> Iterator[Row]:
    """The inverse of :func:`to_table`, for tables with the mesh."""
    for row in table.to_pylist():
        yield Row(row["key"], row["name"], _faces(row), row["error"])


def _faces(row: Mapping[str, Any]) -> Faces | None:
    if row["faces"] is None:
        return None
    lead = (row["faces"],)
    fields: dict[str, Any] = {
        n: np.array(row[n], np.float32).reshape(lead + shape) for n, shape in SHAPES.items()
    }
    return Faces(**fields, width=row["width"], height=row["height"], file=row["name"])


def count_of(content: bytes) -> Counts:
    """What a file of :func:`encode` holds."""
    about = read_about(pq.read_schema(pa.BufferReader(content)))
    return Counts(about["photos"], about["faces"], about["errors"])
