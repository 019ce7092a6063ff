"""Square pieces of a picture at the size that a network takes.

``geometry.transforms.box_to_square`` is the map from the picture to such a piece.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.image.pyramid import Levels

FloatArray = npt.NDArray[np.floating]
UInt8Array = npt.NDArray[np.uint8]
Picture: TypeAlias = Image.Image | Levels | UInt8Array
Box: TypeAlias = tuple[float, float, float, float]

OUTSIDE = 127
"""Grey level beyond the picture's edges."""


def cut(
    picture: Picture, squares_xyxy: FloatArray, size_px: int, reducing_gap: float | None = None
) -> UInt8Array:
    """Antialiased square crops.

    Args:
        picture: RGB; of an array (H, W, 3) uint8 only what the crops show goes through Pillow.
        squares_xyxy: (N, 4) squares in pixels, centres at integers; they may reach beyond the picture.
        size_px: side of the crops.
        reducing_gap: how many times larger than the crop a square is left when whole groups of its pixels are
            averaged first, which is quicker and all but the same, and most so where the picture brings small
            copies; None never does so.

    Returns:
        (N, size, size, 3) uint8 RGB, grey beyond the picture.
    """
    crops = np.full((len(squares_xyxy), size_px, size_px, 3), OUTSIDE, np.uint8)
    cells, boxes = _inside(squares_xyxy, size_px, size_wh(picture))
    steps = (squares_xyxy[:, 2] - squares_xyxy[:, 0]) / size_px
    for crop, (left, top, right, bottom), box, step in zip(crops, cells, boxes, steps, strict=True):
        if right > left and bottom > top and min(box[2] - box[0], box[3] - box[1]) > 1e-3:
            piece = _resized(picture, box, (right - left, bottom - top), step, reducing_gap)
            crop[top:bottom, left:right] = np.asarray(piece)
    return crops


def size_wh(picture: Picture) -> tuple[int, int]:
    """Width and height in pixels."""
    return (picture.shape[1], picture.shape[0]) if isinstance(picture, np.ndarray) else picture.size


def _resized(
    picture: Picture, box: Box, to_wh: tuple[int, int], step: float, reducing_gap: float | None
) -> Image.Image:
    """A box of the picture, counted from its edge, at another size: ``step`` pixels become one."""
    if isinstance(picture, np.ndarray):
        picture, box = _around(picture, box, step + 1)
    elif isinstance(picture, Levels):
        picture, box = _copied(picture, box, step / reducing_gap if reducing_gap else 1)
    return picture.resize(to_wh, Image.Resampling.BILINEAR, box=box, reducing_gap=reducing_gap)


def _copied(picture: Levels, box: Box, most: float) -> tuple[Image.Image, Box]:
    """The smallest copy of the picture whose pixels are at most so many of its own, and the box there."""
    copy, factor = picture.smallest(most)
    left, top, right, bottom = (edge / factor for edge in box)
    return copy, (left, top, right, bottom)


def _around(pixels: UInt8Array, box: Box, reach_px: float) -> tuple[Image.Image, Box]:
    """The box of a picture with the pixels around it that the filter reaches, and the box in that part."""
    left, top = (max(0, int(edge - reach_px)) for edge in box[:2])
    right, bottom = (int(edge + reach_px) + 1 for edge in box[2:])
    part = Image.fromarray(np.ascontiguousarray(pixels[top:bottom, left:right]))
    return part, (box[0] - left, box[1] - top, box[2] - left, box[3] - top)


def _inside(squares: FloatArray, size_px: int, picture_wh: tuple[int, int]) -> tuple[list[Any], list[Any]]:
    """Which cells of each crop lie in the picture, and the part of the picture that they show.

    Returns:
        Left, top, right, bottom of the cells, whole numbers from 0 to ``size_px``, and of the part, counted
        from the picture's edge.
    """
    corner = np.tile(squares[:, :2] + 0.5, 2)
    step = np.tile((squares[:, 2:] - squares[:, :2]) / size_px, 2)
    limits = np.array((0, 0, *picture_wh))
    cells = (limits - corner) / step
    cells[:, :2], cells[:, 2:] = np.ceil(cells[:, :2] - 0.5), np.floor(cells[:, 2:] + 0.5)
    cells = np.clip(cells, 0, size_px)
    parts = np.clip(corner + cells * step, 0, np.tile(picture_wh, 2))
    return cells.astype(int).tolist(), parts.tolist()
