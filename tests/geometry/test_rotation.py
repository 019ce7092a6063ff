"""Rotations: signs by worked numbers, round trips and least squares as properties."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facegeom.geometry import rotation as rot

NOSE = np.array([0.0, 0.0, -1.0])
EAR = np.array([1.0, 0.0, 0.0])  # towards the image's right edge while the head is frontal
HALF, ROOT3 = 0.5, np.sqrt(3) / 2

seeds = st.integers(0, 2**32 - 1)
yaws = st.floats(-89, 89)
turns = st.floats(-179.9, 179.9)


def random_rotations(seed: int, count: int = 1) -> np.ndarray:
    """(count, 3, 3), spread over all rotations."""
    return rot.rotation_from_6d(np.random.default_rng(seed).normal(size=(count, 6)))


@pytest.mark.parametrize(
    ("angles", "nose", "ear"),
    [
        ((0, 0, 0), (0, 0, -1), (1, 0, 0)),
        ((30, 0, 0), (HALF, 0, -ROOT3), (ROOT3, 0, HALF)),  # the nose to the image's right
        ((0, 30, 0), (0, -HALF, -ROOT3), (1, 0, 0)),  # the nose up: y points down
        ((0, 0, 30), (0, 0, -1), (ROOT3, HALF, 0)),  # clockwise: what was right comes down
        ((90, 0, 0), (1, 0, 0), (0, 0, 1)),
        ((30, 30, 0), (HALF * ROOT3, -HALF, -0.75), (ROOT3, 0, HALF)),
    ],
)
def test_signs(angles: tuple[float, ...], nose: tuple[float, ...], ear: tuple[float, ...]) -> None:
    rotation = rot.rotation_from_angles(*angles)
    np.testing.assert_allclose(rotation @ NOSE, nose, atol=1e-12)
    np.testing.assert_allclose(rotation @ EAR, ear, atol=1e-12)


def test_matrix_of_worked_angles() -> None:
    yaw, pitch, roll = np.deg2rad([20, 10, -15])
    about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    about_y = [[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    expected = np.array(about_z) @ about_y @ about_x
    np.testing.assert_allclose(rot.rotation_from_angles(20, 10, -15), expected, atol=1e-12)


@given(yaws, turns, turns)
def test_angles_round_trip(yaw: float, pitch: float, roll: float) -> None:
    angles = rot.angles_from_rotation(rot.rotation_from_angles(yaw, pitch, roll))
    np.testing.assert_allclose(angles, (yaw, pitch, roll), atol=1e-6)


@pytest.mark.parametrize("yaw", [-90, 90])
@given(turns, turns)
def test_angles_at_the_lock_give_the_same_rotation(yaw: float, pitch: float, roll: float) -> None:
    rotation = rot.rotation_from_angles(yaw, pitch, roll)
    angles = rot.angles_from_rotation(rotation)
    assert angles[2] == 0
    np.testing.assert_allclose(rot.rotation_from_angles(*angles), rotation, atol=1e-6)
    np.testing.assert_allclose(rot.angles_from_rotation(rotation.astype(np.float32)), angles, atol=1e-3)


@given(seeds)
def test_angles_of_any_rotation_give_it_back(seed: int) -> None:
    rotation = random_rotations(seed, 5)
    angles = rot.angles_from_rotation(rotation)
    assert (np.abs(angles[:, 0]) <= 90).all() and (np.abs(angles[:, 1:]) <= 180).all()
    np.testing.assert_allclose(rot.rotation_from_angles(*angles.T), rotation, atol=1e-6)


@given(arrays(np.float64, 6, elements=st.floats(-10, 10)))
def test_6d_gives_a_rotation(vectors: np.ndarray) -> None:
    first, second = vectors[:3], vectors[3:]
    assume(np.linalg.norm(first) > 1e-2 and np.linalg.norm(np.cross(first, second)) > 1e-2)
    rotation = rot.rotation_from_6d(vectors)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)


@given(seeds)
def test_6d_round_trip(seed: int) -> None:
    rotation = random_rotations(seed, 3)
    np.testing.assert_allclose(rot.rotation_from_6d(rot.rotation_to_6d(rotation)), rotation, atol=1e-9)


@given(seeds, st.floats(0.1, 10), st.floats(0.1, 10), st.floats(-5, 5))
def test_6d_ignores_lengths_and_the_share_of_the_first(seed: int, a: float, b: float, share: float) -> None:
    rotation = random_rotations(seed)[0]
    first, second = rotation[:, 0], rotation[:, 1]
    stretched = np.concatenate([a * first, b * second + share * first])
    np.testing.assert_allclose(rot.rotation_from_6d(stretched), rotation, atol=1e-9)


def test_6d_by_hand() -> None:
    vectors = np.array([2.0, 0, 0, 5, 3, 0])  # the first along x; the second has 3 along y
    np.testing.assert_allclose(rot.rotation_from_6d(vectors), np.eye(3), atol=1e-12)


def test_half_a_turn_is_180_degrees_and_not_minus_180() -> None:
    for turned, axis in ((np.diag([1.0, -1, -1]), 1), (rot.rotation_from_angles(0, 0, -180), 2)):
        assert rot.angles_from_rotation(turned)[axis] == 180


@pytest.mark.parametrize("angle", [0, 1, 30, 90, 180])
def test_geodesic_is_the_angle_of_a_single_turn(angle: float) -> None:
    for turn in ((angle, 0, 0), (0, angle, 0), (0, 0, angle)):
        turned = rot.rotation_from_angles(*turn)
        assert rot.geodesic_deg(np.eye(3), turned) == pytest.approx(angle, abs=1e-5)


@given(seeds)
def test_geodesic_is_a_distance(seed: int) -> None:
    a, b, c = random_rotations(seed, 3)
    assert rot.geodesic_deg(a, a) == pytest.approx(0, abs=1e-4)
    assert rot.geodesic_deg(a, b) == pytest.approx(rot.geodesic_deg(b, a))
    assert rot.geodesic_deg(a, c) <= rot.geodesic_deg(a, b) + rot.geodesic_deg(b, c) + 1e-4
    assert rot.geodesic_deg(c @ a, c @ b) == pytest.approx(rot.geodesic_deg(a, b), abs=1e-4)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.1, 100))
def test_towards_is_the_smallest_turn(x: float, y: float, z: float) -> None:
    direction = np.array([x, y, z])
    rotation = rot.rotation_to_line_of_sight(direction)
    np.testing.assert_allclose(rotation @ (0, 0, 1), direction / np.linalg.norm(direction), atol=1e-9)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    angle = np.rad2deg(np.arctan2(np.hypot(x, y), z))
    assert rot.geodesic_deg(np.eye(3), rotation) == pytest.approx(angle, abs=1e-4)


@given(seeds, st.floats(0.01, 100))
def test_procrustes_recovers_a_similarity(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    source, shift = rng.normal(size=(12, 3)), rng.normal(size=3) * 100
    rotation = random_rotations(seed)[0]
    target = scale * source @ rotation.T + shift
    found = rot.procrustes(source, target)
    assert found.scale == pytest.approx(scale, rel=1e-6)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-6)
    np.testing.assert_allclose(found.translation, shift, atol=1e-6 * (1 + scale))
    np.testing.assert_allclose(found.apply(source), target, atol=1e-6 * (1 + scale))
    np.testing.assert_allclose(found.undo(target), source, atol=1e-6 * (1 + 1 / scale))


@given(seeds)
def test_procrustes_never_reflects(seed: int) -> None:
    source = np.random.default_rng(seed).normal(size=(10, 3))
    found = rot.procrustes(source, source * (-1, 1, 1))
    assert np.linalg.det(found.rotation) == pytest.approx(1)


@given(seeds)
def test_procrustes_of_flat_points_is_a_rotation(seed: int) -> None:
    flat = np.random.default_rng(seed).normal(size=(10, 3)) * (1, 1, 0)
    rotation = random_rotations(seed)[0]
    found = rot.procrustes(flat, flat @ rotation.T)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-6)


def test_procrustes_trusts_by_weight() -> None:
    rng = np.random.default_rng(3)
    source = rng.normal(size=(20, 3))
    rotation = rot.rotation_from_angles(25, -10, 40)
    target = 2 * source @ rotation.T + (1, 2, 3)
    target[:5] += rng.normal(size=(5, 3)) * 10
    weights = np.r_[np.zeros(5), rng.uniform(0.5, 2, 15)]
    np.testing.assert_allclose(rot.procrustes(source, target, weights).rotation, rotation, atol=1e-9)
    assert rot.geodesic_deg(rot.procrustes(source, target).rotation, rotation) > 1


def test_procrustes_of_many_shapes_onto_one() -> None:
    rng = np.random.default_rng(4)
    source, rotation = rng.normal(size=(15, 3)), random_rotations(4, 6)
    many = source @ np.swapaxes(rotation, 1, 2) + rng.normal(size=(6, 1, 3))
    found = rot.procrustes(many, source)
    assert found.scale.shape == (6,) and found.translation.shape == (6, 3)
    np.testing.assert_allclose(found.rotation, np.swapaxes(rotation, 1, 2), atol=1e-9)
    np.testing.assert_allclose(found.apply(many), np.broadcast_to(source, many.shape), atol=1e-9)


@given(yaws, yaws, turns)
def test_upright_axes_follow_the_roll(yaw: float, pitch: float, roll: float) -> None:
    axes = rot.upright_axes(rot.rotation_from_angles(yaw, pitch, roll)[None])[0]
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-9)
    assert np.linalg.det(axes) > 0
    upright = rot.upright_axes(rot.rotation_from_angles(0, pitch, roll)[None])[0]
    sine, cosine = np.sin(np.deg2rad(roll)), np.cos(np.deg2rad(roll))
    np.testing.assert_allclose(upright, [[cosine, -sine], [sine, cosine]], atol=1e-6)
