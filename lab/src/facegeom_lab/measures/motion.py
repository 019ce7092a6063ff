"""What eyes and mouth do, as lengths on meshes (N, 478, 2 or 3): opening of lids and lips, place of the iris.

In the image, not in 3D as :class:`facegeom.Faces` gives them: teachers' depth is no reference.
"""

import numpy as np

from facegeom.geometry.schemes import (
    MESH478_EYE_CORNERS,
    MESH478_EYE_ENDS,
    MESH478_IRISES,
    MESH478_LIDS,
)

LIP_PAIRS = ((82, 87), (13, 14), (312, 317))
"""Upper and lower points of the inner lips."""

MOUTH_CORNERS = (61, 291)

SEEN_WIDTH = 0.6
"""An eye narrower than this part of the face's other eye is turned away."""


def lid_gap(mesh: np.ndarray) -> np.ndarray:
    """Return the mean opening of right and left lids (N, 2) at three places, in widths of the eye."""
    return _distances(mesh, MESH478_LIDS).mean(axis=-1) / eye_widths(mesh)


def eye_widths(mesh: np.ndarray) -> np.ndarray:
    """Return the distances (N, 2) of the corners of right and left eye, in the unit of the mesh."""
    return _distances(mesh, MESH478_EYE_ENDS)


def seen_eyes(mesh: np.ndarray) -> np.ndarray:
    """Return which right and left eyes (N, 2) are not turned away."""
    width = eye_widths(mesh)
    return np.asarray(width >= SEEN_WIDTH * width.max(axis=1, keepdims=True))


def iris_offset(mesh: np.ndarray) -> np.ndarray:
    """Return the place (N, 2) of the right and left iris from the outer (0) to the inner corner (1)."""
    outer, inner = np.moveaxis(mesh[:, np.array(MESH478_EYE_ENDS), :2], 2, 0)
    iris = mesh[:, [rim[0] for rim in MESH478_IRISES], :2]
    axis = inner - outer
    return np.asarray(((iris - outer) * axis).sum(axis=-1) / (axis**2).sum(axis=-1))


def mouth_gap(mesh: np.ndarray) -> np.ndarray:
    """Return the mean opening of the lips (N, 1) at three places, in widths of the mouth."""
    gap = _distances(mesh, LIP_PAIRS).mean(axis=-1)
    return np.asarray(gap / _distances(mesh, MOUTH_CORNERS))[:, None]


def mouth_width(mesh: np.ndarray) -> np.ndarray:
    """Return the width of the mouth (N, 1) in distances of the outer eye corners."""
    return np.asarray(_distances(mesh, MOUTH_CORNERS) / _distances(mesh, MESH478_EYE_CORNERS))[:, None]


def _distances(mesh: np.ndarray, pairs: object) -> np.ndarray:
    """Return the distances (N, ...) in the image between pairs (..., 2) of points."""
    ends = mesh[:, np.array(pairs), :2]
    return np.asarray(np.linalg.norm(ends[..., 0, :] - ends[..., 1, :], axis=-1))
