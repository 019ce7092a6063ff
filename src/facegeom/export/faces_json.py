"""Faces to the JSON of one photo and back; the schema is ``facegeom/data/faces.schema.json``."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from math import atan, degrees
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError, shown
from facegeom.geometry.camera import DEFAULT_FOV_DEG, pinhole_of_mesh
from facegeom.geometry.gaze import gaze_angles_deg
from facegeom.geometry.rotation import angles_from_rotation, rotation_in_camera, rotation_to_line_of_sight
from facegeom.geometry.schemes import ARKIT52

Float32Array: TypeAlias = npt.NDArray[np.float32]

Pictures: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]

SCHEMA = 2
READABLE = (1, 2)
"""Versions of the schema that :func:`from_dict` reads."""

# Field of a face: its place in the JSON.
_PLACES: dict[str, tuple[str, ...]] = {
    "box_xyxy": ("box_xyxy",),
    "score": ("score",),
    "landmarks_px": ("landmarks", "ibug68"),
    "landmarks_confidence": ("confidence", "ibug68"),
    "mesh_confidence": ("confidence", "mesh478"),
    "mesh_px": ("mesh_px",),
    "mesh_mm": ("mesh_mm",),
    "rotation": ("pose", "rotation"),
    "translation_mm": ("pose", "camera", "translation_mm"),
}
_GAZE_PLACES = {"gaze": ("gaze", "eyes"), "gaze_confidence": ("gaze", "confidence")}
_PLACES_1 = _PLACES | {"translation_mm": ("pose", "translation_mm")}
_ANGLES = ("yaw_deg", "pitch_deg", "roll_deg")
_LOOKS = ("yaw_deg", "pitch_deg")


def encode(
    fields: Mapping[str, Float32Array], about: Mapping[str, Any], pictures: Pictures = MappingProxyType({})
) -> bytes:
    """Encode one photo as one line of ASCII; the arguments are those of :func:`to_dict`."""
    text = json.dumps(to_dict(fields, about, pictures), allow_nan=False, separators=(",", ":"))
    return text.encode("ascii") + b"\n"


def to_dict(
    fields: Mapping[str, Float32Array], about: Mapping[str, Any], pictures: Pictures = MappingProxyType({})
) -> dict[str, Any]:
    """Return plain lists and numbers; coordinates are rounded to 3 decimals.

    Args:
        fields: arrays of N faces by the names of :data:`facegeom.results.FACE_SHAPES`.
        about: file, width, height, fov_deg, fov_source, turned_deg and min_face_px of the photo.
        pictures: entries of the faces' pictures by the key "depth" or "aligned"; none leaves a key out.
    """
    faces = [
        _face_to_dict({name: array[index] for name, array in fields.items()}, about)
        for index in range(len(fields["score"]))
    ]
    for key, entries in pictures.items():
        for face, entry in zip(faces, entries, strict=True):
            face[key] = entry
    image = {key: about[key] for key in ("file", "width", "height")}
    image |= {key: round(about[key], 3) for key in ("turned_deg", "min_face_px") if about[key]}
    if not faces:  # each has the angle of view among its own
        image |= {"fov_deg": round(float(about["fov_deg"]), 3), "fov_source": about["fov_source"]}
    return {"schema": SCHEMA, "image": image, "faces": faces}


def _face_to_dict(fields: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    def rounded(values: npt.ArrayLike, decimals: int) -> Any:
        return np.round(np.asarray(values, np.float64), decimals).tolist()

    rotation, translation_mm = fields["rotation"], fields["translation_mm"]
    camera = {
        "rotation": rounded(rotation_in_camera(rotation, translation_mm), 6),
        "translation_mm": rounded(translation_mm, 3),
        "fov_deg": round(float(about["fov_deg"]), 3),
        "fov_source": about["fov_source"],
    }
    angles = dict(zip(_ANGLES, rounded(angles_from_rotation(rotation), 3), strict=True))
    confidence = {
        "ibug68": rounded(fields["landmarks_confidence"], 4),
        "mesh478": rounded(fields["mesh_confidence"], 4),
    }
    data: dict[str, Any] = {
        "pose": {"camera": camera, "rotation": rounded(rotation, 6), **angles},
        "box_xyxy": rounded(fields["box_xyxy"], 3),
        "score": rounded(fields["score"], 4),
        "landmarks": {"ibug68": rounded(fields["landmarks_px"], 3)},
        "confidence": confidence,
        "mesh_px": rounded(fields["mesh_px"], 3),
        "mesh_mm": rounded(fields["mesh_mm"], 3),
    }
    if "gaze" in fields:
        gaze, surety = fields["gaze"], fields["gaze_confidence"]
        looks = dict(zip(_LOOKS, rounded(gaze_angles_deg(rotation, gaze, surety), 3), strict=True))
        data["gaze"] = {"eyes": rounded(gaze, 4), "confidence": rounded(surety, 4), **looks}
    if "expression" in fields:
        data["expression"] = dict(zip(ARKIT52, rounded(fields["expression"], 4), strict=True))
    return data


def from_dict(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse the result of :func:`to_dict`, also of schema 1; call it within :func:`explained_errors`.

    In schema 1 the rotation was that of the camera frame, and the angle of view was not told; it follows from
    the mesh in pixels and in millimetres.

    Returns:
        Arrays of the faces by name, none where there is no face; what is known about the photo.
    """
    if data["schema"] not in READABLE:
        expected = " or ".join(map(str, READABLE))
        raise InputError(f"expected schema {expected}, got {shown(data['schema'])}; use a matching facegeom")
    about = {key: data["image"][key] for key in ("width", "height", "file")}
    others = {"fov_deg": DEFAULT_FOV_DEG, "fov_source": "assumed", "turned_deg": 0, "min_face_px": 0}
    about |= {key: data["image"].get(key, usual) for key, usual in others.items()}
    faces = data["faces"]
    if not isinstance(faces, Sequence):
        raise TypeError(f"faces is {shown(faces)}")
    if not faces:
        return {}, about
    places = _PLACES_1 if data["schema"] == 1 else _PLACES
    if "gaze" in faces[0]:
        places = places | _GAZE_PLACES
    fields = {name: _stack(faces, path) for name, path in places.items()}
    if "expression" in faces[0]:
        values = [[face["expression"][name] for name in ARKIT52] for face in faces]
        fields["expression"] = _numbers(values, ("expression",))
    if data["schema"] == 1:
        sight = rotation_to_line_of_sight(fields["translation_mm"].astype(np.float64))
        fields["rotation"] = np.asarray(np.swapaxes(sight, -1, -2) @ fields["rotation"], np.float32)
        focal_px, _ = pinhole_of_mesh(fields["mesh_px"][0], fields["mesh_mm"][0])
        about["fov_deg"] = degrees(2 * atan(max(about["width"], about["height"]) / 2 / focal_px))
    else:
        about |= {key: faces[0]["pose"]["camera"][key] for key in ("fov_deg", "fov_source")}
    return fields, about


@contextmanager
def explained_errors() -> Iterator[None]:
    """Turn what goes wrong with incomplete or mistyped data into an InputError."""
    try:
        yield
    except KeyError as error:
        raise InputError(
            f"expected the key {error} in the JSON of a photo; the file is incomplete"
        ) from error
    except (TypeError, AttributeError, LookupError, ArithmeticError) as error:
        raise InputError(f"expected the JSON of a photo as nested dicts and lists: {error}") from error


def _stack(faces: Sequence[Mapping[str, Any]], path: tuple[str, ...]) -> Float32Array:
    return _numbers([reduce(lambda group, key: group[key], path, face) for face in faces], path)


def _numbers(values: Any, path: tuple[str, ...]) -> Float32Array:
    try:
        return np.array(values, np.float32)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{'.'.join(path)}: expected numbers of one shape for all faces: {error}") from error
