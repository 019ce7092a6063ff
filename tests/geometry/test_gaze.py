"""Angles of a look: signs, a worked number, the head's turn."""

import numpy as np
import pytest

from facegeom.geometry.gaze import gaze_angles_deg, gaze_from_angles, gaze_seen
from facegeom.geometry.rotation import rotation_from_angles

EVEN = np.array([0.5, 0.5])


@pytest.mark.parametrize("angles", [(0, 0), (20, 0), (0, 15), (-30, -20), (60, 40)])
def test_angles_come_back(angles: tuple[float, float]) -> None:
    both = np.tile(gaze_from_angles(*angles), (2, 1))
    np.testing.assert_allclose(gaze_angles_deg(np.eye(3), both, EVEN), angles, atol=1e-9)


def test_a_worked_number() -> None:
    np.testing.assert_allclose(gaze_from_angles(30, 0), (0.5, 0, -np.sqrt(0.75)), atol=1e-12)
    np.testing.assert_allclose(gaze_from_angles(0, 30), (0, -0.5, -np.sqrt(0.75)), atol=1e-12)


@pytest.mark.parametrize("angles", [(0, 0, 0), (25, -10, 0), (-40, 20, 30)])
def test_eyes_straight_ahead_look_where_the_nose_points(angles: tuple[float, float, float]) -> None:
    ahead = np.tile((0.0, 0.0, -1.0), (2, 1))
    found = gaze_angles_deg(rotation_from_angles(*angles), ahead, EVEN)
    if angles[2] == 0:
        np.testing.assert_allclose(found, angles[:2], atol=1e-9)
    nose = rotation_from_angles(*angles) @ (0, 0, -1)
    np.testing.assert_allclose(gaze_from_angles(*found), nose, atol=1e-9)


def test_the_surer_eye_counts_more() -> None:
    eyes = gaze_from_angles([0, 20], [0, 0])
    shares = [gaze_angles_deg(np.eye(3), eyes, np.array(each))[0] for each in ((1, 0), (0.5, 0.5), (0, 1))]
    np.testing.assert_allclose(shares, (0, 10, 20), atol=1e-3)
    np.testing.assert_allclose(gaze_angles_deg(np.eye(3), eyes, np.zeros(2))[0], 10, atol=1e-6)


def test_many_faces_at_once() -> None:
    rng = np.random.default_rng(1)
    rotation = rotation_from_angles(*rng.uniform(-40, 40, (3, 5)))
    eyes = gaze_from_angles(*rng.uniform(-20, 20, (2, 5, 2)))
    confidence = rng.uniform(0, 1, (5, 2))
    together = gaze_seen(rotation, eyes, confidence)
    assert together.shape == (5, 3)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1)
    for index in range(5):
        one = gaze_seen(rotation[index], eyes[index], confidence[index])
        np.testing.assert_allclose(one, together[index], atol=1e-12)
