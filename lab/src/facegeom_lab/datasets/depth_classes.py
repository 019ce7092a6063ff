"""Depth as classes, for stage I: steps of depth behind the nose tip."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

STEP_MM = 4.0
NEAREST_MM, FARTHEST_MM = -80.0, 120.0
"""Range of the classes, behind the nose tip. A cheek turned to the camera is nearer than the nose."""

CLASSES = 1 + int((FARTHEST_MM - NEAREST_MM) / STEP_MM)
"""Class 0 is no face, class k begins NEAREST_MM + (k - 1) · STEP_MM; the outer ones take all beyond."""


def to_classes(depth_mm: FloatArray, face: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Convert depths behind the nose tip (...,) to classes (...,), 0 where ``face`` is False."""
    steps = np.floor((np.where(face, depth_mm, 0) - NEAREST_MM) / STEP_MM)
    return np.where(face, np.clip(steps, 0, CLASSES - 2) + 1, 0).astype(np.int64)
