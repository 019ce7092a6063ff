"""Depth from the mesh: right at its points, without holes; the z-buffer by worked triangles."""

from collections.abc import Callable

import numpy as np
import pytest

from facegeom.depth.mesh_depth import closed_triangles, mesh_depths, zbuffer
from facegeom.geometry.transforms import apply, invert
from facegeom.results import Face

MakeFace = Callable[..., Face]
FRONT = [4, 10, 152, 50, 280, 151, 18]
"""Nose tip, forehead, chin, cheeks, brow, under the lips: seen from the front."""

SQUARE = np.array([(0, 0), (9, 0), (9, 9), (0, 9)], float)
HALVES = np.array([(0, 1, 2), (0, 2, 3)])


@pytest.mark.parametrize("place", [(0, 0, 500), (-120, 60, 700)])
def test_depth_at_the_meshs_points(make_face: MakeFace, place: tuple[float, float, float]) -> None:
    face = make_face(translation_mm=place, angles_deg=(5, 0, 10))
    depth = mesh_depths(face.mesh_px[None], face.mesh_mm[None])[0]
    points = apply(invert(depth.image_from_depth), face.mesh_px[FRONT, :2].astype(float))
    for (column, row), expected in zip(points, face.mesh_mm[FRONT, 2], strict=True):
        found = depth.z_mm[int(row) : int(row) + 2, int(column) : int(column) + 2]
        assert np.abs(found[found > 0] - expected).min() < 2


@pytest.mark.parametrize("yaw", [0, 40, 85])
def test_the_map_has_no_holes(make_face: MakeFace, yaw: float) -> None:
    face = make_face(angles_deg=(yaw, 0, 0))
    mask = mesh_depths(face.mesh_px[None], face.mesh_mm[None])[0].mask
    for row in mask[mask.any(axis=1)]:
        first, last = np.flatnonzero(row)[[0, -1]]
        assert row[first : last + 1].mean() > (1.0 - 1e-9 if yaw < 45 else 0.8)  # lips and nose of a profile


def test_eyes_and_mouth_are_closed() -> None:
    triangles = closed_triangles()
    sides = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    _, uses = np.unique(sides, axis=0, return_counts=True)
    assert (uses == 1).sum() == 36  # the oval alone is open


def test_no_face_gives_no_map() -> None:
    assert mesh_depths(np.zeros((0, 478, 3)), np.zeros((0, 478, 3))) == []


# From here on: the z-buffer.


def test_a_plane_in_perspective() -> None:
    """The inverse depth is linear in the image: 1/100 on the left, 1/200 on the right."""
    depth = zbuffer(SQUARE, np.array([100.0, 200, 200, 100]), HALVES, 10)
    expected = 1 / np.linspace(1 / 100, 1 / 200, 10)
    np.testing.assert_allclose(depth, np.tile(expected, (10, 1)), rtol=1e-5)


def test_the_nearer_surface_wins_whatever_the_order() -> None:
    points = np.concatenate([SQUARE, SQUARE])
    z = np.array([50.0] * 4 + [40.0] * 4)
    for triangles in (np.concatenate([HALVES, HALVES + 4]), np.concatenate([HALVES + 4, HALVES])):
        np.testing.assert_allclose(zbuffer(points, z, triangles, 10), 40)


def test_both_sides_of_a_triangle_are_drawn_and_nothing_else() -> None:
    triangle = np.array([(1, 1), (6, 1), (1, 6)], float)
    for order in ([0, 1, 2], [0, 2, 1]):
        drawn = zbuffer(triangle, np.ones(3), np.array([order]), 8) > 0
        column, row = np.meshgrid(np.arange(8), np.arange(8))
        np.testing.assert_array_equal(drawn, (column >= 1) & (row >= 1) & (column + row <= 7))


@pytest.mark.parametrize("size", [3, 7, 20, 45, 100])
def test_triangles_of_any_size(size: int) -> None:
    triangle = np.array([(2, 2), (2 + size, 2), (2, 2 + size)], float)
    drawn = zbuffer(triangle, np.ones(3), np.array([[0, 1, 2]]), 110) > 0
    assert drawn.sum() == (size + 1) * (size + 2) // 2


def test_parts_beyond_the_map_are_clipped() -> None:
    depth = zbuffer(SQUARE * 10 - 40, np.full(4, 7.0), HALVES, 10)
    np.testing.assert_allclose(depth, 7, rtol=1e-6)
    assert not zbuffer(SQUARE + 50, np.full(4, 7.0), HALVES, 10).any()


def test_a_flat_triangle_draws_nothing() -> None:
    assert not zbuffer(np.array([(1, 1), (4, 4), (8, 8)], float), np.ones(3), np.array([[0, 1, 2]]), 10).any()
