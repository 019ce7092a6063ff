"""Warp images over the face mesh: helpers that the examples share."""

from math import ceil, floor

import numpy as np
from PIL import Image

from facegeom.geometry import topology

TEXTURE_PX = 1024
_IRISES_AND_LIP, _HOLE_MM = (468, 473, 13), 35.0
_SUPERSAMPLING = 2  # for smooth edges


def texture_px() -> np.ndarray:
    """Return the texture coordinates (478, 2) in pixels of the square texture."""
    return topology.uv() * TEXTURE_PX - 0.5


def rim_of(triangles: np.ndarray) -> np.ndarray:
    """Return the directed edges (E, 2) that belong to one triangle only."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    known = {(a, b) for a, b in edges.tolist()}
    return np.array([(a, b) for a, b in edges.tolist() if (b, a) not in known])


def filled() -> np.ndarray:
    """Return the mesh's triangles (T, 3) with others that close the eyes and the mouth."""
    triangles, head = topology.triangles(), topology.canonical_mm()
    rim = rim_of(triangles)
    for middle in _IRISES_AND_LIP:
        near = (np.linalg.norm(head[rim] - head[middle], axis=2) < _HOLE_MM).all(axis=1)
        fan = np.column_stack([rim[near][:, ::-1], np.full(near.sum(), middle)])
        triangles = np.concatenate([triangles, fan])
    return triangles


def visible_triangles(mesh: np.ndarray, triangles: np.ndarray | None = None) -> np.ndarray:
    """Return the triangles (T, 3) of a mesh (478, 3) that face the viewer, the farthest first.

    The mesh's axes are x right, y down, z away from the viewer.
    """
    triangles = topology.triangles() if triangles is None else triangles
    corners = mesh[triangles]
    a, b = (corners[:, 1] - corners[:, 0]), (corners[:, 2] - corners[:, 0])
    order = np.argsort(-corners[:, :, 2].mean(axis=1))
    signed_area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return triangles[order[signed_area[order] < 0]]


def warp(
    source: Image.Image,
    from_px: np.ndarray,
    to_px: np.ndarray,
    size_wh: tuple[int, int],
    triangles: np.ndarray,
) -> Image.Image:
    """Warp an image from points (478, 2) to points (478, 2), triangle by triangle.

    Returns:
        RGBA of the given size, transparent where there is no triangle.
    """
    pixels = np.asarray(source.convert("RGBA"), np.float32)
    canvas = np.zeros((size_wh[1] * _SUPERSAMPLING, size_wh[0] * _SUPERSAMPLING, 4), np.uint8)
    corners = (to_px + 0.5) * _SUPERSAMPLING - 0.5
    for triangle in triangles:
        _fill(canvas, corners[triangle], pixels, from_px[triangle])
    return Image.fromarray(canvas).reduce(_SUPERSAMPLING)


def _fill(canvas: np.ndarray, corners: np.ndarray, pixels: np.ndarray, from_px: np.ndarray) -> None:
    """Fill one triangle: corners (3, 2) on the canvas, and their positions (3, 2) in the source pixels."""
    (ax, ay), (bx, by), (cx, cy) = corners.tolist()
    left, right = max(0, floor(min(ax, bx, cx))), min(canvas.shape[1] - 1, ceil(max(ax, bx, cx)))
    top, bottom = max(0, floor(min(ay, by, cy))), min(canvas.shape[0] - 1, ceil(max(ay, by, cy)))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    if abs(area) < 1e-6 or left > right or top > bottom:
        return
    x, y = np.arange(left, right + 1) - ax, np.arange(top, bottom + 1)[:, None] - ay
    second = (x * (cy - ay) - y * (cx - ax)) / area
    third = (y * (bx - ax) - x * (by - ay)) / area
    inside = (second > -0.01) & (third > -0.01) & (second + third < 1.01)
    second, third = second[inside, None], third[inside, None]
    points = from_px[0] + second * (from_px[1] - from_px[0]) + third * (from_px[2] - from_px[0])
    canvas[top : bottom + 1, left : right + 1][inside] = _sample(pixels, points)


def _sample(pixels: np.ndarray, points_px: np.ndarray) -> np.ndarray:
    """Return the colours (K, 4) at points (K, 2), bilinear."""
    x, y = np.clip(points_px.T, 0, np.array(pixels.shape[1::-1])[:, None] - 1.001)
    column, row = x.astype(int), y.astype(int)
    right, down = (x - column)[:, None], (y - row)[:, None]
    upper = pixels[row, column] * (1 - right) + pixels[row, column + 1] * right
    lower = pixels[row + 1, column] * (1 - right) + pixels[row + 1, column + 1] * right
    return upper * (1 - down) + lower * down + 0.5
