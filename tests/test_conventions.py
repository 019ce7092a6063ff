"""The worked numbers of docs/conventions.md: frames, angles, millimetres, the angle of view."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from facegeom import Faces
from facegeom.geometry.camera import Camera
from facegeom.geometry.gaze import gaze_angles_deg, gaze_from_angles
from facegeom.geometry.placement import place
from facegeom.geometry.rotation import (
    angles_from_rotation,
    geodesic_deg,
    rotation_from_angles,
    rotation_in_camera,
    rotation_to_line_of_sight,
)
from facegeom.image.photo import open_photo
from facegeom.models import virtual_views

PLACE_MM = np.array([200.0, 0, 600])
SIGHT = np.array([[0.9487, 0, 0.3162], [0, 1, 0], [-0.3162, 0, 0.9487]])
WORKED = rotation_from_angles(20, 10, -15)


def placed(faces: Faces, rotation: np.ndarray, translation_mm: np.ndarray) -> Faces:
    return replace(faces[:1], rotation=rotation[None], translation_mm=translation_mm[None])


def about(axis: int, degrees: float) -> np.ndarray:
    """Return the right-handed elementary rotation about x, y or z."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.roll([[1, 0, 0], [0, c, -s], [0, s, c]], (axis, axis), (0, 1))


def test_the_line_of_sight() -> None:
    np.testing.assert_allclose(rotation_to_line_of_sight(PLACE_MM), SIGHT, atol=5e-5)
    assert np.rad2deg(np.arctan2(200, 600)) == pytest.approx(18.43, abs=0.005)


@pytest.mark.parametrize(
    ("seen", "in_camera", "yaw", "camera_yaw"),
    [(np.eye(3), SIGHT, 0, -18.43), (SIGHT.T, np.eye(3), 18.43, 0)],
    ids=["looks into the lens", "looks parallel to the axis"],
)
def test_a_head_at_the_side(
    faces: Faces, seen: np.ndarray, in_camera: np.ndarray, yaw: float, camera_yaw: float
) -> None:
    face = placed(faces, seen, PLACE_MM)[0]
    np.testing.assert_allclose(face.camera_rotation, in_camera, atol=1e-4)
    assert face.yaw_deg == pytest.approx(yaw, abs=0.01)
    assert angles_from_rotation(face.camera_rotation)[0] == pytest.approx(camera_yaw, abs=0.01)


def test_a_point_of_the_head_in_the_camera_frame(faces: Faces) -> None:
    face = placed(faces, np.eye(3), PLACE_MM)[0]
    point = face.camera_rotation @ (0, 0, -100) + face.translation_mm
    np.testing.assert_allclose(point, (168.4, 0, 505.1), atol=0.05)


def test_straight_ahead_both_rotations_are_the_same(faces: Faces) -> None:
    face = placed(faces, WORKED, np.array([0, 0, 600.0]))[0]
    np.testing.assert_allclose(face.camera_rotation, face.rotation, atol=1e-6)


@pytest.mark.parametrize(("fov_deg", "angle_deg"), [(50, 16.2), (70, 23.6)])
def test_how_far_from_the_axis_a_pixel_lies(fov_deg: float, angle_deg: float) -> None:
    x, _, z = Camera(640, 480, fov_deg).back_project(np.array([519.5, 239.5]), np.array(1.0))
    assert np.rad2deg(np.arctan2(x, z)) == pytest.approx(angle_deg, abs=0.05)


def test_how_a_lens_stretches() -> None:
    """A small disc on the line of sight, 40° from the axis, beside the same disc straight ahead."""
    camera, small = Camera(640, 480, 110), 1e-4
    sight = rotation_to_line_of_sight(np.array([np.tan(np.deg2rad(40)), 0, 1]))
    disc = np.array([[0, 0, 1], [small, 0, 1], [0, small, 1]])
    middle, outwards, across = camera.project(disc @ sight.T)
    unit = small * camera.focal_px
    assert np.linalg.norm(outwards - middle) / unit == pytest.approx(1.70, abs=0.005)
    assert np.linalg.norm(across - middle) / unit == pytest.approx(1.31, abs=0.005)
    assert virtual_views.LARGEST_ANGLE_DEG == 10


def test_worked_angles() -> None:
    expected = [[0.9077, 0.3123, -0.2804], [-0.2432, 0.9359, 0.2549], [0.3420, -0.1632, 0.9254]]
    np.testing.assert_allclose(WORKED, expected, atol=5e-5)
    np.testing.assert_allclose(WORKED @ (0, 0, -1), (0.2804, -0.2549, -0.9254), atol=5e-5)
    assert geodesic_deg(WORKED, np.eye(3)) == pytest.approx(27.81, abs=0.005)


def test_the_order_of_the_turns() -> None:
    x, y, z = about(0, -10), about(1, -20), about(2, -15)
    np.testing.assert_allclose(z @ y @ x, WORKED, atol=1e-12)
    assert geodesic_deg(x @ y @ z, WORKED) == pytest.approx(6.74, abs=0.005)
    assert geodesic_deg(y @ x @ z, WORKED) == pytest.approx(5.78, abs=0.005)


def test_the_same_head_in_the_camera_frame() -> None:
    angles = angles_from_rotation(rotation_in_camera(WORKED, PLACE_MM))
    np.testing.assert_allclose(angles, (2.15, 14.70, -14.09), atol=0.006)


def test_pixels_and_millimetres() -> None:
    camera = Camera(640, 480)
    assert (camera.fov_deg, camera.focal_px) == (50, pytest.approx(686.2, abs=0.05))
    assert camera.focal_px / 1.78 == pytest.approx(385.5, abs=0.05)
    np.testing.assert_allclose(camera.project(np.array([100, 50, 800.0])), (405.3, 282.4), atol=0.05)
    assert Camera(640, 480, 67.3).focal_px / 1.78 == pytest.approx(270.1, abs=0.05)


@pytest.mark.parametrize(("translation", "apart_px"), [((500, 0, 600), 65.8), ((0, 0, 781.025), 38.7)])
def test_a_head_away_from_the_middle(
    head_seen_by: Callable[..., tuple[np.ndarray, np.ndarray]],
    translation: tuple[float, ...],
    apart_px: float,
) -> None:
    camera = Camera(640, 480, 90)
    _, mesh_px = head_seen_by(camera, np.eye(3), np.array(translation, float))
    assert np.linalg.norm(mesh_px[33, :2] - mesh_px[263, :2]) == pytest.approx(apart_px, abs=0.05)
    found = place(mesh_px[None], camera).translation_mm[0]
    assert np.linalg.norm(found) == pytest.approx(781, rel=0.004)


@pytest.mark.parametrize(
    ("fov_deg", "focal_35mm", "expected"),
    [(70, 26, (70, "given")), (None, 26, (67.3, "exif")), (None, None, (50, "assumed"))],
)
def test_where_the_angle_of_view_comes_from(
    fov_deg: float | None, focal_35mm: int | None, expected: tuple[float, str]
) -> None:
    photo = Image.new("RGB", (400, 300))
    if focal_35mm:
        photo.getexif().get_ifd(0x8769)[0xA405] = focal_35mm
    opened = open_photo(photo, fov_deg)
    assert opened.camera.fov_deg == pytest.approx(expected[0], abs=0.05)
    assert opened.fov_source == expected[1]


def test_the_json_keeps_what_is_seen_apart_from_the_camera(faces: Faces) -> None:
    given = replace(placed(faces, WORKED, PLACE_MM), fov_deg=70.0, fov_source="given")
    pose = given.to_dict()["faces"][0]["pose"]
    np.testing.assert_allclose(pose["rotation"], WORKED, atol=1e-6)
    np.testing.assert_allclose([pose[f"{n}_deg"] for n in ("yaw", "pitch", "roll")], (20, 10, -15), atol=1e-3)
    assert set(pose["camera"]) == {"rotation", "translation_mm", "fov_deg", "fov_source"}
    np.testing.assert_allclose(pose["camera"]["rotation"], given.camera_rotation[0], atol=1e-6)
    assert (pose["camera"]["fov_deg"], pose["camera"]["fov_source"]) == (70, "given")


def test_gaze_of_both_eyes_as_seen() -> None:
    aside = np.tile(gaze_from_angles(30, 0), (2, 1))
    np.testing.assert_allclose(aside[0], (0.5, 0, -0.866), atol=1e-3)
    ahead, even = np.tile((0.0, 0.0, -1.0), (2, 1)), np.ones(2)
    np.testing.assert_allclose(
        gaze_angles_deg(rotation_from_angles(25, -10, 0), ahead, even), (25, -10), atol=1e-9
    )
    np.testing.assert_allclose(gaze_angles_deg(rotation_from_angles(-30, 0, 0), aside, even), 0, atol=1e-6)
