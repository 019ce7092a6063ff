"""Square crops of an image at the size that a network takes.

``geometry.transforms.box_to_square`` is the map from the image to such a crop.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.image.pyramid import Pyramid, UInt8Array

FloatArray: TypeAlias = npt.NDArray[np.floating]
Box: TypeAlias = tuple[float, float, float, float]

OUTSIDE = 127
"""Grey level beyond the image's edges."""


def crop_squares(
    image: Pyramid | UInt8Array | Image.Image,
    squares_xyxy: FloatArray,
    size_px: int,
    reducing_gap: float | None = None,
    outside: int = OUTSIDE,
) -> UInt8Array:
    """Cut antialiased square crops.

    Args:
        image: RGB. Of an array only the pixels under the crops are converted.
        squares_xyxy: (N, 4) squares in pixels, centres at integers; they may reach beyond the image.
        size_px: side of the crops.
        reducing_gap: the square is first averaged over whole groups of pixels until it is at most so many
            times larger than the crop, or taken from a level of the pyramid: quicker, and nearly the same.
            None resizes in one step.
        outside: grey level beyond the image.

    Returns:
        (N, size, size, 3) uint8 RGB.
    """
    pyramid = image if isinstance(image, Pyramid) else Pyramid(image)
    crops = np.full((len(squares_xyxy), size_px, size_px, 3), outside, np.uint8)
    cells, boxes = _inside(squares_xyxy, size_px, pyramid.size_wh)
    steps = (squares_xyxy[:, 2] - squares_xyxy[:, 0]) / size_px
    for crop, (left, top, right, bottom), box, step in zip(crops, cells, boxes, steps, strict=True):
        if right <= left or bottom <= top or min(box[2] - box[0], box[3] - box[1]) <= 1e-3:
            continue
        largest = max(1, step / reducing_gap) if reducing_gap else 1
        factor = max((each for each in pyramid.levels if each <= largest), default=None)
        if factor is None:
            source, box = _part(pyramid, box, step, int(largest))
        else:
            source, box = pyramid.levels[factor], [edge / factor for edge in box]
        size_wh = (right - left, bottom - top)
        piece = source.resize(size_wh, Image.Resampling.BILINEAR, box=box, reducing_gap=reducing_gap)
        crop[top:bottom, left:right] = np.asarray(pyramid.to_srgb(piece) if pyramid.to_srgb else piece)
    return crops


def crop_images(
    images: Sequence[Pyramid],
    squares_xyxy: Sequence[FloatArray],
    size_px: int,
    reducing_gap: float,
    outside: int = OUTSIDE,
) -> UInt8Array:
    """Cut the crops of several images' squares (K, 4), image after image, as :func:`crop_squares`."""
    parts = [
        crop_squares(image, squares, size_px, reducing_gap, outside)
        for image, squares in zip(images, squares_xyxy, strict=True)
        if len(squares)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _part(image: Pyramid, box: Box, step_px: float, factor: int) -> tuple[Image.Image, Box]:
    """Return the pixels that the filter needs for a box, reduced as Pillow does, and the box within them.

    Pillow rounds a box to 32 bits. Where nothing is reduced it is rounded before it is moved, so that the
    crop is the same to the byte as from the whole image.
    """
    if factor == 1:
        box = tuple(np.array(box, np.float32).tolist())
    reach_px = step_px / 2 if factor > 1 else step_px + 1
    left, top = (max(0, int(edge - reach_px)) for edge in box[:2])
    right, bottom = (
        min(side, ceil(edge + reach_px)) for edge, side in zip(box[2:], image.size_wh, strict=True)
    )
    part = image.means(factor, (left, top, right, bottom))
    x, y = (box[0] - left) / factor, (box[1] - top) / factor
    return part, (x, y, (box[2] - left) / factor, (box[3] - top) / factor)


def _inside(squares: FloatArray, size_px: int, image_wh: tuple[int, int]) -> tuple[list[Any], list[Any]]:
    """Compute which cells of each crop lie in the image, and the box of the image that they show.

    Returns:
        Left, top, right, bottom of the cells, integers from 0 to ``size_px``, and of the box, counted from
        the image's edge.
    """
    corner = np.tile(squares[:, :2] + 0.5, 2)
    step = np.tile((squares[:, 2:] - squares[:, :2]) / size_px, 2)
    limits = np.array((0, 0, *image_wh))
    cells = (limits - corner) / step
    cells[:, :2], cells[:, 2:] = np.ceil(cells[:, :2] - 0.5), np.floor(cells[:, 2:] + 0.5)
    cells = np.clip(cells, 0, size_px)
    boxes = np.clip(corner + cells * step, 0, np.tile(image_wh, 2))
    return cells.astype(int).tolist(), boxes.tolist()
