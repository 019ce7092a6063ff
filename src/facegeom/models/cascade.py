"""P-Net over the packed pyramid, then R-Net: candidate squares around faces.

Zhang et al., "Joint face detection and alignment using multi-task cascaded convolutional networks", 2016. The
third stage of the paper is the face network's part here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.geometry.boxes import nms, square
from facegeom.image.crop import cut
from facegeom.image.pyramid import Levels
from facegeom.models import packed_pyramid
from facegeom.models.engine import Engine
from facegeom.models.score_fusion import Evidence

FloatArray = npt.NDArray[np.floating]

WINDOW = 12
STRIDE = 2
REFINE_PX = 24
SMALLEST_IN_WINDOW = 9.3
"""Smallest face, pixels of the first level, that P-Net still takes (training goes down to 8.4)."""


@dataclass(frozen=True)
class Thresholds:
    """Scores that a window needs, overlaps at which the better window wins, and how small faces become.

    ``smallest_px`` is the size that the smallest face has on the pyramid's first level.
    """

    propose: float = 0.12
    propose_overlap: float = 0.5
    propose_most: int = 48
    refine: float = 0.4
    refine_overlap: float = 0.3
    smallest_px: float = SMALLEST_IN_WINDOW


class Cascade:
    """Candidate squares of photos.

    Args:
        pnet: P-Net's engine.
        rnet: R-Net's engine.
        thresholds: of the two stages.
    """

    evidence = Evidence()

    def __init__(self, pnet: Engine, rnet: Engine, thresholds: Thresholds = Thresholds()) -> None:
        self.pnet, self.rnet, self.thresholds = pnet, rnet, thresholds

    def __call__(
        self, pictures: Sequence[Image.Image | Levels], min_face_px: Sequence[float]
    ) -> list[tuple[FloatArray, FloatArray]]:
        """Candidates of each photo: squares (K, 4) in its pixels and scores (K,), best first.

        Args:
            pictures: RGB.
            min_face_px: smallest face to look for in each, pixels.
        """
        scales = [min(1.0, self.thresholds.smallest_px / face) for face in min_face_px]
        small = [_reduced(Levels.of(photo), scale) for photo, scale in zip(pictures, scales, strict=True)]
        proposed = [self._propose(photo, scale) for photo, scale in zip(small, scales, strict=True)]
        return self._refine(small, proposed)

    def _propose(self, photo: "_Reduced", scale: float) -> FloatArray:
        levels = packed_pyramid.plan(*photo.full_wh, scale, WINDOW)
        probability, offsets = self.pnet(packed_pyramid.paint(photo.picture, levels)[None])
        row, column = np.nonzero(probability[0] > self.thresholds.propose)
        corner = np.stack([column, row], axis=1) * STRIDE - 0.5
        boxes = np.tile(corner, 2) + (0, 0, WINDOW, WINDOW) + WINDOW * offsets[0][:, row, column].T
        windows, whole = packed_pyramid.windows_to_photo(
            np.concatenate([corner, corner + WINDOW], axis=1), levels, photo.full_wh
        )
        squares = _follow(boxes, corner, windows)[whole]
        return _best(squares, probability[0, row, column][whole], self.thresholds)

    def _refine(
        self, photos: Sequence["_Reduced"], proposed: Sequence[FloatArray]
    ) -> list[tuple[FloatArray, FloatArray]]:
        counts = [len(squares) for squares in proposed]
        if not sum(counts):
            return [(np.zeros((0, 4)), np.zeros(0)) for _ in photos]
        windows = [
            cut(photo.picture, photo.shrink(squares), REFINE_PX)
            for photo, squares in zip(photos, proposed, strict=True)
        ]
        scores, offsets = self.rnet(np.concatenate(windows))
        every = np.concatenate(proposed)
        every = every + offsets * (every[:, 2:3] - every[:, 0:1])
        ends = np.cumsum(counts)[:-1]
        return [self._keep(*part) for part in zip(np.split(every, ends), np.split(scores, ends), strict=True)]

    def _keep(self, squares: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        good = scores > self.thresholds.refine
        squares, scores = square(squares[good]), scores[good]
        order = nms(squares, scores, self.thresholds.refine_overlap)
        return squares[order], scores[order]


@dataclass(frozen=True)
class _Reduced:
    """A photo at about twice the resolution of the pyramid's first level: enough for both networks."""

    picture: Image.Image
    full_wh: tuple[int, int]
    factor: int

    def shrink(self, boxes_xyxy: FloatArray) -> FloatArray:
        return np.asarray((boxes_xyxy + 0.5) / self.factor - 0.5)


def _reduced(photo: Levels, scale: float) -> _Reduced:
    factor = max(1, round(1 / (2 * scale)))
    return _Reduced(photo.at(factor), photo.size, factor)


def _follow(boxes: FloatArray, corner: FloatArray, windows: FloatArray) -> FloatArray:
    """Squares of the photo: the windows (K, 4), moved and scaled as the boxes (K, 4) are on the canvas."""
    scale = (windows[:, 2:] - windows[:, :2]) / WINDOW
    moved = windows[:, :2] + (boxes[:, :2] - corner) * scale
    return square(np.concatenate([moved, moved + (boxes[:, 2:] - boxes[:, :2]) * scale], axis=1))


def _best(squares: FloatArray, scores: FloatArray, limits: Thresholds) -> FloatArray:
    order = np.argsort(-scores)[: 6 * limits.propose_most]
    kept = order[nms(squares[order], scores[order], limits.propose_overlap)]
    return squares[kept[: limits.propose_most]]
