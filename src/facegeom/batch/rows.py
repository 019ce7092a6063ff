"""Rows and part files: one row per photo; each field of its faces is a column with a list over the faces."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from facegeom.errors import OutputError
from facegeom.export.files import write
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
        values = np.concatenate([np.zeros((0, *shape), np.float32), *(getattr(each, name) for each in valid)])
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
            faces = Faces(**fields, **{name: row[name] for name in _ABOUT}, file=row["name"])
        yield Row(row["key"], row["name"], faces, row["error"])


def encode(rows: Sequence[Row], mesh: bool, metadata: Mapping[str, Any]) -> bytes:
    """Encode rows as a Parquet file; equal rows give equal bytes.

    Args:
        rows: in the order of the file.
        mesh: include the fields of the mesh.
        metadata: stored in the file with the counts of the rows; see :func:`read_metadata`.
    """
    faces = sum(len(row.faces) for row in rows if row.faces is not None)
    counts = {"photos": len(rows), "faces": faces, "errors": sum(row.error is not None for row in rows)}
    encoded = json.dumps({**metadata, **counts}, sort_keys=True).encode()
    sink = pa.BufferOutputStream()
    pq.write_table(
        to_table(rows, mesh).replace_schema_metadata({_METADATA_KEY: encoded}),
        sink,
        compression="zstd",
        use_dictionary=False,
        write_page_checksum=True,
    )
    return bytes(sink.getvalue())


def read_metadata(parquet_schema: pa.Schema) -> dict[str, Any]:
    """Return the metadata that :func:`encode` stored; empty for other files."""
    return dict(json.loads((parquet_schema.metadata or {}).get(_METADATA_KEY, b"{}")))


def is_part_file(parquet_schema: pa.Schema) -> bool:
    """Return whether a Parquet file holds rows of a run, of any version, and so no photos."""
    return _METADATA_KEY in (parquet_schema.metadata or {})


def read_counts(content: bytes) -> Counts:
    """Return the counts stored in a file of :func:`encode`."""
    metadata = read_metadata(pq.read_schema(pa.BufferReader(content)))
    return Counts(metadata["photos"], metadata["faces"], metadata["errors"])


class PartFiles:
    """The part files of a run, Parquet files in the folder ``parts``. Each is written whole or not at all.

    ``parts.sha256`` beside the folder holds their hashes, a line for each, as ``sha256sum -c`` reads them.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._hash_file = folder / "parts", folder / "parts.sha256"
        self._verified: dict[str, str] = {}

    def path(self, part: int) -> Path:
        """Return the path of a part file."""
        return self.folder / f"part-{part:07d}.parquet"

    def paths(self) -> list[Path]:
        """Return the existing part files, in order."""
        return sorted(self.folder.glob("part-*.parquet"))

    def write(self, part: int, content: bytes) -> None:
        """Write a part file, then its hash; a run that is killed between both does the part again.

        Raises:
            OutputError: one of them cannot be written.
        """
        path = self.path(part)
        write(path, content)
        try:
            with self._hash_file.open("a", encoding="ascii") as stream:
                stream.write(f"{hashlib.sha256(content).hexdigest()}  parts/{path.name}\n")
        except OSError as error:
            raise OutputError(f"cannot write {str(self._hash_file)!r}: {error.strerror or error}") from error

    def is_changed(self, path: Path, content: bytes) -> bool:
        """Return whether a part file has another hash than when it was written."""
        stored = self._stored_hashes.get(f"parts/{path.name}")
        return stored is not None and hashlib.sha256(content).hexdigest() != stored

    def verified_counts(self, part: int, metadata: dict[str, Any]) -> Counts | None:
        """Return the counts of a part file; None if it is missing, changed or has other metadata."""
        path = self.path(part)
        try:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            if digest != self._stored_hashes.get(f"parts/{path.name}"):
                return None
            found = read_metadata(pq.read_schema(pa.BufferReader(content)))
            counts = Counts(*(found.pop(name) for name in ("photos", "faces", "errors")))
        except (pa.ArrowException, OSError, ValueError, KeyError):
            return None  # not there, or damaged, for example by a full disk
        if found != metadata:
            return None
        self._verified[f"parts/{path.name}"] = digest
        return counts

    @cached_property
    def _stored_hashes(self) -> dict[str, str]:
        """The hashes by file name; a line that was not written to its end is none."""
        try:
            lines = self._hash_file.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise OutputError(f"cannot read {str(self._hash_file)!r}: {error.strerror or error}") from error
        return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}

    def write_hashes(self) -> None:
        """Write the hashes of the part files that were verified, in place of all others."""
        lines = (f"{digest}  {name}\n" for name, digest in self._verified.items())
        write(self._hash_file, "".join(lines).encode())

    def clean(self) -> None:
        """Remove the temporary files of a killed run."""
        try:
            for folder in (self.folder.parent, self.folder):
                for temporary in folder.glob(".*.tmp"):
                    temporary.unlink()
        except OSError as error:
            raise OutputError(f"cannot remove {str(temporary)!r}: {error.strerror or error}") from error
