"""The canonical head and the mesh's topology, computed from labelled meshes: ``geometry/mesh478.npz``."""

from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from facegeom.geometry.rotation import procrustes
from facegeom.geometry.schemes import IBUG68_MIRROR, MESH478_IRISES
from facegeom_lab.datasets.published.pack import mesh_labels
from facegeom_lab.files import save_npz
from facegeom_lab.teachers.linear_map import LinearMap, fit_linear_map

FRONTAL_FRACTION = 0.5
"""Fraction of the meshes that are used, the most frontal: the teacher's errors are smallest there."""

INNER68 = slice(17, 68)
"""The 68 points without the jaw's, which slide along the outline when the head rotates."""

SMOOTH: dict[str, Any] = {"neighbours": 12, "ridge": 1e-2}
"""A map of near points with small weights: fitted to x and y, it must hold along z as well."""


def triangles_from_edges(edges: np.ndarray, points_xy: np.ndarray) -> np.ndarray:
    """Return the triangles (T, 3) of a planar mesh: three joined edges that do not surround other triangles.

    An edge belongs to at most two triangles; three edges that are each in a third one surround a point.

    Args:
        edges: (E, 2).
        points_xy: (K, 2) points of a frontal face, y down; for the orientation.
    """
    near: dict[int, set[int]] = {}
    for first, second in edges.tolist():
        near.setdefault(first, set()).add(second)
        near.setdefault(second, set()).add(first)
    cliques = sorted(
        {tuple(sorted((a, b, c))) for a in near for b, c in combinations(sorted(near[a]), 2) if c in near[b]}
    )
    uses = Counter(side for clique in cliques for side in combinations(clique, 2))
    faces = [clique for clique in cliques if any(uses[side] <= 2 for side in combinations(clique, 2))]
    triangles = _oriented(np.array(faces, np.int16))
    a, b, c = (points_xy[triangles[:, corner]] for corner in range(3))
    clockwise = np.sum((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) > 0
    return triangles[:, ::-1] if clockwise else triangles


def _oriented(triangles: np.ndarray) -> np.ndarray:
    """Orient triangles (T, 3) alike: neighbours run along their common side in opposite directions.

    Signed areas do not suffice: in the nostrils two triangles lie folded under their neighbours.
    """
    sides = defaultdict(list)
    for index, corners in enumerate(triangles.tolist()):
        for side in _sides(corners):
            sides[frozenset(side)].append((index, side))
    flipped: dict[int, bool] = {}
    for start in range(len(triangles)):
        queue = [] if start in flipped else [start]
        flipped.setdefault(start, False)
        while queue:
            index = queue.pop()
            for side in _sides(triangles[index].tolist()):
                for other, other_side in sides[frozenset(side)]:
                    if other not in flipped:
                        flipped[other] = flipped[index] ^ (other_side == side)
                        queue.append(other)
    flip = np.array([flipped[index] for index in range(len(triangles))])
    return np.where(flip[:, None], triangles[:, [0, 2, 1]], triangles)


def _sides(corners: list[int]) -> list[tuple[int, int]]:
    a, b, c = corners
    return [(a, b), (b, c), (c, a)]


def mean_head(mesh: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Return the symmetric mean shape (478, 3) of meshes (N, 478, 3) by generalised Procrustes, of norm 1."""
    asymmetry = np.abs((mesh[:, :, 0] - mesh[:, :1, 0]).mean(axis=1)) / np.ptp(mesh[:, :, 0], axis=1)
    frontal = mesh[asymmetry <= np.quantile(asymmetry, FRONTAL_FRACTION)].astype(np.float64)
    shape = frontal[0]
    for _ in range(8):
        aligned = procrustes(frontal, shape).apply(frontal)
        shape = symmetric(aligned.mean(axis=0), mirror)
        shape = (shape - shape.mean(axis=0)) / np.linalg.norm(shape)
    return shape


def symmetric(shape: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Return the mean of a shape (K, 3) and its mirror image, aligned first; symmetric about x = 0."""
    image = shape[mirror] * (-1, 1, 1)
    shape = (shape + procrustes(image, shape).apply(image)) / 2
    axis = shape - shape[mirror]
    normal = axis[np.linalg.norm(axis, axis=1) > 1e-9]
    normal = (normal * np.sign(normal[:, :1])).sum(axis=0)
    return shape @ _rotation_to_x(normal / np.linalg.norm(normal)).T


def _rotation_to_x(direction: np.ndarray) -> np.ndarray:
    """Return the smallest rotation that takes a unit vector to the x axis."""
    x = np.array([1.0, 0.0, 0.0])
    v = np.cross(direction, x)
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + k + k @ k / (1 + direction @ x)


def into_head_frame(
    shape: np.ndarray, head68_mm: np.ndarray, linear_map: LinearMap, mirror: np.ndarray
) -> np.ndarray:
    """Align the shape (478, 3) by its 68 points to the head model's (68, 3); head frame, mm, symmetric."""
    fit = procrustes(linear_map.apply(shape)[INNER68], head68_mm[INNER68])
    head = fit.apply(shape)
    return (head + head[mirror] * (-1, 1, 1)) / 2


def write_topology(labels: Path, head68_mm: np.ndarray, out: Path) -> dict[str, float]:
    """Compute triangles, mirror map and canonical head from ``facegeom lab label``'s file and write them.

    Returns:
        Number of triangles, RMS distance of the canonical head from the model's inner 51 points in mm,
        distance of the pupils in mm.
    """
    table = mesh_labels(labels)
    mirror = table["mirror"].astype(np.intp)
    fitted = table["fitted"]
    linear_map = fit_linear_map(table["mesh"][fitted], table["landmarks"][fitted], **SMOOTH)
    head = into_head_frame(mean_head(table["mesh"][table["keep"]], mirror), head68_mm, linear_map, mirror)
    triangles = triangles_from_edges(table["edges"], head[:, :2])
    points68 = linear_map.apply(head)
    save_npz(
        out,
        triangles=triangles,
        mirror=mirror.astype(np.int16),
        canonical_mm=head.astype(np.float32),
        canonical68_mm=((points68 + points68[IBUG68_MIRROR] * (-1, 1, 1)) / 2).astype(np.float32),
    )
    apart = points68[INNER68] - head68_mm[INNER68]
    irises = np.linalg.norm(head[MESH478_IRISES[0][0]] - head[MESH478_IRISES[1][0]])
    return {
        "triangles": len(triangles),
        "rms_mm": float(np.sqrt((apart**2).sum(axis=1).mean())),
        "pupils_mm": float(irises),
    }
