"""The z-buffer against shapes whose depth is known in closed form."""

import numpy as np
import pytest

from facegeom.geometry.camera import Camera
from facegeom_lab.synth.mesh import ellipsoid
from facegeom_lab.synth.rasterise import rasterise, vertex_normals
from facegeom_lab.synth.shade import lit_fraction, openness

QUAD = np.array([[0, 1, 2], [0, 2, 3]])


def quad(left: float, right: float, top: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)


def test_nothing_to_draw() -> None:
    image, depth = rasterise(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 3), int), np.zeros((0, 3)), (4, 3))
    assert image.shape == (3, 4, 3)
    assert np.isinf(depth).all()


def test_depth_of_a_ball() -> None:
    camera = Camera(201, 201, 40)
    vertices, triangles = ellipsoid([0, 0, 1000], [100, 100, 100], 120, 160)
    _, depth = rasterise(
        camera.project(vertices), vertices[:, 2], triangles, np.zeros((len(vertices), 0)), (201, 201)
    )
    assert depth[100, 100] == pytest.approx(900, abs=0.3)
    column = 120
    slope = (column - 100) / camera.focal_px
    a, b, c = 1 + slope**2, -2 * 1000, 1000**2 - 100**2
    assert depth[100, column] == pytest.approx((-b - np.sqrt(b * b - 4 * a * c)) / (2 * a), abs=0.5)
    assert np.isinf(depth[0, 0])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_nearer_quad_hides_the_other(order: tuple[int, int]) -> None:
    points = np.concatenate([quad(1, 8, 1, 8), quad(3, 12, 3, 12)])
    depth_mm = np.array([500.0] * 4 + [400.0] * 4)
    triangles = np.concatenate([(QUAD, QUAD + 4)[part] for part in order])
    colour = np.array([[1.0, 0.0]] * 4 + [[0.0, 1.0]] * 4)
    image, depth = rasterise(points, depth_mm, triangles, colour, (14, 14))
    np.testing.assert_allclose(image[5, 5], [0, 1], atol=1e-5)
    np.testing.assert_allclose(image[2, 2], [1, 0], atol=1e-5)
    np.testing.assert_allclose([depth[5, 5], depth[2, 2]], [400, 500], rtol=1e-5)


def test_covers_exactly_the_pixel_centres_inside() -> None:
    image, _ = rasterise(quad(2, 5, 3, 4), np.full(4, 100.0), QUAD, np.ones((4, 1)), (9, 9))
    rows, columns = np.nonzero(image[..., 0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 4, 2, 5)


def test_attributes_are_perspective_correct() -> None:
    depth_mm = np.array([100.0, 300.0, 300.0, 100.0])
    image, depth = rasterise(quad(0, 10, 0, 10), depth_mm, QUAD, depth_mm[:, None], (11, 11))
    assert depth[5, 5] == pytest.approx(150, rel=1e-4)
    np.testing.assert_allclose(image[..., 0], depth, rtol=1e-4)


def test_triangles_behind_the_camera_are_left_out() -> None:
    image, _ = rasterise(quad(0, 8, 0, 8), np.array([-5.0, 10, 10, 10]), QUAD, np.ones((4, 1)), (9, 9))
    assert image[1, 7, 0] == 0


def test_normals_of_a_ball_point_outwards() -> None:
    vertices, triangles = ellipsoid([5, 6, 7], [50, 50, 50], 40, 60)
    inner = slice(60, -60)  # not the poles, where many vertices share a place
    outward = (vertices - [5, 6, 7]) / 50
    assert (vertex_normals(vertices, triangles)[inner] * outward[inner]).sum(axis=1).min() > 0.99


def test_lamp_lights_its_side_only() -> None:
    vertices, triangles = ellipsoid([0, 0, 0], [50, 50, 50], 40, 60)
    seen = lit_fraction(vertices, triangles, np.array([1, 0, 0], np.float32))
    assert seen[vertices[:, 0] > 25].min() == 1
    assert seen[vertices[:, 0] < -25].max() == 0


def test_ball_is_open_on_all_sides() -> None:
    vertices, triangles = ellipsoid([0, 0, 0], [50, 50, 50], 40, 60)
    assert openness(vertices, triangles, 32)[60:-60].mean() > 0.9
