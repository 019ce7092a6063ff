"""Surfaces of depth maps: in the mesh's frame, without holes, triangles wound as the mesh's."""

from collections.abc import Callable

import numpy as np

from facegeom.depth.mesh_depth import mesh_depths
from facegeom.depth.surface import grid_triangles, surface_of
from facegeom.geometry.camera import Camera
from facegeom.results import Face

MakeFace = Callable[..., Face]


def test_points_lie_where_the_photo_shows_them(make_face: MakeFace, camera: Camera) -> None:
    face = make_face(translation_mm=(50, 20, 600))
    depth = mesh_depths(face.mesh_px[None], face.mesh_mm[None])[0]
    surface = surface_of(depth, face.mesh_px, face.mesh_mm)
    assert len(surface.points_mm) == depth.mask.sum()
    np.testing.assert_allclose(camera.project(surface.points_mm), surface.pixels_xy, atol=0.02)
    np.testing.assert_allclose(surface.points_mm[:, 2], depth.z_mm[depth.mask])


def test_the_surface_is_one_sheet(make_face: MakeFace) -> None:
    """Euler's number of a sheet without holes is 1."""
    face = make_face(angles_deg=(20, 0, 0))
    triangles = grid_triangles(mesh_depths(face.mesh_px[None], face.mesh_mm[None])[0].mask)
    sides = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    used = np.unique(triangles)
    assert len(used) - len(np.unique(sides, axis=0)) + len(triangles) == 1


def test_triangles_are_counter_clockwise_in_the_image() -> None:
    mask = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], bool)
    triangles = grid_triangles(mask)
    row, column = np.nonzero(mask)
    a, b, c = (np.column_stack([column, row])[triangles[:, corner]] for corner in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (area < 0).all()
    assert len(triangles) == 6  # two whole squares, two halves
