"""Results of a photo that was turned by quarter turns, carried back to the photo as it was given."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeom.depth.depth_map import DepthMap
from facegeom.image.photo import Photo
from facegeom.results.base import TURNS_DEG, Rows, Table

FloatArray = npt.NDArray[np.floating]

_PIXELS = ("landmarks_px", "mesh_px")
_MILLIMETRES = ("mesh_mm", "translation_mm")
_ROTATIONS = ("rotation", "camera_rotation")


SURE_ROLL_DEG = 45.0
SURE_CONFIDENCE = 0.6
SHARPENING = 16
"""A face is sure if it is tilted by less than this and its 68 points have this mean confidence.
Heads have no points: a power of their score stands for the confidence."""


def best_turn(photo: Photo, as_given: Rows, find: Callable[[Photo], Rows]) -> Rows:
    """Return the result of the quarter turn that shows faces best, in coordinates of the photo as given.

    The result ``as_given``, for the photo as it is, is kept if it has a sure face.
    """
    sure, best = _certainty(as_given)
    if sure:
        return as_given
    answer = as_given
    for turned_deg in TURNS_DEG[1:]:
        found = find(photo.turned(turned_deg))
        _, certainty = _certainty(found)
        if certainty > best:
            answer, best = turn_back(found, turned_deg), certainty
    return answer


def _certainty(found: Table[Any]) -> tuple[bool, float]:
    """Return whether a face is sure, and the sum of scores times confidences; tilted faces count half."""
    confidence = getattr(found, "landmarks_confidence", found.score[:, None] ** SHARPENING).mean(axis=1)
    upright = np.abs(found.roll_deg) < SURE_ROLL_DEG
    sure = bool((upright & (confidence >= SURE_CONFIDENCE)).any())
    return sure, float((found.score * confidence * np.where(upright, 1, 0.5)).sum())


def turn_back(found: Rows, turned_deg: int) -> Rows:
    """Carry a result, found in a photo turned clockwise, back to the photo before the turn; note the turn."""
    sine, cosine = {0: (0, 1), 90: (1, 0), 180: (0, -1), 270: (-1, 0)}[turned_deg]
    back = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    size = np.array([found.width, found.height])
    size_before = size[::-1] if sine else size
    offset = np.append((size_before - 1) / 2 - back[:2, :2] @ ((size - 1) / 2), 0)
    record: Any = found
    changed: dict[str, Any] = {"width": int(size_before[0]), "height": int(size_before[1])}
    for name in (field.name for field in fields(record)):
        value = getattr(record, name)
        if name in _PIXELS:
            axes = value.shape[-1]
            changed[name] = value @ back[:axes, :axes].T + offset[:axes]
        elif name in _MILLIMETRES:
            changed[name] = value @ back.T
        elif name in _ROTATIONS:
            changed[name] = back @ value
        elif name == "box_xyxy":
            corners = value.reshape(-1, 2, 2) @ back[:2, :2].T + offset[:2]
            changed[name] = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=-1)
        elif name == "depth" and value is not None:
            changed[name] = tuple(_depth_turned(each, back[:2, :2], offset[:2]) for each in value)
    turned: Rows = replace(record, **changed, turned_deg=turned_deg)
    return turned


def _depth_turned(depth: DepthMap, back: FloatArray, offset: FloatArray) -> DepthMap:
    """Return the same map, whose pixels lie elsewhere in the photo."""
    return DepthMap(depth.z_mm, back @ depth.image_from_depth + np.column_stack([np.zeros((2, 2)), offset]))
