"""The z-buffer: planes, order, pixels on edges, triangles of all sizes and outside."""

import numpy as np
import pytest

from facegeom.depth.zbuffer import zbuffer

SQUARE = np.array([(0, 0), (9, 0), (9, 9), (0, 9)], float)
HALVES = np.array([(0, 1, 2), (0, 2, 3)])


def test_a_plane_in_perspective() -> None:
    """The inverse depth is linear in the picture: 1/100 on the left, 1/200 on the right."""
    depth = zbuffer(SQUARE, np.array([100.0, 200, 200, 100]), HALVES, 10)
    expected = 1 / np.linspace(1 / 100, 1 / 200, 10)
    np.testing.assert_allclose(depth, np.tile(expected, (10, 1)), rtol=1e-5)


def test_the_nearer_surface_wins_whatever_the_order() -> None:
    points = np.concatenate([SQUARE, SQUARE])
    z = np.array([50.0] * 4 + [40.0] * 4)
    for triangles in (np.concatenate([HALVES, HALVES + 4]), np.concatenate([HALVES + 4, HALVES])):
        np.testing.assert_allclose(zbuffer(points, z, triangles, 10), 40)


def test_both_turns_are_drawn_and_nothing_else() -> None:
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


def test_parts_beyond_the_picture_are_cut() -> None:
    depth = zbuffer(SQUARE * 10 - 40, np.full(4, 7.0), HALVES, 10)
    np.testing.assert_allclose(depth, 7, rtol=1e-6)
    assert not zbuffer(SQUARE + 50, np.full(4, 7.0), HALVES, 10).any()


def test_a_flat_triangle_draws_nothing() -> None:
    assert not zbuffer(np.array([(1, 1), (4, 4), (8, 8)], float), np.ones(3), np.array([[0, 1, 2]]), 10).any()
