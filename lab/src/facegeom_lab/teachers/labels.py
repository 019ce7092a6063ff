"""What a teacher says of a photo, and its rows in a Parquet file: one for each face.

==============  =====================  ==============================================================
column          type                   meaning
==============  =====================  ==============================================================
file            string                 path below the photos' folder, with ``/``
face            int32                  number of the face in its photo, from 0; null: no face, or error
width, height   int32                  of the photo as a person sees it, pixels; null with an error
scheme          string                 name of the points' scheme
points          list<float>[K * D]     x, y (and z) of point 0, of point 1 and so on, pixels of the photo
confidence      float                  mean over the points, in [0, 1]; null where the teacher has none
flip_error      float                  mean distance of the answers for the photo and for its mirror
                                       image, a share of the eyes' distance; null: only one found the face
keep            bool                   the two answers agree; null without a face
error           string                 why the photo could not be read, else null
==============  =====================  ==============================================================

Pixel centres lie at integers. The schema's metadata, key ``facegeom``, is JSON: the teacher and its
settings, the scheme and ``dimensions`` D.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facegeom.errors import ImageError, InputError
from facegeom.geometry.schemes import Scheme
from facegeom_lab.datasets.records import FaceRecord, photo

METADATA_KEY = b"facegeom"


@dataclass(frozen=True, eq=False)
class PhotoLabels:
    """The F faces of one photo.

    Attributes:
        width: of the photo, pixels.
        height: of the photo, pixels.
        points: (F, K, D) pixels.
        flip_error: (F,) share of the eyes' distance; NaN where only one answer is there.
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
    """Who labels photos."""

    @property
    def scheme(self) -> Scheme:
        """Of the points."""

    @property
    def dimensions(self) -> int:
        """Coordinates of a point: 2 or 3."""

    def settings(self) -> Mapping[str, Any]:
        """All that its labels depend on, ready for JSON."""

    def __call__(self, photos: Sequence[Path]) -> Iterator[PhotoLabels | ImageError]:
        """The faces of each photo, in their order; its error for one that cannot be read."""


def schema(teacher: Teacher) -> pa.Schema:
    """Columns and metadata of a teacher's labels."""
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


def rows(file: str, scheme: Scheme, said: PhotoLabels | ImageError) -> list[dict[str, Any]]:
    """The rows of one photo: one for each face, or a single one that tells why there is none."""
    common: dict[str, Any] = {"file": file, "scheme": scheme.name}
    if isinstance(said, ImageError):
        return [{**common, "error": str(said)}]
    common |= {"width": said.width, "height": said.height}
    return [{**common, **_face(said, face)} for face in range(len(said.points))] or [common]


def _face(said: PhotoLabels, face: int) -> dict[str, Any]:
    error = float(said.flip_error[face])
    return {
        "face": face,
        "points": said.points[face].reshape(-1).astype(np.float32),
        "confidence": None if said.confidence is None else float(said.confidence[face]),
        "flip_error": None if np.isnan(error) else error,
        "keep": bool(said.keep[face]),
    }


def records(file: Path, photos: Path, split: str = "train") -> list[FaceRecord]:
    """The kept faces of a labelled folder, ready for training; 3D points as meshes.

    Args:
        file: made by ``facegeom lab label-folder``.
        photos: the folder that was labelled.
        split: that they are to be of.

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
        read=photo(photos / row["file"]),
        split=split,
        scheme="" if is_mesh else about["scheme"],
        points=None if is_mesh else points,
        mesh=points if is_mesh else None,
        source=about["teacher"],
    )
