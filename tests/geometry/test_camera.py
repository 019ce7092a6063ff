"""The camera: worked numbers, projection and its inverse, the camera of a mesh."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegeom.geometry.camera import Camera, pinhole_of_mesh
from facegeom.results import Face

sides = st.integers(1, 8000)
fields_of_view = st.floats(5, 150)


def test_focal_length_of_a_right_angle_is_half_the_longer_side() -> None:
    assert Camera(640, 480, 90).focal_px == pytest.approx(320)
    assert Camera(480, 640, 90).focal_px == pytest.approx(320)


def test_default_camera_of_640_pixels() -> None:
    camera = Camera(640, 480)
    assert camera.focal_px == pytest.approx(686.24, abs=0.01)
    np.testing.assert_array_equal(camera.centre_px, (319.5, 239.5))


@pytest.mark.parametrize(
    ("point_mm", "expected_px"),
    [
        ((0, 0, 500), (319.5, 239.5)),
        ((100, 0, 1000), (351.5, 239.5)),  # to the right
        ((0, 100, 1000), (319.5, 271.5)),  # down
        ((100, 0, 2000), (335.5, 239.5)),  # half as far from the middle at twice the distance
    ],
)
def test_projection_by_hand(point_mm: tuple[float, ...], expected_px: tuple[float, ...]) -> None:
    found = Camera(640, 480, 90).project(np.array(point_mm, float))
    np.testing.assert_allclose(found, expected_px, atol=1e-9)


@given(sides, sides, fields_of_view, st.integers(0, 2**32 - 1))
def test_back_projection_inverts_projection(width: int, height: int, fov_deg: float, seed: int) -> None:
    camera = Camera(width, height, fov_deg)
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.uniform(-500, 500, (2, 7, 2)), rng.uniform(50, 5000, (2, 7, 1))], axis=-1)
    found = camera.back_project(camera.project(points), points[..., 2])
    np.testing.assert_allclose(found, points, rtol=1e-7, atol=1e-6)


@given(sides, sides, fields_of_view)
def test_the_longer_side_spans_the_field_of_view(width: int, height: int, fov_deg: float) -> None:
    camera = Camera(width, height, fov_deg)
    axis = 0 if width >= height else 1
    edges = np.repeat(camera.centre_px[None], 2, axis=0)
    edges[:, axis] = -0.5, max(width, height) - 0.5
    rays = camera.back_project(edges, np.ones(2))
    cosine = rays[0] @ rays[1] / np.prod(np.linalg.norm(rays, axis=1))
    assert np.rad2deg(np.arccos(cosine)) == pytest.approx(fov_deg, abs=1e-4)


def test_the_camera_of_a_mesh(make_face: Callable[..., Face]) -> None:
    face, camera = make_face(translation_mm=(80, -30, 600), angles_deg=(30, 10, 5)), Camera(320, 240)
    focal, centre = pinhole_of_mesh(face.mesh_px, face.mesh_mm)
    assert abs(focal - camera.focal_px) < 0.05
    np.testing.assert_allclose(centre, camera.centre_px, atol=0.02)
