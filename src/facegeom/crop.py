"""Square pieces of a picture at the size that a network takes, each with the map that made it."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.geometry.transforms import box_to_square

FloatArray = npt.NDArray[np.floating]
UInt8Array = npt.NDArray[np.uint8]

OUTSIDE = 127
"""Grey level beyond the picture's edges."""


def cut(picture: Image.Image, squares_xyxy: FloatArray, size_px: int) -> UInt8Array:
    """Antialiased square crops.

    Args:
        picture: RGB.
        squares_xyxy: (N, 4) squares in pixels, centres at integers; they may reach beyond the picture.
        size_px: side of the crops.

    Returns:
        (N, size, size, 3) uint8 RGB, grey beyond the picture.
    """
    crops = np.full((len(squares_xyxy), size_px, size_px, 3), OUTSIDE, np.uint8)
    for crop, square in zip(crops, squares_xyxy, strict=True):
        _cut_one(picture, square, crop)
    return crops


def _cut_one(picture: Image.Image, square: FloatArray, crop: UInt8Array) -> None:
    """Fill the part of the crop that lies in the picture, to the nearest whole pixel of the crop."""
    size = crop.shape[0]
    step = (square[2] - square[0]) / size
    low = np.ceil((-0.5 - square[:2]) / step - 0.5).clip(0, size).astype(int)
    high = np.floor((np.array(picture.size) - 0.5 - square[:2]) / step + 0.5).clip(0, size).astype(int)
    if (high <= low).any():
        return
    left, top = np.clip(square[:2] + low * step + 0.5, 0, picture.size).tolist()
    right, bottom = np.clip(square[:2] + high * step + 0.5, 0, picture.size).tolist()
    if min(right - left, bottom - top) < 1e-3:
        return
    width, height = (high - low).tolist()
    piece = picture.resize((width, height), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    crop[low[1] : high[1], low[0] : high[0]] = np.asarray(piece)


def maps(squares_xyxy: FloatArray, size_px: int) -> FloatArray:
    """(N, 2, 3) the maps from the picture's pixels to those of :func:`cut`'s crops."""
    return box_to_square(squares_xyxy, size_px)
