"""A depth map as points and as a surface in the camera frame."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facegeom.depth.depth_map import DepthMap
from facegeom.geometry.camera import pinhole_of_mesh

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles in the camera frame, and their vertices in the photo.

    Attributes:
        points_mm: (V, 3) camera frame, millimetres.
        triangles: (T, 3) indices, counter-clockwise in the image.
        pixels_xy: (V, 2) of the photo.
    """

    points_mm: FloatArray
    triangles: npt.NDArray[np.integer]
    pixels_xy: FloatArray


def surface_of(depth: DepthMap, mesh_px: FloatArray, mesh_mm: FloatArray) -> Surface:
    """Turn a face's pixels into points and join neighbours: one sheet without holes where the map has none.

    The camera is the one that projects the face's mesh to its pixels, so surface and mesh share one frame.

    Args:
        depth: the depth map of the face.
        mesh_px: (478, 3) its mesh, pixels of the photo.
        mesh_mm: (478, 3) its mesh, camera frame.
    """
    focal_px, centre_px = pinhole_of_mesh(mesh_px, mesh_mm)
    pixels, z = depth.pixels_xy()[depth.mask], depth.z_mm[depth.mask].astype(np.float64)
    ray = (pixels - centre_px) / focal_px
    points = np.column_stack([ray * z[:, None], z])
    return Surface(points, grid_triangles(depth.mask), pixels)


def grid_triangles(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """Triangulate a grid: two triangles for four neighbours in ``mask``, one for three of four.

    Args:
        mask: (S, S).

    Returns:
        (T, 3) indices of the points in the mask, counted row by row.
    """
    number = np.where(mask, np.cumsum(mask).reshape(mask.shape) - 1, -1)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
    halves = [np.stack(corners, axis=-1) for corners in ((a, b, c), (a, c, d))]
    lone = [np.stack(corners, axis=-1)[lacking < 0] for corners, lacking in (((a, b, d), c), ((b, c, d), a))]
    every = np.concatenate([each.reshape(-1, 3) for each in (*halves, *lone)])
    return every[(every >= 0).all(axis=1)].astype(np.int32)
