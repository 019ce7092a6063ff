"""Results of a PoseDetector: rows, slices, copies, checks."""

import pickle

import numpy as np
import pytest

from facegeom import InputError, Pose, Poses
from facegeom.geometry.rotation import rotation_from_angles


def test_poses() -> None:
    rotations = rotation_from_angles(np.array([10.0, -50]), np.array([0.0, 5]), np.array([0.0, -20]))
    poses = Poses(
        np.array([[0, 0, 10, 10], [5, 5, 25, 25]]), np.array([0.9, 0.8]), rotations, 40, 30, "a.jpg"
    )
    pose = poses[1]
    assert isinstance(pose, Pose) and (pose.yaw_deg, pose.pitch_deg) == pytest.approx((-50, 5), abs=1e-3)
    assert repr(poses) == "Poses(2 faces, width=40, height=30, file='a.jpg')"
    assert repr(pose).startswith("Pose(score=0.800, box_xyxy=[5.0, 5.0, 25.0, 25.0], yaw_deg=-50.0")
    again = pickle.loads(pickle.dumps(poses[poses.score < 0.85]))
    assert len(again) == 1 and not again.rotation.flags.writeable
    assert len(Poses.empty(4, 3)) == 0 and Poses.empty(4, 3).rotation.shape == (0, 3, 3)
    with pytest.raises(InputError, match="rotation: expected the shape"):
        Poses(poses.box_xyxy, poses.score, rotations[0], 40, 30)
