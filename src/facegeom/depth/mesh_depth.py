"""Depth straight from the mesh, without a network: its triangles in a z-buffer, eyes and mouth closed."""

from functools import cache

import numpy as np
import numpy.typing as npt

from facegeom.depth.depth_map import SIZE_PX, DepthMap, depth_squares
from facegeom.depth.zbuffer import zbuffer
from facegeom.geometry import topology
from facegeom.geometry.transforms import apply, invert

FloatArray = npt.NDArray[np.floating]

IRIS_CENTRES = (468, 473)
"""Of the right and of the left eye: what lies behind the lids is laid through them."""


@cache
def closed_triangles() -> npt.NDArray[np.intp]:
    """(T, 3) the mesh's triangles and fans over its openings; 478 stands for the mouth's middle."""
    _, lips, *lids = topology.openings()
    hubs = {lips: 478, **{rim: _iris_of(rim) for rim in lids}}
    fans = [
        (hub, first, second)
        for rim, hub in hubs.items()
        for first, second in zip(rim, rim[1:] + rim[:1], strict=True)
    ]
    return np.concatenate([topology.triangles().astype(np.intp), np.array(fans, np.intp)])


def _iris_of(rim: tuple[int, ...]) -> int:
    canonical = topology.canonical_mm()
    away = np.linalg.norm(canonical[list(IRIS_CENTRES)] - canonical[list(rim)].mean(axis=0), axis=1)
    return IRIS_CENTRES[int(away.argmin())]


def mesh_depths(mesh_px: FloatArray, mesh_mm: FloatArray) -> list[DepthMap]:
    """Depth maps of N faces.

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
    """Meshes (N, 478, K) with the mouth's middle as point 478: the mean of the inner lips."""
    lips = mesh[:, list(topology.openings()[1])].mean(axis=1, keepdims=True)
    return np.concatenate([mesh, lips], axis=1)
