"""Labels of photos, and the Parquet file that holds them: a row for each face.

==============  =====================  ==============================================================
column          type                   meaning
==============  =====================  ==============================================================
file            string                 path below the photos' folder, with ``/``
face            int32                  number of the face in its photo, from 0; null: no face, or error
width, height   int32                  of the photo as a person sees it, pixels; null with an error
scheme          string                 name of the points' scheme
points          list<float>[K * D]     x, y (and z) of point 0, of point 1 and so on, pixels of the photo
confidence      float                  mean over the points, in [0, 1]; null where the teacher has none
flip_error      float                  mean distance of the points found in the photo and in its mirror
                                       image, by the eyes' distance; null: found in one of them only
keep            bool                   the two agree; null without a face
error           string                 why the photo could not be read, else null
==============  =====================  ==============================================================

Pixel centres lie at integers. The schema's metadata, key ``facegeom``, is JSON: the teacher and its
settings, the scheme and ``dimensions`` D.

The file grows by parts, so that a killed run can be resumed: new rows go to ``OUT.parts/part-00000.parquet``
and so on, each written whole or not at all; at the end the parts are merged into OUT. A photo that has rows
in OUT or in a part is finished.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facegeom.errors import ImageError, InputError, OutputError
from facegeom.export.files import make_folder, write
from facegeom.geometry.schemes import Scheme
from facegeom_lab.datasets.records import FaceRecord, photo_reader

METADATA_KEY = b"facegeom"


@dataclass(frozen=True, eq=False)
class PhotoLabels:
    """Labels of the F faces of one photo.

    Attributes:
        width: of the photo, pixels.
        height: of the photo, pixels.
        points: (F, K, D) pixels.
        flip_error: (F,) by the eyes' distance; NaN where one view only shows the face.
        keep: (F,) bool.
        confidence: (F,) in [0, 1]; None where the teacher has none.
    """

    width: int
    height: int
    points: np.ndarray
    flip_error: np.ndarray
    keep: np.ndarray
    confidence: np.ndarray | None = None


class Teacher(Protocol):
    """A network, or several, that labels photos."""

    @property
    def scheme(self) -> Scheme:
        """Point scheme of the labels."""

    @property
    def dimensions(self) -> int:
        """Coordinates of a point: 2 or 3."""

    def settings(self) -> Mapping[str, Any]:
        """Return all that the labels depend on, ready for JSON."""

    def __call__(self, photos: Sequence[Path]) -> Iterator[PhotoLabels | ImageError]:
        """Yield the faces of each photo, in order; the error for one that cannot be read."""


def schema(teacher: Teacher) -> pa.Schema:
    """Return the columns and the metadata of a teacher's labels."""
    about = {**teacher.settings(), "scheme": teacher.scheme.name, "dimensions": teacher.dimensions}
    columns = [
        pa.field("file", pa.string(), nullable=False),
        ("face", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        pa.field("scheme", pa.string(), nullable=False),
        ("points", pa.list_(pa.float32(), teacher.scheme.count * teacher.dimensions)),
        ("confidence", pa.float32()),
        ("flip_error", pa.float32()),
        ("keep", pa.bool_()),
        ("error", pa.string()),
    ]
    return pa.schema(columns, {METADATA_KEY: json.dumps(about, sort_keys=True)})


def rows(file: str, scheme: Scheme, labels: PhotoLabels | ImageError) -> list[dict[str, Any]]:
    """Return the rows of one photo: one for each face, or a single one without a face or with the error."""
    common: dict[str, Any] = {"file": file, "scheme": scheme.name}
    if isinstance(labels, ImageError):
        return [{**common, "error": str(labels)}]
    common |= {"width": labels.width, "height": labels.height}
    return [{**common, **_face(labels, face)} for face in range(len(labels.points))] or [common]


def _face(labels: PhotoLabels, face: int) -> dict[str, Any]:
    error = float(labels.flip_error[face])
    return {
        "face": face,
        "points": labels.points[face].reshape(-1).astype(np.float32),
        "confidence": None if labels.confidence is None else float(labels.confidence[face]),
        "flip_error": None if np.isnan(error) else error,
        "keep": bool(labels.keep[face]),
    }


def records(file: Path, photos: Path, split: str = "train") -> list[FaceRecord]:
    """Read the kept faces of a labelled folder for training; 3D points become meshes.

    Args:
        file: made by ``facegeom lab label-folder``.
        photos: the folder that was labelled.
        split: to put them into.

    Raises:
        InputError: the file is missing or holds no labels.
    """
    try:
        about = json.loads(pq.read_schema(file).metadata[METADATA_KEY])
        kept = pq.read_table(file, filters=pc.field("keep"))
    except (OSError, pa.ArrowInvalid, KeyError, TypeError) as error:
        raise InputError(
            f"expected labels of `facegeom lab label-folder` at {file}, got none ({error})"
        ) from error
    return [_record(row, about, photos, split) for row in kept.to_pylist()]


def _record(row: Mapping[str, Any], about: Mapping[str, Any], photos: Path, split: str) -> FaceRecord:
    points = np.reshape(row["points"], (-1, about["dimensions"]))
    is_mesh = about["dimensions"] == 3
    return FaceRecord(
        name=f"{row['file']}#{row['face']}",
        read=photo_reader(photos / row["file"]),
        split=split,
        scheme="" if is_mesh else about["scheme"],
        points=None if is_mesh else points,
        mesh=points if is_mesh else None,
        source=about["teacher"],
    )


class ResumableTable:
    """A Parquet file of rows, each photo's once, that resumes after a kill.

    Args:
        out: the file; rows that are in it stay.
        schema: of the rows; the file and its parts must have the same, with the same settings in it.

    Raises:
        InputError: the file or a part was made with other settings, or is not Parquet.
    """

    def __init__(self, out: Path, schema: pa.Schema) -> None:
        self.out, self.schema = out, schema
        self.folder = out.with_name(f"{out.name}.parts")
        self.finished: set[str] = set()
        if out.exists():
            self.finished |= self._photos(out)
        for part in self._parts():
            photos = self._photos(part)
            if photos <= self.finished:  # merged by a run that was killed before it removed the part
                part.unlink()
            self.finished |= photos

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the rows of some photos as a new part.

        Raises:
            OutputError: it cannot be written.
        """
        table = pa.Table.from_pylist(list(rows), self.schema)
        stream = BytesIO()
        pq.write_table(table, stream)
        last = max((int(part.stem.removeprefix("part-")) for part in self._parts()), default=-1)
        write(self.folder / f"part-{last + 1:05d}.parquet", stream.getvalue())
        self.finished |= set(table["file"].to_pylist())

    def merge(self) -> None:
        """Put all rows into the file, whole or not at all, and remove the parts.

        Raises:
            OutputError: it cannot be written.
        """
        temporary = self.out.with_name(f".{self.out.name}.tmp")
        sources = [*([self.out] if self.out.exists() else []), *self._parts()]
        make_folder(self.out.parent)
        try:
            with pq.ParquetWriter(temporary, self.schema) as writer:
                for source in sources:
                    for batch in pq.ParquetFile(source).iter_batches():
                        writer.write_batch(batch)
            os.replace(temporary, self.out)
            shutil.rmtree(self.folder, ignore_errors=True)
        except OSError as error:
            raise OutputError(f"cannot write {str(self.out)!r}: {error}; the parts are kept") from error

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def _photos(self, file: Path) -> set[str]:
        try:
            found = pq.read_schema(file)
            if found.equals(self.schema) and _settings(found) == _settings(self.schema):
                return set(pq.read_table(file, columns=["file"])["file"].to_pylist())
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"expected labels in {file}, but it cannot be read: {error}") from error
        raise InputError(
            f"expected labels made with {_settings(self.schema)} in {file}, found {_settings(found)};"
            " name another file with --out, or remove this one"
        )


def _settings(schema: pa.Schema) -> str:
    return (schema.metadata or {}).get(METADATA_KEY, b"none of facegeom").decode()
