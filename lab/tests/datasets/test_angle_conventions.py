"""Other conventions: worked numbers, single turns, round trips."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegeom.geometry.rotation import (
    angles_from_rotation,
    rotation_from_6d,
    rotation_from_angles,
    rotation_to_line_of_sight,
)
from facegeom.geometry.topology import canonical_mm
from facegeom_lab.datasets import angle_conventions as conv

NOSE = np.array([0.0, 0.0, -1.0])
EAR = np.array([1.0, 0.0, 0.0])
HALF, ROOT3 = 0.5, np.sqrt(3) / 2
WORKED = rotation_from_angles(20, 10, -15)

seeds = st.integers(0, 2**32 - 1)


def rotations(seed: int) -> np.ndarray:
    """(2, 3, 3, 3) of any kind."""
    return rotation_from_6d(np.random.default_rng(seed).normal(size=(2, 3, 6)))


def rotation_from_biwi_angles(pitch_yaw_roll_deg: np.ndarray) -> np.ndarray:
    """Convert the angles (..., 3) of ``biwi_angles_deg`` to R (..., 3, 3), which is BIWI's matrix."""
    pitch, yaw, roll = np.moveaxis(np.asarray(pitch_yaw_roll_deg, np.float64), -1, 0)
    return rotation_from_angles(-yaw, pitch, roll)


def mediapipe_from_pose(camera_rotation: np.ndarray, translation_mm: np.ndarray) -> np.ndarray:
    """Convert camera_rotation (..., 3, 3) and translation_mm (..., 3) to MediaPipe's matrices (..., 4, 4)."""
    up, head = np.array([1, -1, -1]), rotation_from_angles(0, conv.MEDIAPIPE_PITCH_DEG, 0)
    matrix = np.zeros((*camera_rotation.shape[:-2], 4, 4))
    matrix[..., :3, :3] = (camera_rotation @ head) * np.outer(up, up)
    matrix[..., :3, 3] = (translation_mm + camera_rotation @ np.array(conv.MEDIAPIPE_ORIGIN_MM)) * up / 10
    matrix[..., 3, 3] = 1
    return matrix


def elementary(axis: int, angle: float) -> np.ndarray:
    """Return the right-handed rotation matrix about x, y or z by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.roll([[1, 0, 0], [0, c, -s], [0, s, c]], (axis, axis), (0, 1))


@pytest.mark.parametrize(
    ("pitch_yaw_roll", "nose", "ear"),
    [
        ((30, 0, 0), (0, -HALF, -ROOT3), (1, 0, 0)),  # the nose up
        ((0, 30, 0), (-HALF, 0, -ROOT3), (ROOT3, 0, -HALF)),  # the nose to the picture's left
        ((0, 0, 30), (0, 0, -1), (ROOT3, HALF, 0)),  # clockwise
    ],
)
def test_single_turns_have_the_published_signs(
    pitch_yaw_roll: tuple[float, ...], nose: tuple[float, ...], ear: tuple[float, ...]
) -> None:
    lp = conv.rotation_from_pose_para(np.deg2rad(pitch_yaw_roll))
    for rotation in (lp, rotation_from_biwi_angles(np.array(pitch_yaw_roll))):
        np.testing.assert_allclose(rotation @ NOSE, nose, atol=1e-12)
        np.testing.assert_allclose(rotation @ EAR, ear, atol=1e-12)


@given(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5), st.floats(-3, 3))
def test_pose_para_is_the_turn_of_the_morphable_model(pitch: float, yaw: float, roll: float) -> None:
    """With x right, y up, z towards the camera: Rx(-pitch) Ry(-yaw) Rz(-roll); then y and z are flipped."""
    model = elementary(0, -pitch) @ elementary(1, -yaw) @ elementary(2, -roll)
    flip = np.diag([1, -1, -1])
    np.testing.assert_allclose(
        conv.rotation_from_pose_para(np.array([pitch, yaw, roll])), flip @ model @ flip, atol=1e-12
    )


@given(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5), st.floats(-3, 3))
def test_6drepnet_learns_the_turns_in_the_order_z_y_x(pitch: float, yaw: float, roll: float) -> None:
    matrix = elementary(2, roll) @ elementary(1, yaw) @ elementary(0, pitch)
    rotation = conv.rotation_from_pose_para(np.array([pitch, yaw, roll]))
    np.testing.assert_allclose(conv.rotation_from_6drepnet(matrix), rotation, atol=1e-12)
    np.testing.assert_allclose(conv.rotation_from_6drepnet(rotation), matrix, atol=1e-12)


def test_worked_numbers() -> None:
    """Yaw 20°, pitch 10°, roll -15°, as on the page of conventions."""
    pose_para = np.rad2deg(conv.pose_para_from_rotation(WORKED))
    np.testing.assert_allclose(pose_para, (15.40, -16.28, -18.98), atol=0.005)
    np.testing.assert_allclose(conv.biwi_angles_deg(WORKED), (10, -20, -15), atol=1e-9)
    expected = [[0.9077, 0.2432, -0.3420], [-0.3123, 0.9359, -0.1632], [0.2804, 0.2549, 0.9254]]
    np.testing.assert_allclose(conv.rotation_from_6drepnet(WORKED), expected, atol=5e-5)
    matrix = mediapipe_from_pose(WORKED, np.array([0, 0, 600.0]))
    expected = [
        [0.9077, -0.3228, 0.2682, 0.0346],
        [0.2432, 0.9254, 0.2906, -3.3350],
        [-0.3420, -0.1986, 0.9185, -62.2796],
        [0, 0, 0, 1],
    ]
    np.testing.assert_allclose(matrix, expected, atol=5e-5)
    aside = np.array([200, 0, 600.0])
    matrix = mediapipe_from_pose(rotation_to_line_of_sight(aside) @ WORKED, aside)
    np.testing.assert_allclose(matrix[:3, 3], (20.7537, -3.3350, -62.1517), atol=5e-5)


@pytest.mark.parametrize(
    "degrees", [(5, 95, -3), (0, -98, 20), (-40, 60, 70), (0, 0, 0), (-98, 10, 5), (20, -91, 40)]
)
def test_pose_para_beyond_the_profile_comes_back(degrees: tuple[float, ...]) -> None:
    radians = np.deg2rad(degrees)
    back = conv.pose_para_from_rotation(conv.rotation_from_pose_para(radians))
    np.testing.assert_allclose(np.rad2deg(back), degrees, atol=1e-6)


@given(seeds)
def test_every_rotation_comes_back(seed: int) -> None:
    rotation = rotations(seed)
    for there, back in (
        (conv.pose_para_from_rotation, conv.rotation_from_pose_para),
        (conv.biwi_angles_deg, rotation_from_biwi_angles),
        (conv.rotation_from_6drepnet, conv.rotation_from_6drepnet),
    ):
        np.testing.assert_allclose(back(there(rotation)), rotation, atol=1e-6)


@given(seeds)
def test_the_other_angles_turn_the_same_way(seed: int) -> None:
    angles = np.random.default_rng(seed).uniform(-3.1, 3.1, (4, 3))
    other = conv.other_angles(angles)
    assert (np.abs(other) <= np.pi).all()
    np.testing.assert_allclose(
        conv.rotation_from_pose_para(other), conv.rotation_from_pose_para(angles), atol=1e-9
    )
    np.testing.assert_allclose(conv.other_angles(other), angles, atol=1e-9)


@given(seeds, st.floats(0.5, 2))
def test_mediapipe_round_trip_ignores_the_scale(seed: int, scale: float) -> None:
    rotation = rotations(seed)
    translation = np.random.default_rng(seed).normal(0, 500, (2, 3, 3))
    matrix = mediapipe_from_pose(rotation, translation)
    matrix[..., :3, :3] *= scale
    turn, place = conv.pose_from_mediapipe(matrix)
    np.testing.assert_allclose(turn, rotation, atol=1e-9)
    np.testing.assert_allclose(place, translation, atol=1e-6)


def test_mediapipe_s_canonical_face_lies_on_ours() -> None:
    """Nine of its points, centimetres, by the matrix of our head in the head frame's own place."""
    theirs = {
        33: (-4.445859, 2.663991, 3.173422),
        133: (-1.856432, 2.585245, 3.757904),
        362: (1.856432, 2.585245, 3.757904),
        263: (4.445859, 2.663991, 3.173422),
        61: (-2.456206, -4.342621, 4.283884),
        291: (2.456206, -4.342621, 4.283884),
        1: (0, -1.126865, 7.475604),
        0: (0, -3.406404, 5.979507),
        152: (0, -9.403378, 4.264492),
    }
    matrix = mediapipe_from_pose(np.eye(3), np.zeros(3))
    placed = (np.array(list(theirs.values())) @ matrix[:3, :3].T + matrix[:3, 3]) * (10, -10, -10)
    apart = np.linalg.norm(placed - canonical_mm()[list(theirs)], axis=1)
    assert apart.max() < 6 and apart.mean() < 3.5


def test_a_frontal_mediapipe_face_looks_down_a_little() -> None:
    frontal = np.eye(4)
    frontal[2, 3] = -60
    rotation, translation = conv.pose_from_mediapipe(frontal)
    np.testing.assert_allclose(angles_from_rotation(rotation), (0, -conv.MEDIAPIPE_PITCH_DEG, 0), atol=1e-9)
    np.testing.assert_allclose(translation, (0, -26.45, 569.46), atol=0.01)
