"""One-pass detector: one network over the whole photo proposes squares around faces of any size.

A face is a peak of a score map and is placed by the outputs of the peak's cell, as in CenterNet (Zhou et al.,
"Objects as points", 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.geometry.boxes import nms
from facegeom.image.crop import OUTSIDE
from facegeom.image.pyramid import Pyramid
from facegeom.models.engine import Engine
from facegeom.models.score_fusion import ScoreFusion

FloatArray: TypeAlias = npt.NDArray[np.floating]
IntArray: TypeAlias = npt.NDArray[np.intp]

STRIDE = 8
"""Pixels of the canvas for one cell of the maps."""

GRAIN = 32
"""Sides of the network's input are multiples of this."""

TYPICAL_SIDE_PX = 40.0
"""Side of a face for which the network's log-size is 0."""

SMALLEST_PX = 16.0
"""A face of ``min_face`` is scaled to this size, or up to twice as large."""

SINGLE_LEVEL_PX = 256
"""A longer side above this gets another level at a third: the network finds faces of up to 200 pixels."""

LEVEL_FACTOR = 3
LARGEST_SCALE = 2.0


class Candidates(NamedTuple):
    """Candidate faces of one photo, best first.

    Attributes:
        box_xyxy: (K, 4) squares, pixels.
        score: (K,) in [0, 1].
    """

    box_xyxy: FloatArray
    score: FloatArray


class Detector(Protocol):
    """Proposes candidates: :class:`OnePassDetector`, or the cascade.

    Attributes:
        fusion: how its scores join the face network's.
    """

    fusion: ScoreFusion

    def __call__(self, images: Sequence[Pyramid], min_face_px: Sequence[float]) -> list[Candidates]:
        """Return the candidates of each image.

        Args:
            images: RGB.
            min_face_px: smallest face to look for in each, pixels of the image.
        """
        ...


@dataclass(frozen=True)
class Limits:
    """Thresholds of candidates.

    Attributes:
        score: of a peak, in [0, 1].
        clear_score: of a face of ``clear_times`` the size of ``min_face`` or larger.
        clear_times: see there.
        smallest: side, as a multiple of ``min_face``.
        overlap: intersection over union from which NMS drops the lower score.
    """

    score: float = 0.15
    clear_score: float = 0.2
    clear_times: float = 4.0
    smallest: float = 0.6
    overlap: float = 0.45


class OnePassDetector:
    """The one-pass detector with its pre- and post-processing.

    Args:
        engine: of the network ``onepass``.
        limits: thresholds.
    """

    fusion = ScoreFusion(weight=1.0, offset=-2.0)

    def __init__(self, engine: Engine, limits: Limits = Limits()) -> None:
        self.engine, self.limits = engine, limits

    def __call__(self, images: Sequence[Pyramid], min_face_px: Sequence[float]) -> list[Candidates]:
        """Return the candidates of each image; see :class:`Detector`."""
        return [self._detect(image, face) for image, face in zip(images, min_face_px, strict=True)]

    def _detect(self, image: Pyramid, min_face_px: float) -> Candidates:
        ratios, levels = [], []
        for scale in scales(max(image.size_wh), min_face_px):
            if scale > 1:
                size_wh = [round(side * scale) for side in image.size_wh]
                levels.append(image.level(1).resize(size_wh, Image.Resampling.BILINEAR))
                ratios.append(np.array(image.size_wh) / size_wh)
            else:
                levels.append(image.level(round(1 / scale)))
                ratios.append(np.full(2, float(round(1 / scale))))
        canvases = [to_canvas(level) for level in levels]
        maps = [self.engine(canvas[None]) for canvas in canvases]
        peaks = [
            _decode(score_map, placement_map, ratio, self.limits.score)
            for (score_map, placement_map), ratio in zip(maps, ratios, strict=True)
        ]
        squares, scores = (np.concatenate(parts) for parts in zip(*peaks, strict=True))
        times = (squares[:, 2] - squares[:, 0]) / min_face_px
        sure = (times < self.limits.clear_times) | (scores > self.limits.clear_score)
        kept = sure & (times >= self.limits.smallest)
        squares, scores = squares[kept], scores[kept]
        order = nms(squares, scores, self.limits.overlap)
        return Candidates(squares[order], scores[order])


def scales(longer_px: int, min_face_px: float) -> list[float]:
    """Return the scales of the levels: 1 over integers, which downscale fast, or above 1 for tiny faces."""
    scale = min(LARGEST_SCALE, SMALLEST_PX / min_face_px)
    found = [scale if scale > 1 else 1 / int(1 / scale)]
    while longer_px * found[-1] > SINGLE_LEVEL_PX:
        found.append(1 / max(1, round(LEVEL_FACTOR / found[-1])))
    return found


def to_canvas(level: Image.Image) -> npt.NDArray[np.uint8]:
    """Pad an image right and below with grey to a canvas (H, W, 3) whose sides are multiples of ``GRAIN``."""
    width, height = (-(-side // GRAIN) * GRAIN for side in level.size)
    canvas = np.full((height, width, 3), OUTSIDE, np.uint8)
    canvas[: level.height, : level.width] = np.asarray(level)
    return canvas


def _decode(
    score_map: FloatArray, placement_map: FloatArray, ratio: FloatArray, least: float
) -> tuple[FloatArray, FloatArray]:
    """Decode peaks of one level into squares (K, 4), pixels of the image, and scores (K,).

    Args:
        score_map: (1, h, w) in [0, 1].
        placement_map: (1, 3, h, w) offsets of the centre in sides of the square, and log-size.
        ratio: (2,) pixels of the image for one of the level.
        least: threshold of the score.
    """
    score = score_map[0]
    rows, columns = find_peaks(score, least)
    offsets = placement_map[0][:, rows, columns]
    side = TYPICAL_SIDE_PX * np.exp(offsets[2])
    centre = np.stack([columns, rows], axis=1) * STRIDE + (STRIDE - 1) / 2 + (offsets[:2] * side).T
    squares = np.concatenate([centre - side[:, None] / 2, centre + side[:, None] / 2], axis=1)
    return (squares + 0.5) * np.tile(ratio, 2) - 0.5, score[rows, columns]


def find_peaks(score: FloatArray, least: float) -> tuple[IntArray, IntArray]:
    """Return rows and columns of the cells above ``least`` that none of their eight neighbours exceeds."""
    height, width = score.shape
    around = np.zeros((height + 2, width + 2), score.dtype)
    around[1:-1, 1:-1] = score
    rows, columns = np.nonzero(score > least)
    corner = rows * (width + 2) + columns  # of the nine cells, in the bordered map
    nine = around.ravel()[corner[:, None] + (np.arange(3)[:, None] * (width + 2) + np.arange(3)).ravel()]
    top = nine[:, 4] >= nine.max(axis=1)
    return rows[top], columns[top]
