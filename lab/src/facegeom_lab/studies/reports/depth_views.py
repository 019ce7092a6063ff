"""Depth as pictures for people: grey maps, lit surfaces, turned surfaces, errors as colour."""

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from facegeom.depth.depth_map import SIDE_MM
from facegeom.depth.surface import grid_triangles
from facegeom_lab.synth.rasterise import rasterise, vertex_normals

Floats = NDArray[np.floating]
Picture = NDArray[np.uint8]

LIGHT = np.array([-0.35, -0.5, -0.8]) / np.linalg.norm([-0.35, -0.5, -0.8])
"""Towards the lamp: from above, on the left."""

FAR_MM = 1e4


def map_picture(depth_mm: Floats, near_mm: float = -40, far_mm: float = 100) -> Picture:
    """(S, S, 3) near is bright; black where depth (S, S) is NaN."""
    share = np.clip((far_mm - depth_mm) / (far_mm - near_mm), 0, 1)
    coloured = colormaps["viridis"](np.nan_to_num(share))[..., :3]
    return _bytes(np.where(np.isfinite(depth_mm)[..., None], coloured, 0))


def error_picture(error_mm: Floats, largest_mm: float = 6) -> Picture:
    """(S, S, 3) blue is too near, red too far; white where there is none, black where it is NaN."""
    share = np.clip(error_mm / largest_mm / 2 + 0.5, 0, 1)
    coloured = colormaps["coolwarm"](np.nan_to_num(share))[..., :3]
    return _bytes(np.where(np.isfinite(error_mm)[..., None], coloured, 0))


def turned(
    depth_mm: Floats, yaw_deg: float = 0.0, colours: Floats | None = None, size_px: int = 160
) -> Picture:
    """The surface of a depth map (S, S), NaN where no face is, seen from far away under another yaw.

    Args:
        depth_mm: behind any plane; the map is as wide as every depth map.
        yaw_deg: turns the face; 0 is as the map sees it.
        colours: (S, S, 3) of the surface, 0 to 1, shown as they are; by default it is grey and lit.
        size_px: side of the picture.
    """
    mask = np.isfinite(depth_mm)
    row, column = np.nonzero(mask)
    pitch = SIDE_MM / len(depth_mm)
    points = np.column_stack([column * pitch, row * pitch, depth_mm[mask]])
    points = points - (points.min(axis=0) + points.max(axis=0)) / 2
    angle = np.deg2rad(yaw_deg)
    rotation = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    points = points @ rotation.T
    triangles = grid_triangles(mask).astype(np.int64)
    shown = _lit(points, triangles) if colours is None else colours[mask]
    pixels = points[:, :2] * (size_px / SIDE_MM) + (size_px - 1) / 2
    picture, _ = rasterise(pixels, points[:, 2] + FAR_MM, triangles, shown, (size_px, size_px))
    return _bytes(picture)


def _lit(points: Floats, triangles: NDArray[np.int64]) -> Floats:
    """(V, 3) grey of a matt surface."""
    normals = vertex_normals(points.astype(np.float32), triangles)
    normals = np.where(normals[:, 2:] > 0, -normals, normals)  # towards the viewer
    return np.repeat(0.15 + 0.8 * np.clip(normals @ LIGHT, 0, 1)[:, None], 3, axis=1)


def _bytes(picture: Floats) -> Picture:
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8)
