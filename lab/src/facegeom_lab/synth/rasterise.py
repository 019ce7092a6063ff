"""A z-buffer rasteriser and vertex normals, compiled with numba; for any mesh."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def rasterise(
    points_px: Floats,
    depth_mm: Floats,
    triangles: NDArray[np.int64],
    attributes: Floats,
    size_wh: tuple[int, int],
) -> tuple[Floats, Floats]:
    """Draw triangles with perspective-correct attributes; the nearer surface wins, back faces are drawn too.

    Args:
        points_px: (V, 2) pixels, centres at integers.
        depth_mm: (V,) distance along the camera's z axis; a triangle with a corner within 1 mm is dropped.
        triangles: (T, 3) vertex indices.
        attributes: (V, C), for instance linear colours.
        size_wh: of the image, pixels.

    Returns:
        Attributes (H, W, C), zero where nothing is drawn, and depth (H, W) in millimetres, infinite there.
    """
    width, height = size_wh
    image = np.zeros((height, width, attributes.shape[1]), dtype=np.float32)
    inverse = np.zeros((height, width), dtype=np.float32)
    _fill(
        np.ascontiguousarray(points_px, dtype=np.float32),
        np.ascontiguousarray(depth_mm, dtype=np.float32),
        np.ascontiguousarray(triangles, dtype=np.int64),
        np.ascontiguousarray(attributes, dtype=np.float32),
        image,
        inverse,
    )
    depth = np.full_like(inverse, np.inf)
    np.divide(1.0, inverse, out=depth, where=inverse > 0)
    return image, depth


def vertex_normals(vertices: Floats, triangles: NDArray[np.int64]) -> Floats:
    """Return unit normals (V, 3), weighted by the triangles' areas; zero for a vertex without triangles."""
    normals = np.zeros((len(vertices), 3), dtype=np.float32)
    _add_normals(np.ascontiguousarray(vertices, dtype=np.float32), np.ascontiguousarray(triangles), normals)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


@njit(cache=True)
def _add_normals(vertices, triangles, normals):
    for index in range(triangles.shape[0]):
        a, b, c = triangles[index]
        x, y, z = vertices[a, 0], vertices[a, 1], vertices[a, 2]
        ux, uy, uz = vertices[b, 0] - x, vertices[b, 1] - y, vertices[b, 2] - z
        vx, vy, vz = vertices[c, 0] - x, vertices[c, 1] - y, vertices[c, 2] - z
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz


@njit(cache=True)
def _fill(points, depth, triangles, attributes, image, inverse):
    height, width = inverse.shape
    for index in range(triangles.shape[0]):
        a, b, c = triangles[index]
        if min(depth[a], depth[b], depth[c]) <= 1.0:
            continue
        ax, ay = points[a, 0], points[a, 1]
        ux, uy = points[b, 0] - ax, points[b, 1] - ay
        vx, vy = points[c, 0] - ax, points[c, 1] - ay
        area = ux * vy - uy * vx
        if abs(area) < 1e-9:
            continue
        left = max(0, math.ceil(ax + min(0.0, ux, vx)))
        right = min(width - 1, math.floor(ax + max(0.0, ux, vx)))
        top = max(0, math.ceil(ay + min(0.0, uy, vy)))
        bottom = min(height - 1, math.floor(ay + max(0.0, uy, vy)))
        scale = 1.0 / area
        at_a, at_b, at_c = 1.0 / depth[a], 1.0 / depth[b], 1.0 / depth[c]
        for y in range(top, bottom + 1):
            dy = y - ay
            for x in range(left, right + 1):
                dx = x - ax
                wb, wc = (dx * vy - dy * vx) * scale, (ux * dy - uy * dx) * scale
                wa = 1.0 - wb - wc
                if wa < -1e-6 or wb < -1e-6 or wc < -1e-6:
                    continue
                wa, wb, wc = wa * at_a, wb * at_b, wc * at_c
                near = wa + wb + wc
                if near <= inverse[y, x]:
                    continue
                inverse[y, x] = near
                for k in range(attributes.shape[1]):
                    mixed = wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]
                    image[y, x, k] = mixed / near
