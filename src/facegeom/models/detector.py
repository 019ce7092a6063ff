"""One network over the whole photo: candidate squares around faces of any size.

A face is the peak of a map of scores and is placed by the cell of the peak, as in CenterNet (Zhou et al.,
"Objects as points", 2019).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.geometry.boxes import nms
from facegeom.image.crop import OUTSIDE
from facegeom.image.pyramid import Levels
from facegeom.models.engine import Engine
from facegeom.models.score_fusion import Evidence

FloatArray = npt.NDArray[np.floating]
BILINEAR = Image.Resampling.BILINEAR

STRIDE = 8
GRAIN = 32
"""Sides of what the network takes are multiples of this."""

TYPICAL_SIDE_PX = 40.0
"""Side of a face for which the network answers 0."""

SMALLEST_PX = 16.0
"""The smallest face wanted is shown to the network at this size, or up to twice as large."""

SINGLE_LEVEL_PX = 256
"""A longer side above this gets a second look at a third: the network finds faces up to some 200 pixels."""

LEVEL_FACTOR = 3
LARGEST_SCALE = 2.0


@dataclass(frozen=True)
class Limits:
    """What a candidate needs.

    Attributes:
        score: of a peak, in [0, 1].
        clear_score: of a face that is ``clear_times`` the smallest one wanted, or larger: it is seen well.
        clear_times: see there.
        smallest: side, in sides of the smallest face wanted.
        overlap: over the union, at which the better square wins.
    """

    score: float = 0.15
    clear_score: float = 0.2
    clear_times: float = 4.0
    smallest: float = 0.6
    overlap: float = 0.45


class OnePass:
    """Candidate squares of photos.

    Args:
        engine: of the network ``onepass``.
        limits: of score and overlap.
    """

    evidence = Evidence(weight=1.0, offset=-2.0)

    def __init__(self, engine: Engine, limits: Limits = Limits()) -> None:
        self.engine, self.limits = engine, limits

    def __call__(
        self, pictures: Sequence[Image.Image | Levels], min_face_px: Sequence[float]
    ) -> list[tuple[FloatArray, FloatArray]]:
        """Candidates of each photo: squares (K, 4) in its pixels and scores (K,), best first.

        Args:
            pictures: RGB.
            min_face_px: smallest face to look for in each, pixels.
        """
        return [self._find(Levels.of(photo), face) for photo, face in zip(pictures, min_face_px, strict=True)]

    def _find(self, photo: Levels, min_face_px: float) -> tuple[FloatArray, FloatArray]:
        found = [self._look(*level) for level in _levels(photo, min_face_px)]
        squares, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = self._wanted((squares[:, 2] - squares[:, 0]) / min_face_px, scores)
        squares, scores = squares[kept], scores[kept]
        order = nms(squares, scores, self.limits.overlap)
        return squares[order], scores[order]

    def _wanted(self, times: FloatArray, scores: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether peaks so many times the smallest face wanted are large and, if seen well, sure enough."""
        sure = (times < self.limits.clear_times) | (scores > self.limits.clear_score)
        return np.asarray(sure & (times >= self.limits.smallest))

    def _look(self, level: Image.Image, ratio: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Peaks in a level of the photo, whose pixels are ``ratio`` (2,) of the photo's."""
        score, places = (answer[0] for answer in self.engine(painted(level)[None]))
        rows, columns = _peaks(score, self.limits.score)
        squares = _squares(rows, columns, places[:, rows, columns])
        return (squares + 0.5) * np.tile(ratio, 2) - 0.5, score[rows, columns]


def _scales(longer_px: int, min_face_px: float) -> list[float]:
    """Scales at which to look: 1 over whole numbers, which shrink fast, or above 1 for tiny faces."""
    scale = min(LARGEST_SCALE, SMALLEST_PX / min_face_px)
    scales = [scale if scale > 1 else 1 / int(1 / scale)]
    while longer_px * scales[-1] > SINGLE_LEVEL_PX:
        scales.append(1 / max(1, round(LEVEL_FACTOR / scales[-1])))
    return scales


def _levels(photo: Levels, min_face_px: float) -> Iterator[tuple[Image.Image, FloatArray]]:
    """The photo at each scale, and its pixels in one there (2,)."""
    width, height = photo.size
    for scale in _scales(max(width, height), min_face_px):
        if scale > 1:
            larger = photo.whole.resize((round(width * scale), round(height * scale)), BILINEAR)
            yield larger, np.array(photo.size) / larger.size
        else:
            factor = round(1 / scale)
            yield photo.at(factor), np.full(2, float(factor))


def painted(level: Image.Image) -> npt.NDArray[np.uint8]:
    """The picture in the top left of a canvas (H, W, 3) of whole grains."""
    width, height = (-(-side // GRAIN) * GRAIN for side in level.size)
    canvas = np.full((height, width, 3), OUTSIDE, np.uint8)
    canvas[: level.height, : level.width] = np.asarray(level)
    return canvas


def _peaks(score: FloatArray, least: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and columns of the cells above ``least`` that none of their eight neighbours exceeds."""
    height, width = score.shape
    around = np.zeros((height + 2, width + 2), score.dtype)
    around[1:-1, 1:-1] = score
    rows, columns = np.nonzero(score > least)
    corner = rows * (width + 2) + columns  # of the nine cells, in the bordered map
    nine = around.ravel()[corner[:, None] + (np.arange(3)[:, None] * (width + 2) + np.arange(3)).ravel()]
    top = nine[:, 4] >= nine.max(axis=1)
    return rows[top], columns[top]


def _squares(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], places: FloatArray) -> FloatArray:
    """(K, 4) squares in pixels of the canvas, from the raw places (3, K) of the cells."""
    side = TYPICAL_SIDE_PX * np.exp(places[2])
    middle = np.stack([columns, rows], axis=1) * STRIDE + (STRIDE - 1) / 2 + (places[:2] * side).T
    return np.concatenate([middle - side[:, None] / 2, middle + side[:, None] / 2], axis=1)
