"""What eyes and mouth do, as lengths on the mesh: opening of lids and lips, place of the iris."""

from collections.abc import Sequence

import numpy as np

from facegeom.geometry import topology

LID_PAIRS = ((160, 144), (159, 145), (158, 153))
"""Upper and lower lid points of the person's right eye; their mean distance is the opening of the lids."""

EYE_CORNERS = (33, 133)
"""Outer and inner corner of the right eye."""

IRIS = 468
"""Centre of the right iris."""

LIP_PAIRS = ((82, 87), (13, 14), (312, 317))
"""Upper and lower points of the inner lips."""

MOUTH_CORNERS = (61, 291)
OUTER_EYE_CORNERS = (33, 263)


def lid_gap(mesh: np.ndarray) -> np.ndarray:
    """Return the opening of right and left lids (N, 2) in widths of the eye, from meshes (N, 478, 2 or 3)."""
    upper, lower = (_both_eyes(mesh, [pair[side] for pair in LID_PAIRS]) for side in (0, 1))
    return np.linalg.norm(upper - lower, axis=-1).mean(axis=2) / eye_widths(mesh)


def eye_widths(mesh: np.ndarray) -> np.ndarray:
    """Return the distances (N, 2) of the corners of right and left eye, in the unit of the mesh."""
    outer, inner = (_both_eyes(mesh, [corner])[:, :, 0] for corner in EYE_CORNERS)
    return np.linalg.norm(outer - inner, axis=-1)


def iris_offset(mesh: np.ndarray) -> np.ndarray:
    """Return the place (N, 2) of the right and left iris from the outer (0) to the inner corner (1)."""
    iris, outer, inner = (_both_eyes(mesh, [point])[:, :, 0] for point in (IRIS, *EYE_CORNERS))
    axis = inner - outer
    return ((iris - outer) * axis).sum(axis=-1) / (axis**2).sum(axis=-1)


def mouth_gap(mesh: np.ndarray) -> np.ndarray:
    """Return the opening of the lips (N, 1) in widths of the mouth."""
    upper, lower = (mesh[:, [pair[side] for pair in LIP_PAIRS], :2] for side in (0, 1))
    return np.linalg.norm(upper - lower, axis=-1).mean(axis=1, keepdims=True) / _distance(mesh, MOUTH_CORNERS)


def mouth_width(mesh: np.ndarray) -> np.ndarray:
    """Return the width of the mouth (N, 1) in distances of the outer eye corners."""
    return _distance(mesh, MOUTH_CORNERS) / _distance(mesh, OUTER_EYE_CORNERS)


def _distance(mesh: np.ndarray, pair: tuple[int, int]) -> np.ndarray:
    return np.linalg.norm(mesh[:, pair[0], :2] - mesh[:, pair[1], :2], axis=-1)[:, None]


def _both_eyes(mesh: np.ndarray, right: Sequence[int]) -> np.ndarray:
    """Return points (N, 2, K, 2) of the right eye and their mirror images."""
    indices = np.stack([np.array(right), topology.mirror()[list(right)]])
    return mesh[:, indices, :2]
