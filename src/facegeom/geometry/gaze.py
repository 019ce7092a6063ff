"""Directions in which eyes look."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]


def gaze_seen(rotation: FloatArray, gaze: FloatArray, confidence: FloatArray) -> FloatArray:
    """Return the unit vectors (..., 3) in which both eyes together look, in the frame of the line of sight.

    Args:
        rotation: (..., 3, 3) of the head as seen.
        gaze: (..., 2, 3) unit vectors of the eyes, head frame.
        confidence: (..., 2) weights of the eyes.
    """
    weight = confidence[..., None] + 1e-6
    both = (gaze * weight).sum(axis=-2)
    seen = (rotation @ both[..., None])[..., 0]
    return np.asarray(seen / np.maximum(np.linalg.norm(seen, axis=-1, keepdims=True), 1e-9))


def gaze_angles_deg(rotation: FloatArray, gaze: FloatArray, confidence: FloatArray) -> FloatArray:
    """Return yaw and pitch (..., 2) of both eyes together as seen, degrees, with the signs of the head's.

    Both are 0 for a look into the lens; positive yaw looks to the picture's right edge, pitch up. The
    arguments are those of :func:`gaze_seen`.
    """
    return gaze_to_angles(gaze_seen(rotation, gaze, confidence))


def gaze_to_angles(vectors: FloatArray) -> FloatArray:
    """Return yaw and pitch (..., 2), degrees, of unit vectors (..., 3), in whatever frame they are."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.asarray(np.degrees(np.stack([np.arctan2(x, -z), np.arcsin(np.clip(-y, -1, 1))], axis=-1)))


def gaze_from_angles(yaw_deg: npt.ArrayLike, pitch_deg: npt.ArrayLike) -> FloatArray:
    """Return the unit vectors (..., 3) of looks with these angles: the inverse of :func:`gaze_to_angles`."""
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    return np.stack([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), -np.cos(yaw) * np.cos(pitch)], axis=-1)
