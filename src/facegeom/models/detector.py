"""One-pass detector: one network over the whole photo proposes squares around faces of any size.

A face is a peak of a score map and is placed by the outputs of the peak's cell, as in CenterNet (Zhou et al.,
"Objects as points", 2019). Where coarse maps hint at smaller faces, as in AutoFocus (Najibi et al., 2019),
patches are looked at closer, and if one shows a small face, the whole photo is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
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

PATCH_PX = 64
"""Side of the patches around hints."""

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
        looks_closer: whether it takes closer looks, and ``closest_px`` counts.
    """

    fusion: ScoreFusion
    looks_closer: bool

    def __call__(
        self,
        images: Sequence[Pyramid],
        min_face_px: Sequence[float],
        closest_px: Sequence[float] | None = None,
    ) -> list[Candidates]:
        """Return the candidates of each image.

        Args:
            images: RGB.
            min_face_px: smallest face to look for everywhere in each, pixels of the image.
            closest_px: smallest face to look for where something hints at smaller ones; none by default.
        """
        ...


@dataclass(frozen=True)
class Limits:
    """Thresholds of candidates.

    Attributes:
        score: of a peak, in [0, 1].
        clear_score: of a face beside a clear one, and of one of ``clear_times`` the size of ``min_face`` or
            larger.
        clear_times: see there.
        smallest: side, as a multiple of ``min_face``.
        overlap: intersection over union from which NMS drops the lower score.
        hints: scores of a hint at smaller faces and of a small face on the patch around it, for photos
            without a clear face, with small ones, and with a large one: the background of a portrait is not
            worth another look for less.
        clear: score of a clear face.
        large_px: side of a large face, pixels of the finest level.
        hint_px: side of a hint at most, pixels of the level: what seems larger may be small, with its head.
        shown_px: side of the face on the patch at most, pixels of the level that hinted.
        patches: number of hints that are looked at.
        closer_times: side of faces from closer looks at most, as a multiple of the smallest face there.
    """

    score: float = 0.15
    clear_score: float = 0.2
    clear_times: float = 4.0
    smallest: float = 0.6
    overlap: float = 0.45
    hints: tuple[tuple[float, float], ...] = ((0.07, 0.25), (0.1, 0.35), (0.25, 0.45))
    clear: float = 0.5
    large_px: float = 40.0
    hint_px: float = 32.0
    shown_px: float = 18.0
    patches: int = 8
    closer_times: float = 4.0


class OnePassDetector:
    """The one-pass detector with its pre- and post-processing.

    Args:
        engine: of the network ``onepass``.
        limits: thresholds.
        fusion: how its scores join the face network's; by default as for the networks of the research set.
    """

    fusion = ScoreFusion(weight=1.0, offset=0.4)
    looks_closer = True

    def __init__(self, engine: Engine, limits: Limits = Limits(), fusion: ScoreFusion | None = None) -> None:
        self.engine, self.limits = engine, limits
        self.fusion = fusion or type(self).fusion

    def __call__(
        self,
        images: Sequence[Pyramid],
        min_face_px: Sequence[float],
        closest_px: Sequence[float] | None = None,
    ) -> list[Candidates]:
        """Return the candidates of each image; see :class:`Detector`."""
        return list(map(self._detect, images, min_face_px, closest_px or min_face_px))

    def _detect(self, image: Pyramid, min_px: float, closest_px: float) -> Candidates:
        limits, levels = self.limits, scales(max(image.size_wh), min_px)
        factors = closer_factors(round(1 / levels[0]), closest_px)
        least = limits.hints[0][0] if factors else limits.score
        peaks = [self._look(image, scale, least) for scale in levels]
        limits_px = [(min_px, inf)] * len(peaks)
        largest_px = max(sides(box[score > limits.clear]).max(initial=0) for box, score in peaks)
        if factors:
            hints = limits.hints[int(largest_px > 0) + int(largest_px * levels[0] > limits.large_px)]
        coarser = peaks[0]
        for factor, closer in pairwise([round(1 / levels[0]), *factors]):
            if not self._shows_smaller(image, coarser, factor, closer, *hints):
                break
            coarser = self._look(image, 1 / closer, least)
            least_px = max(closest_px, SMALLEST_PX * closer)
            peaks.append(coarser)
            limits_px.append((least_px, limits.closer_times * least_px))
        squares, scores = (np.concatenate(parts) for parts in zip(*peaks, strict=True))
        least_px, most_px, side = min_px, inf, sides(squares)
        if len(peaks) > len(levels):
            least_px, most_px = np.repeat(limits_px, [len(found.score) for found in peaks], axis=0).T
        kept = (scores > limits.score) & (side >= limits.smallest * least_px) & (side < most_px)
        clear = scores > limits.clear_score
        kept &= clear if largest_px > 0 else clear | (side < limits.clear_times * least_px)
        squares, scores = squares[kept], scores[kept]
        order = nms(squares, scores, limits.overlap)
        return Candidates(squares[order], scores[order])

    def _look(self, image: Pyramid, scale: float, least: float) -> Candidates:
        """Return the peaks of one level above a score."""
        if scale > 1:
            size_wh = [round(side * scale) for side in image.size_wh]
            level = image.level(1).resize(size_wh, Image.Resampling.BILINEAR)
            ratio = np.array(image.size_wh) / size_wh
        else:
            level, ratio = image.level(round(1 / scale)), np.full(2, float(round(1 / scale)))
        score_map, placement_map = self.engine(to_canvas(level)[None])
        return _decode(score_map, placement_map, ratio, least)

    def _shows_smaller(
        self, image: Pyramid, peaks: Candidates, factor: int, closer: int, hint: float, shown: float
    ) -> bool:
        """Return whether a patch at 1/``closer`` around a hint of the level shows a small face."""
        limits, (squares, scores) = self.limits, peaks
        centres, side = (squares[:, :2] + squares[:, 2:]) / 2, sides(squares) / factor
        clear = squares[(scores > limits.clear) & (side >= limits.hint_px)]
        inside = np.all((centres[:, None] >= clear[:, :2]) & (centres[:, None] <= clear[:, 2:]), axis=2)
        small = (scores > hint) & (side < limits.hint_px)
        rows = np.flatnonzero(small & ~np.any(inside, axis=1))
        if not len(rows):
            return False
        best = rows[np.argsort(-scores[rows], kind="stable")[: limits.patches]]
        score_map, placement_map = self.engine(np.stack([_patch(image, xy, closer) for xy in centres[best]]))
        shown_px = TYPICAL_SIDE_PX * np.exp(placement_map[:, 2]) * (closer / factor)
        return bool(((score_map > shown) & (shown_px < limits.shown_px)).any())


def sides(squares_xyxy: FloatArray) -> FloatArray:
    """Return the sides (K,) of squares (K, 4)."""
    return squares_xyxy[:, 2] - squares_xyxy[:, 0]


def scales(longer_px: int, min_face_px: float) -> list[float]:
    """Return the scales of the levels: 1 over integers, which downscale fast, or above 1 for tiny faces."""
    scale = min(LARGEST_SCALE, SMALLEST_PX / min_face_px)
    found = [scale if scale > 1 else 1 / int(1 / scale)]
    while longer_px * found[-1] > SINGLE_LEVEL_PX:
        found.append(1 / max(1, round(LEVEL_FACTOR / found[-1])))
    return found


def closer_factors(factor: int, closest_px: float) -> list[int]:
    """Return the downscale factors of closer looks, about halved until faces of ``closest_px`` are seen."""
    factors, last = [factor], max(1, int(closest_px / SMALLEST_PX))
    while factors[-1] > last:
        factors.append(max(last, factors[-1] // 2))
    return factors[1:]


def _patch(image: Pyramid, centre_xy: FloatArray, factor: int) -> npt.NDArray[np.uint8]:
    """Cut a square of ``PATCH_PX`` pixels of a level around a point of the image, grey beyond its edges."""
    size = [-(-side // factor) for side in image.size_wh]
    left, top = (
        int(min(max(centre / factor - PATCH_PX / 2, 0), max(side - PATCH_PX, 0)))
        for centre, side in zip(centre_xy.tolist(), size, strict=True)
    )
    box = (left, top, min(left + PATCH_PX, size[0]), min(top + PATCH_PX, size[1]))
    patch = np.full((PATCH_PX, PATCH_PX, 3), OUTSIDE, np.uint8)
    patch[: box[3] - top, : box[2] - left] = np.asarray(image.part(factor, box))
    return patch


def to_canvas(level: Image.Image) -> npt.NDArray[np.uint8]:
    """Pad an image right and below with grey to a canvas (H, W, 3) whose sides are multiples of ``GRAIN``."""
    width, height = (-(-side // GRAIN) * GRAIN for side in level.size)
    pixels = np.asarray(level)
    if level.size == (width, height):
        return pixels
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[: level.height, : level.width] = pixels
    canvas[level.height :] = canvas[:, level.width :] = OUTSIDE
    return canvas


def _decode(score_map: FloatArray, placement_map: FloatArray, ratio: FloatArray, least: float) -> Candidates:
    """Decode peaks of one level into squares, pixels of the image, and scores.

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
    return Candidates((squares + 0.5) * np.tile(ratio, 2) - 0.5, score[rows, columns])


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
