"""Results of a HeadPoseDetector: rows, slices, copies, equality, checks."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

from facegeom import InputError, Pose, Poses
from facegeom.geometry.rotation import rotation_from_angles

NAMES = ("box_xyxy", "score", "rotation", "camera_rotation")


@pytest.fixture
def poses() -> Poses:
    """Return two heads whose rotation in the camera frame is another one than as seen."""
    rotation = rotation_from_angles(np.array([10.0, -50]), np.array([0.0, 5]), np.array([0.0, -20]))
    in_camera = rotation_from_angles(np.array([0.0, -70]), np.array([0.0, 5]), np.array([0.0, -20]))
    boxes = np.array([[0, 0, 10, 10], [5, 5, 25, 25]])
    return Poses(boxes, np.array([0.9, 0.8]), rotation, in_camera, 40, 30, "a.jpg")


def test_rows_and_slices(poses: Poses) -> None:
    pose = poses[1]
    assert isinstance(pose, Pose) and (pose.yaw_deg, pose.pitch_deg) == pytest.approx((-50, 5), abs=1e-3)
    np.testing.assert_array_equal(pose.camera_rotation, poses.camera_rotation[1])
    assert repr(poses) == "Poses(2 faces, width=40, height=30, file='a.jpg')"
    assert repr(pose).startswith("Pose(score=0.800, box_xyxy=[5.0, 5.0, 25.0, 25.0], yaw_deg=-50.0")
    part = pickle.loads(pickle.dumps(poses[poses.score < 0.85]))
    assert len(part) == 1 and not part.rotation.flags.writeable and part == poses[1:]
    assert len(Poses.empty(4, 3)) == 0 and Poses.empty(4, 3).camera_rotation.shape == (0, 3, 3)


def test_angles_of_all_are_those_as_seen(poses: Poses) -> None:
    np.testing.assert_allclose(poses.yaw_deg, (10, -50), atol=1e-4)
    np.testing.assert_allclose(poses.pitch_deg, (0, 5), atol=1e-4)
    np.testing.assert_allclose(poses.roll_deg, (0, -20), atol=1e-4)
    assert poses.yaw_deg.dtype == np.float32 and Poses.empty(4, 3).roll_deg.shape == (0,)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_fields_raise(poses: Poses, name: str) -> None:
    array = getattr(poses, name).copy()
    with pytest.raises(InputError, match=f"{name}: expected the shape"):
        replace(poses, **{name: np.zeros((2, 5, 5))})
    with pytest.raises(InputError, match=f"{name}: expected the shape"):
        replace(poses[0], **{name: np.zeros((5, 5))})
    array.flat[-1] = np.nan
    with pytest.raises(InputError, match=f"{name}: expected finite numbers"):
        replace(poses, **{name: array})
    with pytest.raises(InputError, match=f"{name}: expected finite numbers"):
        replace(poses[1], **{name: array[1]})


def test_fields_of_other_lengths_raise(poses: Poses) -> None:
    with pytest.raises(InputError, match=r"rotation: expected the shape \(2, 3, 3\), got \(3, 3\)"):
        replace(poses, rotation=poses.rotation[0])
    with pytest.raises(InputError, match=r"box_xyxy: expected the shape \(1, 4\), got \(2, 4\)"):
        replace(poses, score=poses.score[:1])


def test_equality(poses: Poses) -> None:
    for record in (poses, poses[0], poses[:0]):
        for twin in (pickle.loads(pickle.dumps(record)), copy.copy(record), copy.deepcopy(record)):
            assert (twin == record, twin != record) == (True, False) and twin is not record
        with pytest.raises(TypeError, match="unhashable"):
            hash(record)
    assert poses[[1, 0]] != poses and poses[:1] != poses and poses[0] != poses[:1]


@pytest.mark.parametrize("name", [*NAMES, "width", "height", "file"])
def test_every_field_takes_part_in_equality(poses: Poses, name: str) -> None:
    old = getattr(poses, name)
    other = replace(poses, **{name: "b.jpg" if name == "file" else old + 1})
    assert (other == poses, other != poses) == (False, True)
