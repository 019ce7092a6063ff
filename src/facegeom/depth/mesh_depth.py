"""Depth from the mesh, without a network: its triangles in a z-buffer, eyes and mouth closed."""

from functools import cache

import numpy as np
import numpy.typing as npt

from facegeom.depth.depth_map import SIZE_PX, DepthMap, depth_squares
from facegeom.geometry import topology
from facegeom.geometry.transforms import apply, invert

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]

_SPANS = (4, 8, 16, 32, 64)
_EDGE = -1e-6  # pixels on a common edge belong to both triangles

IRIS_CENTRES = (468, 473)
"""Of the right and of the left eye: the surface between the lids passes through them."""


@cache
def closed_triangles() -> npt.NDArray[np.intp]:
    """Return the mesh's triangles and fans over its openings (T, 3); index 478 is the mouth's centre."""
    _, lips, *lids = topology.openings()
    hubs = {lips: 478, **{rim: _iris_of(rim) for rim in lids}}
    fans = [
        (hub, first, second)
        for rim, hub in hubs.items()
        for first, second in zip(rim, rim[1:] + rim[:1], strict=True)
    ]
    return np.concatenate([topology.triangles().astype(np.intp), np.array(fans, np.intp)])


def _iris_of(rim: tuple[int, ...]) -> int:
    """Return the iris centre nearest to the rim of an eye."""
    canonical = topology.canonical_mm()
    away = np.linalg.norm(canonical[list(IRIS_CENTRES)] - canonical[list(rim)].mean(axis=0), axis=1)
    return IRIS_CENTRES[int(away.argmin())]


def mesh_depths(mesh_px: FloatArray, mesh_mm: FloatArray) -> list[DepthMap]:
    """Return the depth maps of N faces.

    Args:
        mesh_px: (N, 478, 3) pixels of the photo, z on the same scale.
        mesh_mm: (N, 478, 3) the same points in the camera frame.
    """
    if not len(mesh_px):
        return []
    squares = depth_squares(mesh_px)
    points = apply(invert(squares), with_mouth(mesh_px[..., :2].astype(np.float64)))
    depth = with_mouth(mesh_mm)[..., 2]
    return [
        DepthMap(zbuffer(place, z, closed_triangles(), SIZE_PX), square)
        for place, z, square in zip(points, depth, squares, strict=True)
    ]


def with_mouth(mesh: FloatArray) -> FloatArray:
    """Append the mouth's centre, the mean of the inner lips, to meshes (N, 478, K) as point 478."""
    lips = mesh[:, list(topology.openings()[1])].mean(axis=1, keepdims=True)
    return np.concatenate([mesh, lips], axis=1)


def zbuffer(points_px: FloatArray, z_mm: FloatArray, triangles: IntArray, size_px: int) -> FloatArray:
    """Rasterise a mesh's depth, the nearest surface in front, both sides of triangles.

    Args:
        points_px: (V, 2) pixels, centres at integers.
        z_mm: (V,) depth, positive; within a triangle its inverse is linear, as perspective requires.
        triangles: (T, 3) indices.
        size_px: side of the depth map.

    Returns:
        (S, S) float32 depth, 0 where no triangle is.
    """
    corners = points_px[triangles].astype(np.float64)
    low = np.maximum(np.ceil(corners.min(axis=1)), 0).astype(np.intp)
    high = np.minimum(np.floor(corners.max(axis=1)), size_px - 1).astype(np.intp)
    span = (high - low).max(axis=1) + 1
    span[(high < low).any(axis=1)] = 0
    near = (1 / z_mm.astype(np.float64))[triangles]
    buffer = np.zeros(size_px * size_px)
    fewest = 0
    for side in (*(each for each in _SPANS if each < size_px), size_px):
        chosen = (span > fewest) & (span <= side)
        fewest = side
        if chosen.any():
            _rasterise(buffer, corners[chosen], near[chosen], low[chosen], high[chosen], side, size_px)
    depth = np.divide(1, buffer, out=np.zeros_like(buffer), where=buffer > 0)
    return depth.reshape(size_px, size_px).astype(np.float32)


def _rasterise(
    buffer: FloatArray,
    corners: FloatArray,
    near: FloatArray,
    low: IntArray,
    high: IntArray,
    side: int,
    size_px: int,
) -> None:
    """Raise ``buffer`` (S · S,) to the inverse depth of triangles at most ``side`` pixels wide."""
    row, column = (offset.ravel() for offset in np.indices((side, side)))
    x, y = low[:, :1] + column, low[:, 1:] + row
    a, b, c = np.moveaxis(corners, 1, 0)[..., None]
    (ux, uy), (vx, vy) = np.moveaxis(b - a, 1, 0), np.moveaxis(c - a, 1, 0)
    area = ux * vy - uy * vx
    share = np.divide(1, area, out=np.zeros_like(area), where=np.abs(area) > 1e-9)
    dx, dy = x - a[:, 0], y - a[:, 1]
    of_b, of_c = (dx * vy - dy * vx) * share, (ux * dy - uy * dx) * share
    of_a = 1 - of_b - of_c
    inside = (np.minimum(np.minimum(of_a, of_b), of_c) >= _EDGE) & (share != 0)
    inside &= (x <= high[:, :1]) & (y <= high[:, 1:])
    value = of_a * near[:, :1] + of_b * near[:, 1:2] + of_c * near[:, 2:]
    np.maximum.at(buffer, (y * size_px + x)[inside], value[inside])
