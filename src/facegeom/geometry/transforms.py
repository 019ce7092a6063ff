"""Affine maps between images as (2, 3) matrices: target_xy = A[:, :2] @ source_xy + A[:, 2].

Pixel centres lie at integers, so an image of width W spans [-0.5, W - 0.5]. Resizing W to V pixels maps
x to (x + 0.5) · V/W - 0.5.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]


def box_to_square(box_xyxy: FloatArray, size_px: int) -> FloatArray:
    """Return the maps (..., 2, 3) of boxes (..., 4) onto squares of ``size_px`` pixels, edge to edge."""
    scale = size_px / (box_xyxy[..., 2:] - box_xyxy[..., :2])
    matrix = np.zeros((*box_xyxy.shape[:-1], 2, 3))
    matrix[..., 0, 0], matrix[..., 1, 1] = scale[..., 0], scale[..., 1]
    matrix[..., 2] = -0.5 - scale * box_xyxy[..., :2]
    return matrix


def resize_points(points_xy: FloatArray, scale: float | FloatArray) -> FloatArray:
    """Return where points lie after their image is resized: (x + 0.5) · scale - 0.5.

    Args:
        points_xy: (..., D) coordinates of points or boxes in pixels, pixel centres at integers.
        scale: new size over old, or one for each of the D coordinates.
    """
    return np.asarray((points_xy + 0.5) * scale - 0.5)


def invert(matrix: FloatArray) -> FloatArray:
    """Return the inverse maps (..., 2, 3)."""
    linear = np.linalg.inv(matrix[..., :2])
    return np.concatenate([linear, -linear @ matrix[..., 2:]], axis=-1)


def apply(matrix: FloatArray, points_xy: FloatArray) -> FloatArray:
    """Transform points (..., K, 2) by maps (..., 2, 3)."""
    return np.asarray(points_xy @ np.swapaxes(matrix[..., :2], -1, -2) + matrix[..., None, :, 2])
