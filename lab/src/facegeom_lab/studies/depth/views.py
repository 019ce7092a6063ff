"""Depth maps as images: coloured maps, lit surfaces, rotated surfaces, errors as colour."""

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from facegeom.depth.depth_map import SIDE_MM
from facegeom.depth.surface import grid_triangles
from facegeom_lab.synth.rasterise import rasterise, vertex_normals

Floats = NDArray[np.floating]
Image = NDArray[np.uint8]

LIGHT = np.array([-0.35, -0.5, -0.8]) / np.linalg.norm([-0.35, -0.5, -0.8])
"""Direction of the light: from above, on the left."""

FAR_MM = 1e4


def map_image(depth_mm: Floats, near_mm: float = -40, far_mm: float = 100) -> Image:
    """Colour a depth map (S, S): near is bright, NaN black. Return (S, S, 3) uint8."""
    fraction = np.clip((far_mm - depth_mm) / (far_mm - near_mm), 0, 1)
    coloured = colormaps["viridis"](np.nan_to_num(fraction))[..., :3]
    return _bytes(np.where(np.isfinite(depth_mm)[..., None], coloured, 0))


def error_image(error_mm: Floats, largest_mm: float = 6) -> Image:
    """Colour errors (S, S): blue is too near, red too far, white exact, NaN black. Return (S, S, 3) uint8."""
    fraction = np.clip(error_mm / largest_mm / 2 + 0.5, 0, 1)
    coloured = colormaps["coolwarm"](np.nan_to_num(fraction))[..., :3]
    return _bytes(np.where(np.isfinite(error_mm)[..., None], coloured, 0))


def rotated_surface(
    depth_mm: Floats, yaw_deg: float = 0.0, colours: Floats | None = None, size_px: int = 160
) -> Image:
    """Render the surface of a depth map (S, S), NaN where no face is, seen from far away under another yaw.

    Args:
        depth_mm: behind any plane; the map covers the side of all depth maps.
        yaw_deg: rotation of the face; 0 is the view of the map.
        colours: (S, S, 3) of the surface, 0 to 1, unlit; by default it is grey and lit.
        size_px: side of the image.
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
    image, _ = rasterise(pixels, points[:, 2] + FAR_MM, triangles, shown, (size_px, size_px))
    return _bytes(image)


def _lit(points: Floats, triangles: NDArray[np.int64]) -> Floats:
    """Return the grey levels (V, 3) of a matt surface."""
    normals = vertex_normals(points.astype(np.float32), triangles)
    normals = np.where(normals[:, 2:] > 0, -normals, normals)  # towards the viewer
    return np.repeat(0.15 + 0.8 * np.clip(normals @ LIGHT, 0, 1)[:, None], 3, axis=1)


def _bytes(image: Floats) -> Image:
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)
