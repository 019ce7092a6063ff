"""A z-buffer in numpy alone: triangles to a depth picture; those of about one size are drawn at once."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]

_SPANS = (4, 8, 16, 32, 64)
_EDGE = -1e-6  # pixels on a common side belong to both triangles


def zbuffer(points_px: FloatArray, z_mm: FloatArray, triangles: IntArray, size_px: int) -> FloatArray:
    """Draw a mesh's depth, the nearest surface in front, both sides of triangles.

    Args:
        points_px: (V, 2) pixels, centres at integers.
        z_mm: (V,) depth, positive; along a triangle its inverse is linear, as perspective has it.
        triangles: (T, 3) indices.
        size_px: side of the picture.

    Returns:
        (S, S) float32 depth, 0 where nothing is drawn.
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
            _draw(buffer, corners[chosen], near[chosen], low[chosen], high[chosen], side, size_px)
    depth = np.divide(1, buffer, out=np.zeros_like(buffer), where=buffer > 0)
    return depth.reshape(size_px, size_px).astype(np.float32)


def _draw(
    buffer: FloatArray,
    corners: FloatArray,
    near: FloatArray,
    low: IntArray,
    high: IntArray,
    side: int,
    size_px: int,
) -> None:
    """Raise ``buffer`` (S · S,) to the inverse depth of triangles no wider than ``side`` pixels."""
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
