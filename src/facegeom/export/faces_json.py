"""Faces to the JSON of one photo and back; the schema is ``facegeom/data/faces.schema.json``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from facegeom.errors import InputError
from facegeom.export import depth_png
from facegeom.results import Face, Faces

SCHEMA = 1

# Field of Face: its place in the JSON, decimals kept.
_PLACES: dict[str, tuple[tuple[str, ...], int]] = {
    "box_xyxy": (("box_xyxy",), 3),
    "score": (("score",), 4),
    "landmarks_px": (("landmarks", "ibug68"), 3),
    "landmarks_confidence": (("confidence", "ibug68"), 4),
    "mesh_confidence": (("confidence", "mesh478"), 4),
    "mesh_px": (("mesh_px",), 3),
    "mesh_mm": (("mesh_mm",), 3),
    "rotation": (("pose", "rotation"), 6),
    "translation_mm": (("pose", "translation_mm"), 3),
}
_ANGLES = ("yaw_deg", "pitch_deg", "roll_deg")


def encode(faces: Faces, depth_files: Sequence[str] | None = None) -> bytes:
    """JSON of one photo, one line of ASCII: any file name is escaped safely."""
    return (
        json.dumps(to_dict(faces, depth_files), allow_nan=False, separators=(",", ":")).encode("ascii")
        + b"\n"
    )


def to_dict(faces: Faces, depth_files: Sequence[str] | None = None) -> dict[str, Any]:
    """Plain lists and numbers; coordinates rounded to 3 decimals.

    Args:
        faces: of one photo.
        depth_files: the pictures of the faces' depth maps; without them the depth is left out.
    """
    image = {"file": faces.file, "width": faces.width, "height": faces.height}
    listed = [_face_to_dict(face) for face in faces]
    for entry, depth, file in zip(listed, faces.depth or (), depth_files or (), strict=False):
        entry["depth"] = depth_png.described(depth, file)
    return {"schema": SCHEMA, "image": image, "faces": listed}


def _face_to_dict(face: Face) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, (path, decimals) in _PLACES.items():
        *groups, key = path
        group = reduce(lambda outer, inner: outer.setdefault(inner, {}), groups, data)
        group[key] = np.round(np.asarray(getattr(face, name), np.float64), decimals).tolist()
    data["pose"] |= {angle: round(getattr(face, angle), 3) for angle in _ANGLES}
    return data


def from_dict(data: Mapping[str, Any]) -> Faces:
    """The inverse of :func:`to_dict`; angles are derived from the rotation again, depth maps are left out.

    Raises:
        InputError: the data are of another schema, or incomplete.
    """
    try:
        if data["schema"] != SCHEMA:
            raise InputError(f"expected schema {SCHEMA}, got {data['schema']!r}; use a matching facegeom")
        image = data["image"]
        empty = Faces.empty(image["width"], image["height"], image["file"])
        if not data["faces"]:
            return empty
        fields: dict[str, Any] = {name: _stack(data["faces"], path) for name, (path, _) in _PLACES.items()}
        return replace(empty, **fields)
    except KeyError as error:
        raise InputError(
            f"expected the key {error} in the JSON of a photo; the file is incomplete"
        ) from error
    except TypeError as error:
        raise InputError(f"expected the JSON of a photo as nested dicts and lists: {error}") from error


def _stack(faces: list[dict[str, Any]], path: tuple[str, ...]) -> np.ndarray:
    values = [reduce(lambda group, key: group[key], path, face) for face in faces]
    try:
        return np.array(values, np.float32)
    except ValueError as error:
        raise InputError(f"{'.'.join(path)}: expected numbers of one shape for all faces: {error}") from error
