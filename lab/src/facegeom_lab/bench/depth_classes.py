"""Stage I against known depth: shares of the face's pixels whose class is right, at 160 x 160."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.analyzer import FaceAnalyzer
from facegeom.depth.depth_map import SIZE_PX
from facegeom.depth.two_stage import DepthPredictor
from facegeom.geometry.transforms import apply
from facegeom.image import reading
from facegeom.image.rotated_crop import cut_upright
from facegeom_lab.bench.depth_errors import LEAST_COVER, sampled
from facegeom_lab.bench.depth_truth import KnownDepth
from facegeom_lab.datasets.depth_classes import to_classes

FloatArray = npt.NDArray[np.floating]


def class_shares(analyzer: FaceAnalyzer, truth: KnownDepth) -> tuple[float, float] | None:
    """Top-1 and top-3 over the face's pixels of the found crop; None where the face is not found."""
    predictor = analyzer.depth
    if not isinstance(predictor, DepthPredictor):
        raise TypeError("classes are those of the depth networks: FaceAnalyzer(depth='network')")
    picture = reading.read(truth.path)
    for face in analyzer(picture, truth.fov_deg):
        if face.depth is not None and sampled(face, truth.pixels_xy)[1].mean() >= LEAST_COVER:
            square = face.depth.image_from_depth
            logits = predictor.first(cut_upright(picture, square[None], SIZE_PX))[2][0]
            return shares(logits, classes_in_crop(truth, square))
    return None


def classes_in_crop(truth: KnownDepth, square: FloatArray) -> npt.NDArray[np.int64]:
    """(160, 160) the known classes at a crop's pixels, each of the photo's nearest pixel; 0: no face."""
    low = np.floor(truth.pixels_xy.min(axis=0)).astype(int) - 1
    width, height = (np.ceil(truth.pixels_xy.max(axis=0)).astype(int) + 2 - low).tolist()
    behind, face = np.zeros((height, width)), np.zeros((height, width), bool)
    column, row = np.rint(truth.pixels_xy - low).astype(int).T
    behind[row, column], face[row, column] = truth.behind_mm, True
    grid = np.stack(np.meshgrid(np.arange(SIZE_PX), np.arange(SIZE_PX)), axis=-1).reshape(-1, 2)
    x, y = np.rint(apply(square, grid.astype(float)) - low).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    return to_classes(behind[y, x], face[y, x] & inside).reshape(SIZE_PX, SIZE_PX)


def shares(logits: FloatArray, classes: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Top-1 and top-3 of logits (C, 80, 80), interpolated to 160 x 160, over the pixels of the face."""
    wide = np.stack([_enlarged(layer) for layer in logits])
    best = np.argpartition(wide, -3, axis=0)[-3:]
    face = classes > 0
    return float((wide.argmax(axis=0) == classes)[face].mean()), float(
        (best == classes).any(axis=0)[face].mean()
    )


def _enlarged(layer: FloatArray) -> FloatArray:
    picture = Image.fromarray(layer.astype(np.float32))
    return np.asarray(picture.resize((SIZE_PX, SIZE_PX), Image.Resampling.BILINEAR))
