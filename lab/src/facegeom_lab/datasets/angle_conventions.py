"""Conversion of head rotations between facegeom and other data sets and tools.

facegeom (docs/conventions.md): x right, y down, z away from the camera. R is the head as seen, relative to
the line of sight: the identity for a face that looks into the lens. R = Rz(roll) · Ry(-yaw) · Rx(-pitch).
300W-LP, AFLW2000, 6DRepNet and BIWI mean the same R; MediaPipe's matrix holds ``camera_rotation``. All
functions take any leading axes (...).

- 300W-LP and AFLW2000-3D: ``Pose_Para`` holds pitch, yaw, roll in radians. In a frame with y up and z
  towards the camera their model is rotated by Rx(-pitch) · Ry(-yaw) · Rz(-roll) (Zhu et al., CVPR 2016).
  Pitch and roll have facegeom's signs, yaw is positive towards the image's **left** edge, and the order of
  the rotations is reversed: a head rotated about more than one axis has different angles in the two.
- HopeNet and 6DRepNet learn the matrix Rz(roll) · Ry(yaw) · Rx(pitch) of the same three angles, the
  transpose of that one (Ruiz et al., CVPR workshops 2018; Hempel et al., ICIP 2022).
- BIWI: the matrix is R. It was measured in the frame of a depth camera, but the papers compare it with
  predictions for crops, as seen. The angles that they derive from it are facegeom's with the sign of yaw
  reversed (Fanelli et al., IJCV 2013; Ruiz et al., 2018).
- MediaPipe: a matrix (4, 4) from its canonical face in centimetres to a camera with y up that looks along
  -z.
"""

import numpy as np
import numpy.typing as npt

from facegeom.geometry.rotation import angles_from_rotation, rotation_from_angles

FloatArray = npt.NDArray[np.floating]

_UP = np.array([1.0, -1.0, -1.0])
"""Factors of (x, y, z) to the frame with y up and z towards the camera, and back."""

_MM_PER_CM = 10.0

MEDIAPIPE_PITCH_DEG = 2.2
"""Pitch of facegeom's canonical head relative to MediaPipe's canonical face."""

MEDIAPIPE_ORIGIN_MM = (0.0, 27.6, 29.5)
"""Origin of MediaPipe's canonical face, so rotated, in facegeom's head frame, millimetres.

Both by Procrustes alignment of points 0, 1, 33, 61, 133, 152, 263, 291, 362; the sizes agree to 0.4 %.
"""


def rotation_from_pose_para(pitch_yaw_roll_rad: FloatArray) -> FloatArray:
    """Convert the first three numbers of a ``Pose_Para`` (..., 3), radians, to R (..., 3, 3)."""
    pitch, yaw, roll = np.moveaxis(np.rad2deg(np.asarray(pitch_yaw_roll_rad, np.float64)), -1, 0)
    return np.swapaxes(rotation_from_angles(yaw, -pitch, -roll), -1, -2)


def pose_para_from_rotation(rotation: FloatArray) -> FloatArray:
    """Convert R to pitch, yaw, roll (..., 3) in radians: the inverse of :func:`rotation_from_pose_para`.

    Two triples give the same rotation. The one with the smaller sum of absolute angles is returned, so that a
    head beyond the profile has a yaw of more than 90°, as in the data sets, and not a pitch and roll of 180°.
    """
    yaw, pitch, roll = np.moveaxis(np.deg2rad(angles_from_rotation(np.swapaxes(rotation, -1, -2))), -1, 0)
    first = np.stack([-pitch, yaw, -roll], axis=-1)
    second = other_angles(first)
    smaller = np.abs(first).sum(axis=-1) <= np.abs(second).sum(axis=-1)
    return np.where(smaller[..., None], first, second)


def other_angles(pitch_yaw_roll_rad: FloatArray) -> FloatArray:
    """Return the other triple (..., 3) of the same rotation, in (-π, π]: pitch + π, π - yaw, roll + π.

    It holds for every order of rotations with yaw in the middle, so for facegeom's angles as well.
    """
    turned = pitch_yaw_roll_rad * (1, -1, 1) + np.pi
    return np.asarray(np.pi - (np.pi - turned) % (2 * np.pi))


def rotation_from_6drepnet(matrix: FloatArray) -> FloatArray:
    """Convert 6DRepNet's matrix (..., 3, 3), Rz(roll) · Ry(yaw) · Rx(pitch) of ``Pose_Para``, to R.

    The conversion is its own inverse.
    """
    return np.asarray(np.swapaxes(matrix, -1, -2) * np.outer(_UP, _UP))


def biwi_angles_deg(rotation: FloatArray) -> FloatArray:
    """Return pitch, yaw, roll (..., 3) in degrees, as HopeNet and its successors derive them from BIWI.

    pitch = -atan2(R32, R33), yaw = atan2(-R31, √(R32² + R33²)), roll = atan2(R21, R11), counted from 1.
    """
    return np.asarray(angles_from_rotation(rotation)[..., [1, 0, 2]] * (1, -1, 1))


def pose_from_mediapipe(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Convert MediaPipe's facial transformation matrices (..., 4, 4) to camera_rotation, translation_mm.

    The distance is that of MediaPipe's camera, whose vertical field of view is 63° by default.
    """
    canonical = _without_scale(matrix[..., :3, :3]) * np.outer(_UP, _UP)
    rotation = canonical @ _mediapipe_head().T
    origin = matrix[..., :3, 3] * _UP * _MM_PER_CM
    return rotation, origin - rotation @ np.array(MEDIAPIPE_ORIGIN_MM)


def _mediapipe_head() -> FloatArray:
    """Return the rotation (3, 3) from MediaPipe's canonical face, in facegeom's axes, to facegeom's head."""
    return rotation_from_angles(0, MEDIAPIPE_PITCH_DEG, 0)


def _without_scale(matrix: FloatArray) -> FloatArray:
    return np.asarray(matrix / np.cbrt(np.linalg.det(matrix))[..., None, None])
