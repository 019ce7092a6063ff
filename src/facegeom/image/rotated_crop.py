"""Turned crops: a photo's piece as a depth map's square shows it."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.image.crop import Picture, cut

FloatArray = npt.NDArray[np.floating]
UInt8Array = npt.NDArray[np.uint8]


def cut_upright(picture: Picture, squares: FloatArray, size_px: int) -> UInt8Array:
    """Antialiased crops along turned squares.

    Args:
        picture: RGB.
        squares: (N, 2, 3) maps from a crop's pixels to the photo's, turn, scale and shift.
        size_px: side of the crops.

    Returns:
        (N, size, size, 3) uint8 RGB, grey beyond the photo.
    """
    crops = [_cut(picture, square, size_px) for square in squares]
    return np.stack(crops) if crops else np.zeros((0, size_px, size_px, 3), np.uint8)


def _cut(picture: Picture, square: FloatArray, size_px: int) -> UInt8Array:
    """First the straight square around the turned one, at the crop's scale, then the turn."""
    step, middle = square[:, :2], square[:, :2] @ np.full(2, (size_px - 1) / 2) + square[:, 2]
    scale = float(np.sqrt(abs(np.linalg.det(step))))
    wide_px = int(np.ceil(np.abs(step).sum(axis=1).max() / scale * size_px)) + 2
    half = wide_px * scale / 2
    straight = cut(picture, np.concatenate([middle - half, middle + half])[None], wide_px)[0]
    turn = step / scale
    corner = np.full(2, wide_px / 2) - turn @ np.full(2, size_px / 2)  # Pillow counts from edges
    data = np.column_stack([turn, corner]).ravel().tolist()
    turned = Image.fromarray(straight).transform(
        (size_px, size_px), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR
    )
    return np.asarray(turned)
