"""Point schemes: what each index means, which index mirrors which, how points are joined in a drawing."""

from itertools import pairwise

import numpy as np

IBUG68_REGIONS: dict[str, range] = {
    "jaw": range(0, 17),
    "brow_right": range(17, 22),
    "brow_left": range(22, 27),
    "nose_bridge": range(27, 31),
    "nose_base": range(31, 36),
    "eye_right": range(36, 42),
    "eye_left": range(42, 48),
    "lips_outer": range(48, 60),
    "lips_inner": range(60, 68),
}
"""Right and left are the person's own."""

_CLOSED = {"eye_right", "eye_left", "lips_outer", "lips_inner"}

IBUG68_EYE_CORNERS = (36, 45)
"""The outer corners; their distance is the inter-ocular distance of the 68-point error."""

_MIRRORED_RUNS = (
    (range(0, 17), range(16, -1, -1)),
    (range(17, 27), range(26, 16, -1)),
    (range(27, 31), range(27, 31)),
    (range(31, 36), range(35, 30, -1)),
    (range(36, 42), (45, 44, 43, 42, 47, 46)),
    (range(42, 48), (39, 38, 37, 36, 41, 40)),
    (range(48, 60), (54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55)),
    (range(60, 68), (64, 63, 62, 61, 60, 67, 66, 65)),
)


def _mirror68() -> np.ndarray:
    mirror = np.empty(68, np.intp)
    for indices, images in _MIRRORED_RUNS:
        mirror[list(indices)] = list(images)
    return mirror


IBUG68_MIRROR = _mirror68()
"""(68,) index of each point's mirror image."""


def ibug68_lines() -> list[tuple[int, int]]:
    """Pairs of indices to join in a drawing of the 68 points."""
    lines: list[tuple[int, int]] = []
    for name, indices in IBUG68_REGIONS.items():
        lines += pairwise(indices)
        if name in _CLOSED:
            lines.append((indices[-1], indices[0]))
    return lines


def five_from_68(landmarks68: np.ndarray) -> np.ndarray:
    """(..., 5, D) eye centres (person's right first), nose tip, mouth corners from (..., 68, D)."""
    picks = [list(IBUG68_REGIONS["eye_right"]), list(IBUG68_REGIONS["eye_left"]), [30], [48], [54]]
    return np.stack([landmarks68[..., pick, :].mean(axis=-2) for pick in picks], axis=-2)


MESH478_EYE_CORNERS = (33, 263)
"""Outer eye corners of the 478-point mesh; their distance scales the mesh's error."""

MESH478_IRISES = (range(468, 473), range(473, 478))
"""Centre and four rim points of the person's right and left iris."""
