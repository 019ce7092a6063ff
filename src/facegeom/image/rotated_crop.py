"""Crops along rotated squares and through homographies."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.image.crop import OUTSIDE, crop_squares
from facegeom.image.pyramid import Pyramid, UInt8Array

FloatArray = npt.NDArray[np.floating]

LARGEST_SHRINK = 8
"""Side of the upright cut-out, as a multiple of the crop's, that :func:`crop_projected` makes at most."""

GRID = 1 << 20
"""Corners of affine crops lie at multiples of one over this: sums with them are exact, so that a crop is the
same to the byte from the image and from a part of it."""


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


def crop_affine(image: Pyramid, image_from_crop: FloatArray, size_px: int) -> UInt8Array:
    """Cut crops through affine maps that scale about equally in all directions; black beyond the image.

    The image under a crop is averaged over whole groups of pixels until a step of the crop is less than two
    of its pixels, then sampled bilinearly.

    Args:
        image: RGB.
        image_from_crop: (N, 2, 3) maps from a crop's pixels to the image's, pixel centres at integers.
        size_px: side of the crops.

    Returns:
        (N, size, size, 3) uint8 RGB.
    """
    crops = np.zeros((len(image_from_crop), size_px, size_px, 3), np.uint8)
    linear = image_from_crop[:, :, :2]
    corner = image_from_crop[:, :, 2] + 0.5 - linear.sum(axis=2) / 2  # counted from edges, as Pillow does
    factors = np.maximum(
        np.sqrt(np.abs(linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0])), 1
    ).astype(int)
    right, down = np.moveaxis(linear * size_px, 2, 0)
    quads = np.concatenate([corner, corner + down, corner + right + down, corner + right], axis=1)
    for factor in set(factors.tolist()):
        rows, level = np.flatnonzero(factors == factor), image.made(factor)
        scaled = np.rint(quads[rows] / factor * GRID) / GRID
        if level is not None:
            crops[rows] = _sample(level, scaled, size_px)
            continue
        limits = [-(-side // factor) for side in image.size_wh]
        for row, quad in zip(rows, scaled.reshape(-1, 4, 2), strict=True):
            left, top = np.maximum(quad.min(axis=0).astype(int) - 1, 0).tolist()
            right, bottom = np.minimum(quad.max(axis=0).astype(int) + 2, limits).tolist()
            if left < right and top < bottom:
                part = image.part(factor, (left, top, right, bottom))
                crops[row] = _sample(part, (quad - (left, top)).reshape(1, 8), size_px)[0]
    return crops


def _sample(image: Image.Image, quads_xy: FloatArray, size_px: int) -> UInt8Array:
    """Sample quadrilaterals of an image bilinearly, in one call of Pillow; black beyond it.

    Args:
        image: RGB.
        quads_xy: (N, 8) upper left, lower left, lower right and upper right corners, counted from its edges.
        size_px: side of the crops.

    Returns:
        (N, size, size, 3) uint8 RGB.
    """
    boxes = [(0, start, size_px, start + size_px) for start in range(0, len(quads_xy) * size_px, size_px)]
    column = image.transform(
        (size_px, len(boxes) * size_px),
        Image.Transform.MESH,
        list(zip(boxes, quads_xy.tolist(), strict=True)),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(column).reshape(-1, size_px, size_px, 3)


def crop_projected(
    image: Pyramid | UInt8Array | Image.Image,
    image_from_crop: FloatArray,
    size_px: int,
    reducing_gap: float | None = None,
    outside: int = OUTSIDE,
) -> UInt8Array:
    """Cut antialiased crops through homographies that scale about equally all over the crop.

    Args:
        image: RGB.
        image_from_crop: (N, 3, 3) maps from a crop's pixels to the image's, pixel centres at integers.
        size_px: side of the crops.
        reducing_gap: see :func:`facegeom.image.crop.crop_squares`.
        outside: grey level beyond the image.

    Returns:
        (N, size, size, 3) uint8 RGB.
    """
    crops = np.empty((len(image_from_crop), size_px, size_px, 3), np.uint8)
    edges = np.array([[0, 0], [size_px, 0], [0, size_px], [size_px, size_px]]) - 0.5
    for crop, matrix in zip(crops, image_from_crop, strict=True):
        corners = np.column_stack([edges, np.ones(4)]) @ matrix.T
        corners = corners[:, :2] / corners[:, 2:]
        low, high = corners.min(axis=0), corners.max(axis=0)
        middle, side = (low + high) / 2, float((high - low).max())
        step = np.linalg.norm(corners[3] - corners[0]) / np.hypot(size_px, size_px)
        step = max(step, side / (LARGEST_SHRINK * size_px))
        wide_px = int(np.ceil(side / step)) + 2
        half = wide_px * step / 2
        square = np.concatenate([middle - half, middle + half])
        upright = crop_squares(image, square[None], wide_px, reducing_gap, outside)[0]
        # in both images counted from edges, as Pillow does
        to_wide = np.array([[1 / step, 0, wide_px / 2], [0, 1 / step, wide_px / 2], [0, 0, 1]])
        shift = np.array([[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, 1]])
        from_edge = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
        wide_from_crop = to_wide @ shift @ matrix @ from_edge
        data = (wide_from_crop / wide_from_crop[2, 2]).ravel()[:8].tolist()
        view = Image.fromarray(upright).transform(
            (size_px, size_px), Image.Transform.PERSPECTIVE, data, Image.Resampling.BILINEAR
        )
        crop[:] = np.asarray(view)
    return crops
