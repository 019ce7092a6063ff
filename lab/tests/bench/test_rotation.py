"""Rotation: the line of sight and the errors' summary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import geodesic_deg, rotation_from_angles
from facegeom.geometry.topology import canonical_mm
from facegeom_lab.bench.rotation import Posed, mesh_rotation, mesh_rotations, summary, towards


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.1, 5))
def test_towards_carries_the_z_axis_onto_the_direction(x: float, y: float, z: float) -> None:
    direction = np.array([x, y, z])
    turn = towards(direction)
    np.testing.assert_allclose(turn @ [0, 0, np.linalg.norm(direction)], direction, atol=1e-9)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, -10, 5), (-25, 20, -30)])
@pytest.mark.parametrize("offset_mm", [(0, 0), (250, -150)])
def test_the_rotation_of_a_mesh_seen_off_centre(
    angles: tuple[float, float, float], offset_mm: tuple[float, float]
) -> None:
    camera = Camera(640, 480)
    truth = rotation_from_angles(*angles)
    head = canonical_mm() @ truth.T
    far = np.array([*offset_mm, 900.0])
    seen = (head @ towards(far)) * 0.5  # as an orthographic view along the line of sight shows it
    seen[:, :2] += far[:2] / far[2] * camera.focal_px + camera.centre_px - seen[:, :2].mean(axis=0)
    assert geodesic_deg(mesh_rotation(seen, camera), truth) < 0.1


def test_summary_counts_only_found_and_chosen_heads() -> None:
    truth = np.stack([rotation_from_angles(yaw, 0, 0) for yaw in (0, 10, 20, 30)])
    given_turns = np.stack([rotation_from_angles(yaw, 0, 0) for yaw in (2, 18, 90, 90)])
    posed = Posed(given_turns, np.array([True, True, False, True]))
    row = summary(posed, truth, np.array([True, True, True, False]))
    assert row == pytest.approx((5, 0, 0, 5, 50, 100, 100, 50, 200 / 3, 3), abs=1e-6)


def test_summary_of_no_found_head_has_no_errors() -> None:
    posed = Posed(np.tile(np.eye(3), (2, 1, 1)), np.zeros(2, bool))
    assert summary(posed, np.tile(np.eye(3), (2, 1, 1)), np.ones(2, bool)) == (*[None] * 8, 0.0, 2)


def test_a_picture_without_a_mesh_has_no_rotation() -> None:
    assert mesh_rotations(np.zeros((0,)), Camera(640, 480)).shape == (0, 3, 3)
    two = mesh_rotations(np.stack([canonical_mm() + 300] * 2), Camera(640, 480))
    assert two.shape == (2, 3, 3) and geodesic_deg(two[0], two[1]) < 1e-3
