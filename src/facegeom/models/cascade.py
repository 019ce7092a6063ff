"""Cascade detector: P-Net over a packed image pyramid, then R-Net, give candidate squares around faces.

Zhang et al., "Joint face detection and alignment using multi-task cascaded convolutional networks", 2016. The
paper's third stage is the face network's or FPNet's part here. The pyramid's levels are packed into one
canvas, so that one call of P-Net sees all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.geometry.boxes import nms, square
from facegeom.image.crop import OUTSIDE, crop_squares
from facegeom.image.pyramid import Pyramid
from facegeom.models.detector import Candidates
from facegeom.models.engine import Engine
from facegeom.models.score_fusion import ScoreFusion

FloatArray: TypeAlias = npt.NDArray[np.floating]
IntArray: TypeAlias = npt.NDArray[np.intp]

WINDOW = 12
STRIDE = 2
REFINE_PX = 24
SMALLEST_IN_WINDOW = 9.3
"""Smallest face, pixels of the first level, that P-Net still finds (training goes down to 8.4)."""

FACTOR = 0.6
"""Ratio of neighbouring levels' sizes. P-Net finds faces of 0.74 to 1.35 of its window: the levels meet."""

GAP = 4
"""Grey pixels between levels and around the canvas: a window may reach so far beyond its level's edge."""


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of both stages.

    Attributes:
        propose: least score of a window of P-Net.
        propose_overlap: intersection over union from which NMS drops the lower score.
        propose_most: windows that P-Net passes on at most.
        refine: least score of a window of R-Net.
        refine_overlap: as ``propose_overlap``.
        smallest_px: size of a face of ``min_face`` on the pyramid's first level.
    """

    propose: float = 0.12
    propose_overlap: float = 0.5
    propose_most: int = 48
    refine: float = 0.4
    refine_overlap: float = 0.3
    smallest_px: float = SMALLEST_IN_WINDOW


class CascadeDetector:
    """P-Net and R-Net with their pre- and post-processing.

    Args:
        pnet: P-Net's engine.
        rnet: R-Net's engine.
        thresholds: of the two stages.
    """

    fusion = ScoreFusion()
    looks_closer = False

    def __init__(self, pnet: Engine, rnet: Engine, thresholds: Thresholds = Thresholds()) -> None:
        self.pnet, self.rnet, self.thresholds = pnet, rnet, thresholds

    def __call__(
        self,
        images: Sequence[Pyramid],
        min_face_px: Sequence[float],
        closest_px: Sequence[float] | None = None,
    ) -> list[Candidates]:
        """Return the candidates of each image; see :class:`facegeom.models.detector.Detector`."""
        scales = [min(1.0, self.thresholds.smallest_px / face) for face in min_face_px]
        small = [_reduce(image, scale) for image, scale in zip(images, scales, strict=True)]
        proposed = [self._propose(image, scale) for image, scale in zip(small, scales, strict=True)]
        return self._refine(small, proposed)

    def _propose(self, image: "_Reduced", scale: float) -> FloatArray:
        """Run P-Net; return its best squares (K, 4), pixels of the full image."""
        plan = plan_pyramid(*image.full_wh, scale, WINDOW)
        probability, offsets = self.pnet(paint_pyramid(image.level, plan)[None])
        row, column = np.nonzero(probability[0] > self.thresholds.propose)
        corner = np.stack([column, row], axis=1) * STRIDE - 0.5
        boxes = np.tile(corner, 2) + (0, 0, WINDOW, WINDOW) + WINDOW * offsets[0][:, row, column].T
        windows, inside = windows_to_image(
            np.concatenate([corner, corner + WINDOW], axis=1), plan, image.full_wh
        )
        squares = _apply_offsets(boxes, corner, windows)[inside]
        scores, limits = probability[0, row, column][inside], self.thresholds
        order = np.argsort(-scores)[: 6 * limits.propose_most]
        kept = order[nms(squares[order], scores[order], limits.propose_overlap)]
        return squares[kept[: limits.propose_most]]

    def _refine(self, images: Sequence["_Reduced"], proposed: Sequence[FloatArray]) -> list[Candidates]:
        """Run R-Net on all images' squares together."""
        counts = [len(squares) for squares in proposed]
        if not sum(counts):
            return [Candidates(np.zeros((0, 4)), np.zeros(0)) for _ in images]
        windows = [
            crop_squares(image.level, (squares + 0.5) / image.factor - 0.5, REFINE_PX)
            for image, squares in zip(images, proposed, strict=True)
        ]
        scores, offsets = self.rnet(np.concatenate(windows))
        every = np.concatenate(proposed)
        every = every + offsets * (every[:, 2:3] - every[:, 0:1])
        ends = np.cumsum(counts)[:-1]
        return [self._keep(*part) for part in zip(np.split(every, ends), np.split(scores, ends), strict=True)]

    def _keep(self, squares: FloatArray, scores: FloatArray) -> Candidates:
        good = scores > self.thresholds.refine
        squares, scores = square(squares[good]), scores[good]
        order = nms(squares, scores, self.thresholds.refine_overlap)
        return Candidates(squares[order], scores[order])


@dataclass(frozen=True)
class _Reduced:
    """An image at about twice the resolution of the pyramid's first level: enough for both networks."""

    level: Image.Image
    full_wh: tuple[int, int]
    factor: int


def _reduce(image: Pyramid, scale: float) -> _Reduced:
    factor = max(1, round(1 / (2 * scale)))
    return _Reduced(image.level(factor), image.size_wh, factor)


def _apply_offsets(boxes: FloatArray, corner: FloatArray, windows: FloatArray) -> FloatArray:
    """Move and scale windows (K, 4) of the image as the boxes (K, 4) are moved and scaled on the canvas."""
    scale = (windows[:, 2:] - windows[:, :2]) / WINDOW
    moved = windows[:, :2] + (boxes[:, :2] - corner) * scale
    return square(np.concatenate([moved, moved + (boxes[:, 2:] - boxes[:, :2]) * scale], axis=1))


@dataclass(frozen=True)
class PyramidPlan:
    """Where the levels lie on the canvas.

    Attributes:
        sizes_wh: (L, 2) of the levels, largest first.
        corners_xy: (L, 2) of their top left pixels.
        canvas_wh: size of the canvas.
    """

    sizes_wh: IntArray
    corners_xy: IntArray
    canvas_wh: tuple[int, int]


def plan_pyramid(width: int, height: int, scale: float, smallest: int) -> PyramidPlan:
    """Lay out the levels of an image: the first at ``scale``, each next one :data:`FACTOR` of it.

    The second lies right of the first, the third below the second, the fourth right of the third, and so
    on: with a factor below 0.618 everything fits beside the first level's height.
    """
    sizes: list[IntArray] = []
    corners: list[IntArray] = []
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
    return PyramidPlan(np.array(sizes), np.array(corners), (int(extent[0]), int(extent[1])))


def paint_pyramid(image: Image.Image, plan: PyramidPlan) -> npt.NDArray[np.uint8]:
    """Paint the canvas (H, W, 3): each level is made from the one before, antialiased."""
    canvas = np.full((plan.canvas_wh[1], plan.canvas_wh[0], 3), OUTSIDE, np.uint8)
    for (width, height), (left, top) in zip(plan.sizes_wh.tolist(), plan.corners_xy.tolist(), strict=True):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        canvas[top : top + height, left : left + width] = np.asarray(image)
    return canvas


def windows_to_image(
    windows_xyxy: FloatArray, plan: PyramidPlan, image_wh: tuple[int, int]
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Map windows (K, 4) on the canvas to the image; also return which of them belong to one level (K,)."""
    centre = (windows_xyxy[:, None, :2] + windows_xyxy[:, None, 2:]) / 2 + 0.5
    ends = plan.corners_xy + plan.sizes_wh
    within = np.all((centre >= plan.corners_xy) & (centre <= ends), axis=2)
    level = within.argmax(axis=1)
    corner, size = plan.corners_xy[level], plan.sizes_wh[level]
    local = windows_xyxy + 0.5 - np.tile(corner, 2)
    near = np.all(local[:, :2] >= -GAP, axis=1) & np.all(local[:, 2:] <= size + GAP, axis=1)
    scale = size / np.array(image_wh)
    return local / np.tile(scale, 2) - 0.5, np.any(within, axis=1) & near
