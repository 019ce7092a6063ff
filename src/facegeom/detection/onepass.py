"""One network over the whole photo: candidate squares around faces of any size.

A face is the peak of a map of scores and is placed by the cell of the peak, as in CenterNet (Zhou et al.,
"Objects as points", 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.crop import OUTSIDE
from facegeom.detection.evidence import Evidence
from facegeom.engine import Engine
from facegeom.geometry.boxes import nms

FloatArray = npt.NDArray[np.floating]

STRIDE = 8
GRAIN = 32
"""Sides of what the network takes are multiples of this."""

TYPICAL_SIDE_PX = 40.0
"""Side of a face for which the network answers 0."""

SMALLEST_PX = 20.0
"""The smallest face wanted is shown to the network at this size or a little above."""

SINGLE_LEVEL_PX = 256
"""A longer side above this gets a second look at a third: the network finds faces up to some 200 pixels."""

LEVEL_FACTOR = 3
LARGEST_SCALE = 2.0


@dataclass(frozen=True)
class Limits:
    """Score that a peak needs, and the overlap (over the union) at which the better square wins."""

    score: float = 0.08
    overlap: float = 0.45


class OnePass:
    """Candidate squares of photos.

    Args:
        engine: of the network ``onepass``.
        limits: of score and overlap.
    """

    evidence = Evidence(weight=1.0, offset=-1.25)

    def __init__(self, engine: Engine, limits: Limits = Limits()) -> None:
        self.engine, self.limits = engine, limits

    def __call__(
        self, pictures: Sequence[Image.Image], min_face_px: Sequence[float]
    ) -> list[tuple[FloatArray, FloatArray]]:
        """Candidates of each photo: squares (K, 4) in its pixels and scores (K,), best first.

        Args:
            pictures: RGB.
            min_face_px: smallest face to look for in each, pixels.
        """
        return [self._find(photo, face) for photo, face in zip(pictures, min_face_px, strict=True)]

    def _find(self, photo: Image.Image, min_face_px: float) -> tuple[FloatArray, FloatArray]:
        found = [self._look(photo, longer_px) for longer_px in _levels(photo.size, min_face_px)]
        squares, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = nms(squares, scores, self.limits.overlap)
        return squares[order], scores[order]

    def _look(self, photo: Image.Image, longer_px: int) -> tuple[FloatArray, FloatArray]:
        """Peaks in the photo as seen with a longer side of so many pixels."""
        canvas, seen_wh = _painted(photo, longer_px)
        score, places = (answer[0] for answer in self.engine(canvas[None]))
        rows, columns = _peaks(score, self.limits.score)
        squares = _squares(rows, columns, places[:, rows, columns])
        ratio = np.array(photo.size) / seen_wh
        return (squares + 0.5) * np.tile(ratio, 2) - 0.5, score[rows, columns]


def _levels(photo_wh: tuple[int, int], min_face_px: float) -> list[int]:
    """Longer sides, whole grains, at which to look; the first shows the smallest face large enough."""
    scale = min(SMALLEST_PX / min_face_px, LARGEST_SCALE)
    longer = GRAIN * ceil(max(photo_wh) * scale / GRAIN - 1e-6)
    levels = [longer]
    while levels[-1] > SINGLE_LEVEL_PX:
        levels.append(max(GRAIN, GRAIN * round(levels[-1] / LEVEL_FACTOR / GRAIN)))
    return levels


def _painted(photo: Image.Image, longer_px: int) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
    """The photo in the top left of a canvas (H, W, 3) of whole grains, and its size there."""
    scale = longer_px / max(photo.size)
    factor = max(1, int(1 / (1.4 * scale)))
    small = photo.reduce(factor) if factor > 1 else photo
    width, height = (max(1, round(side * scale)) for side in photo.size)
    canvas = np.full((*(-(-side // GRAIN) * GRAIN for side in (height, width)), 3), OUTSIDE, np.uint8)
    canvas[:height, :width] = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))
    return canvas, (width, height)


def _peaks(score: FloatArray, least: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and columns of the cells above ``least`` that none of their eight neighbours exceeds."""
    rows, columns = np.nonzero(score > least)
    around = np.pad(score, 1)
    neighbours = [around[rows + down, columns + right] for down in range(3) for right in range(3)]
    top = score[rows, columns] >= np.max(neighbours, axis=0) if len(rows) else np.zeros(0, bool)
    return rows[top], columns[top]


def _squares(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], places: FloatArray) -> FloatArray:
    """(K, 4) squares in pixels of the canvas, from the raw places (3, K) of the cells."""
    side = TYPICAL_SIDE_PX * np.exp(places[2])
    middle = np.stack([columns, rows], axis=1) * STRIDE + (STRIDE - 1) / 2 + (places[:2] * side).T
    return np.concatenate([middle - side[:, None] / 2, middle + side[:, None] / 2], axis=1)
