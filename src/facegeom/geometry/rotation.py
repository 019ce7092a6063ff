"""Rotations of the head: 6D vectors, angles in the documented order, least-squares alignment.

Frames (see docs/conventions.md): x right, y down, z away from the camera; a frontal head has R = I.
R = Rz(roll) · Ry(-yaw) · Rx(-pitch): positive yaw turns the nose to the picture's right edge, positive
pitch lifts it, positive roll tilts the head clockwise in the picture.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

_NEXT, _LAST = [1, 2, 0], [2, 0, 1]


def rotation_from_6d(vectors: FloatArray) -> FloatArray:
    """Return rotation matrices (..., 3, 3) from two raw vectors a1, a2 as (..., 6).

    b1 = a1/|a1|, b3 = (b1 x a2)/|b1 x a2|, b2 = b3 x b1 are the columns (Zhou et al., CVPR 2019; 6DRepNet,
    Hempel et al., ICIP 2022). The scale of a1, and any multiple of a1 added to a2, do not matter.
    """
    first, second = vectors[..., :3], vectors[..., 3:]
    b1 = first / np.maximum(np.linalg.norm(first, axis=-1, keepdims=True), 1e-12)
    b3 = _cross(b1, second)
    b3 = b3 / np.maximum(np.linalg.norm(b3, axis=-1, keepdims=True), 1e-12)
    return np.stack([b1, _cross(b3, b1), b3], axis=-1)


def _cross(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return cross products (..., 3); for few vectors ten times as fast as ``np.cross``."""
    return np.asarray(first[..., _NEXT] * second[..., _LAST] - first[..., _LAST] * second[..., _NEXT])


def rotation_to_6d(rotation: FloatArray) -> FloatArray:
    """Return the first two columns of (..., 3, 3) as (..., 6): the inverse of :func:`rotation_from_6d`."""
    return np.concatenate([rotation[..., :, 0], rotation[..., :, 1]], axis=-1)


def _about(axis: int, degrees: npt.ArrayLike) -> FloatArray:
    angle = np.deg2rad(np.asarray(degrees, dtype=np.float64))
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., axis, axis] = 1
    matrix[..., first, first] = matrix[..., second, second] = np.cos(angle)
    matrix[..., second, first] = np.sin(angle)
    matrix[..., first, second] = -np.sin(angle)
    return matrix


def rotation_from_angles(
    yaw_deg: npt.ArrayLike, pitch_deg: npt.ArrayLike, roll_deg: npt.ArrayLike
) -> FloatArray:
    """Return R = Rz(roll) · Ry(-yaw) · Rx(-pitch), (..., 3, 3), from angles (...,) in degrees."""
    yaw, pitch = np.asarray(yaw_deg), np.asarray(pitch_deg)
    return np.asarray(_about(2, roll_deg) @ _about(1, -yaw) @ _about(0, -pitch))


def angles_from_rotation(rotation: FloatArray) -> FloatArray:
    """Return (yaw, pitch, roll) in degrees as (..., 3); yaw in [-90, 90], pitch and roll in (-180, 180].

    At yaw = ±90° pitch and roll rotate about the same line (gimbal lock); roll is then 0.
    """
    rotation = np.asarray(rotation, np.float64)  # single precision has no 1 - 1e-9
    sine = np.clip(rotation[..., 2, 0], -1, 1)
    yaw = np.arcsin(sine)
    locked = np.abs(sine) > 1 - 1e-9
    pitch = -np.arctan2(rotation[..., 2, 1], rotation[..., 2, 2])
    roll = np.arctan2(rotation[..., 1, 0], rotation[..., 0, 0])
    pitch_locked = -np.arctan2(-rotation[..., 1, 2], rotation[..., 1, 1])
    angles = np.stack([yaw, np.where(locked, pitch_locked, pitch), np.where(locked, 0.0, roll)], axis=-1)
    angles[angles == -np.pi] = np.pi
    return np.asarray(np.rad2deg(angles))


def rotation_to_quaternion(rotation: FloatArray) -> FloatArray:
    """Return unit quaternions (..., 4) as x, y, z, w, with w of at least 0, of rotations (..., 3, 3)."""
    trace = np.trace(rotation, axis1=-2, axis2=-1)[..., None, None]
    full = np.zeros((*rotation.shape[:-2], 4, 4))
    full[..., :3, :3] = rotation + np.swapaxes(rotation, -1, -2) - trace * np.eye(3)
    full[..., 3, :3] = (rotation - np.swapaxes(rotation, -1, -2))[..., _LAST, _NEXT]
    full[..., 3, 3] = trace[..., 0, 0]
    vector = np.linalg.eigh(full)[1][..., -1]  # Bar-Itzhack 2000: the lower triangle is read
    return np.asarray(vector * np.where(vector[..., 3:] < 0, -1, 1))


def upright_axes(rotation: FloatArray) -> FloatArray:
    """Return the axes (..., 2, 2) of upright crops in the image; columns: right, and down along the head."""
    down = rotation[..., :2, 1]
    down = down / np.maximum(np.linalg.norm(down, axis=-1, keepdims=True), 1e-6)
    return np.stack([np.stack([down[..., 1], -down[..., 0]], axis=-1), down], axis=-1)


def geodesic_deg(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the angle (...,) in [0, 180] degrees between rotations (..., 3, 3), acos((tr(AᵀB) - 1) / 2)."""
    trace = np.einsum("...ij,...ij->...", first, second)
    return np.asarray(np.rad2deg(np.arccos(np.clip((trace - 1) / 2, -1, 1))))


def rotation_to_line_of_sight(direction: FloatArray) -> FloatArray:
    """Return the smallest rotations (..., 3, 3) that carry the z axis onto directions (..., 3), z > 0.

    They turn a frame that looks along the optical axis into one that looks along a line of sight.
    """
    unit = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    k = np.zeros((*unit.shape[:-1], 3, 3))
    k[..., :2, 2] = unit[..., :2]
    k[..., 2, :2] = -unit[..., :2]
    return np.asarray(np.eye(3) + k + k @ k / (1 + unit[..., 2, None, None]))


def rotation_in_camera(rotation: FloatArray, translation_mm: FloatArray) -> npt.NDArray[np.float32]:
    """Return rotations (..., 3, 3) from the head frame to the camera frame.

    Args:
        rotation: (..., 3, 3) from the head frame to the frame of the line of sight.
        translation_mm: (..., 3) the heads' origins in the camera frame.
    """
    sight = rotation_to_line_of_sight(np.asarray(translation_mm, np.float64))
    return np.asarray(sight @ rotation, np.float32)


@dataclass(frozen=True)
class Similarity:
    """target = scale · rotation @ source + translation, with leading axes (...) shared by the fields."""

    scale: FloatArray
    rotation: FloatArray
    translation: FloatArray

    def apply(self, points: FloatArray) -> FloatArray:
        """Transform points (..., K, 3)."""
        turned = points @ np.swapaxes(self.rotation, -1, -2)
        return np.asarray(self.scale[..., None, None] * turned + self.translation[..., None, :])

    def undo(self, points: FloatArray) -> FloatArray:
        """Carry points (..., K, 3) back: the inverse of :meth:`apply`."""
        moved = points - self.translation[..., None, :]
        return np.asarray(moved @ self.rotation / self.scale[..., None, None])


def procrustes(source: FloatArray, target: FloatArray, weights: FloatArray | None = None) -> Similarity:
    """Fit the least-squares similarity from points (..., K, 3) to points (..., K, 3), without reflection.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.
    ``weights`` (..., K) are non-negative; all equal by default.
    """
    w = None if weights is None else (weights / weights.sum(axis=-1, keepdims=True))[..., None]
    source_mean, target_mean = _mean(source, w), _mean(target, w)
    source_0, target_0 = source - source_mean[..., None, :], target - target_mean[..., None, :]
    weighted_0 = source_0 * (1 / source.shape[-2] if w is None else w)
    covariance = np.swapaxes(target_0, -1, -2) @ weighted_0
    u, sigma, vt = np.linalg.svd(covariance)
    sign = np.ones(sigma.shape)
    sign[..., 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[..., None, :]) @ vt
    scale = (sigma * sign).sum(axis=-1) / np.maximum((weighted_0 * source_0).sum(axis=(-2, -1)), 1e-12)
    turned_mean = (rotation @ source_mean[..., None])[..., 0]
    return Similarity(scale, rotation, target_mean - scale[..., None] * turned_mean)


def _mean(points: FloatArray, weights: FloatArray | None) -> FloatArray:
    """Return the mean (..., 3) of points (..., K, 3); weights (..., K, 1) add up to 1."""
    if weights is None:  # as a product: a quarter of the time of numpy's mean
        return np.asarray(np.full(points.shape[-2], 1 / points.shape[-2]) @ points)
    return np.asarray((weights * points).sum(axis=-2))
