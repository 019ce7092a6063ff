"""Rotated square crops, as depth maps show the head upright."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.image.crop import crop_squares
from facegeom.image.pyramid import Pyramid, UInt8Array

FloatArray = npt.NDArray[np.floating]


def crop_rotated(
    image: Pyramid | UInt8Array | Image.Image, image_from_crop: FloatArray, size_px: int
) -> UInt8Array:
    """Cut antialiased crops along rotated squares.

    Args:
        image: RGB.
        image_from_crop: (N, 2, 3) maps from a crop's pixels to the image's: rotation, scale and translation.
        size_px: side of the crops.

    Returns:
        (N, size, size, 3) uint8 RGB, grey beyond the image.
    """
    crops = [_crop(image, matrix, size_px) for matrix in image_from_crop]
    return np.stack(crops) if crops else np.zeros((0, size_px, size_px, 3), np.uint8)


def _crop(image: Pyramid | UInt8Array | Image.Image, matrix: FloatArray, size_px: int) -> UInt8Array:
    """Cut the upright square around the rotated one at the crop's scale, then rotate it."""
    step, middle = matrix[:, :2], matrix[:, :2] @ np.full(2, (size_px - 1) / 2) + matrix[:, 2]
    scale = float(np.sqrt(abs(np.linalg.det(step))))
    wide_px = int(np.ceil(np.abs(step).sum(axis=1).max() / scale * size_px)) + 2
    half = wide_px * scale / 2
    upright = crop_squares(image, np.concatenate([middle - half, middle + half])[None], wide_px)[0]
    rotation = step / scale
    corner = np.full(2, wide_px / 2) - rotation @ np.full(2, size_px / 2)  # Pillow counts from edges
    data = np.column_stack([rotation, corner]).ravel().tolist()
    rotated = Image.fromarray(upright).transform(
        (size_px, size_px), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR
    )
    return np.asarray(rotated)
