"""Faces to the JSON of one photo and back; the schema is ``facegeom/data/faces.schema.json``."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.geometry.rotation import angles_from_rotation

Float32Array: TypeAlias = npt.NDArray[np.float32]

SCHEMA = 1

# Field of a face: its place in the JSON, decimals kept.
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


def encode(
    fields: Mapping[str, Float32Array], image: Mapping[str, Any], depth: Sequence[Mapping[str, Any]] = ()
) -> bytes:
    """Encode one photo as one line of ASCII; the arguments are those of :func:`to_dict`."""
    text = json.dumps(to_dict(fields, image, depth), allow_nan=False, separators=(",", ":"))
    return text.encode("ascii") + b"\n"


def to_dict(
    fields: Mapping[str, Float32Array], image: Mapping[str, Any], depth: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return plain lists and numbers; coordinates are rounded to 3 decimals.

    Args:
        fields: arrays of N faces by the names of :data:`facegeom.results.FACE_SHAPES`.
        image: file, width and height of the photo.
        depth: an entry for each face's depth image; none leaves depth out.
    """
    faces = [
        _face_to_dict({name: array[index] for name, array in fields.items()})
        for index in range(len(fields["score"]))
    ]
    for face, entry in zip(faces, depth, strict=False):
        face["depth"] = entry
    return {"schema": SCHEMA, "image": dict(image), "faces": faces}


def _face_to_dict(fields: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, (path, decimals) in _PLACES.items():
        *groups, key = path
        group = reduce(lambda outer, inner: outer.setdefault(inner, {}), groups, data)
        group[key] = np.round(np.asarray(fields[name], np.float64), decimals).tolist()
    angles = angles_from_rotation(fields["rotation"])
    data["pose"] |= {name: round(float(angle), 3) for name, angle in zip(_ANGLES, angles, strict=True)}
    return data


def from_dict(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse the result of :func:`to_dict`; call it within :func:`explained_errors`.

    Returns:
        Arrays of the faces by name, none where there is no face; file, width and height of the photo.
    """
    if data["schema"] != SCHEMA:
        raise InputError(f"expected schema {SCHEMA}, got {data['schema']!r}; use a matching facegeom")
    image = {key: data["image"][key] for key in ("width", "height", "file")}
    if not data["faces"]:
        return {}, image
    return {name: _stack(data["faces"], path) for name, (path, _) in _PLACES.items()}, image


@contextmanager
def explained_errors() -> Iterator[None]:
    """Turn what goes wrong with incomplete or mistyped data into an InputError."""
    try:
        yield
    except KeyError as error:
        raise InputError(
            f"expected the key {error} in the JSON of a photo; the file is incomplete"
        ) from error
    except TypeError as error:
        raise InputError(f"expected the JSON of a photo as nested dicts and lists: {error}") from error


def _stack(faces: Sequence[Mapping[str, Any]], path: tuple[str, ...]) -> Float32Array:
    values = [reduce(lambda group, key: group[key], path, face) for face in faces]
    try:
        return np.array(values, np.float32)
    except ValueError as error:
        raise InputError(f"{'.'.join(path)}: expected numbers of one shape for all faces: {error}") from error
