"""Depth of a bare head before a camera, and how shards store it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facegeom.geometry.camera import Camera
from facegeom_lab.synth.anatomy import find_anatomy
from facegeom_lab.synth.mesh import Floats
from facegeom_lab.synth.model import HeadModel
from facegeom_lab.synth.rasterise import rasterise

UNIT_MM, OFFSET_MM = 0.01, -300.0
"""A stored count c > 0 lies c · UNIT_MM + OFFSET_MM behind the head's origin along the camera's z axis."""


def face_depth(points_mm: Floats, model: HeadModel, camera: Camera) -> Floats:
    """The face's z by a z-buffer: what the camera sees of the bare head, without hair, glasses and clothes.

    Args:
        points_mm: (V, 3) the model's vertices in the camera frame.
        model: whose triangles they are.
        camera: of the picture.

    Returns:
        (H, W) millimetres along the camera's axis at the pixels' centres, 0 where the face is not.
    """
    face = find_anatomy(model).face[:, None].astype(np.float32)
    size = (camera.width, camera.height)
    shown, depth = rasterise(camera.project(points_mm), points_mm[:, 2], model.triangles, face, size)
    return np.where(shown[..., 0] > 0.5, depth, 0).astype(np.float32)


def to_counts(depth_mm: Floats, origin_mm: float) -> NDArray[np.uint16]:
    """Depth (H, W), 0 where the face is not, as counts; 0 stays 0. ``origin_mm`` is the head's own z."""
    counts = np.rint((depth_mm - origin_mm - OFFSET_MM) / UNIT_MM)
    return np.where(depth_mm > 0, np.clip(counts, 1, 65535), 0).astype(np.uint16)


def from_counts(counts: NDArray[np.uint16], origin_mm: float) -> Floats:
    """The inverse of :func:`to_counts`, to half a unit."""
    depth = counts.astype(np.float32) * np.float32(UNIT_MM) + np.float32(OFFSET_MM + origin_mm)
    return np.where(counts > 0, depth, 0).astype(np.float32)
