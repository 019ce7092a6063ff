"""An image pyramid packed into one canvas, so that one call of a convolutional network sees all of it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.image.crop import OUTSIDE

FloatArray = npt.NDArray[np.floating]

FACTOR = 0.6
"""Size of a level, of the one before. P-Net takes faces of 0.74 to 1.35 of its window: the levels meet."""

GAP = 4
"""Grey pixels between levels and around the canvas: a window may reach so far beyond its level's edge."""


@dataclass(frozen=True)
class Plan:
    """Where the levels lie on the canvas.

    Attributes:
        sizes_wh: (L, 2) of the levels, largest first.
        corners_xy: (L, 2) of their top left pixels.
        canvas_wh: size of the canvas.
    """

    sizes_wh: npt.NDArray[np.intp]
    corners_xy: npt.NDArray[np.intp]
    canvas_wh: tuple[int, int]


def plan(width: int, height: int, scale: float, smallest: int) -> Plan:
    """Lay out the levels of a photo: the first at ``scale``, each next one :data:`FACTOR` of it.

    The second stands right of the first, the third below the second, the fourth right of the third, and so
    on: with a factor below 0.618 everything fits beside the first level's height.
    """
    sizes: list[npt.NDArray[np.intp]] = []
    corners: list[npt.NDArray[np.intp]] = []
    corner = np.array([GAP, GAP])
    size = np.maximum(np.rint(np.array([width, height]) * scale), 1)
    while size.min() >= smallest or not sizes:
        whole = np.maximum(np.rint(size).astype(np.intp), smallest)
        sizes.append(whole)
        corners.append(corner.copy())
        axis = (len(sizes) - 1) % 2
        corner[axis] += whole[axis] + GAP
        size = size * FACTOR
    extent = (np.array(corners) + np.array(sizes)).max(axis=0) + GAP
    return Plan(np.array(sizes), np.array(corners), (int(extent[0]), int(extent[1])))


def paint(picture: Image.Image, levels: Plan) -> npt.NDArray[np.uint8]:
    """The canvas (H, W, 3): each level made from the one before, antialiased."""
    canvas = np.full((levels.canvas_wh[1], levels.canvas_wh[0], 3), OUTSIDE, np.uint8)
    for (width, height), (left, top) in zip(
        levels.sizes_wh.tolist(), levels.corners_xy.tolist(), strict=True
    ):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        canvas[top : top + height, left : left + width] = np.asarray(picture)
    return canvas


def windows_to_photo(
    windows_xyxy: FloatArray, levels: Plan, photo_wh: tuple[int, int]
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Windows on the canvas (K, 4) as windows of the photo, and which of them belong to one level."""
    centre = (windows_xyxy[:, None, :2] + windows_xyxy[:, None, 2:]) / 2 + 0.5
    ends = levels.corners_xy + levels.sizes_wh
    within = np.all((centre >= levels.corners_xy) & (centre <= ends), axis=2)
    level = within.argmax(axis=1)
    corner, size = levels.corners_xy[level], levels.sizes_wh[level]
    local = windows_xyxy + 0.5 - np.tile(corner, 2)
    near = np.all(local[:, :2] >= -GAP, axis=1) & np.all(local[:, 2:] <= size + GAP, axis=1)
    scale = size / np.array(photo_wh)
    return local / np.tile(scale, 2) - 0.5, np.any(within, axis=1) & near
