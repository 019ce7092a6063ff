"""Errors of depth maps and of stage I's depth classes against ground truth."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.analyzer import FaceAnalyzer
from facegeom.depth.depth_map import SIZE_PX, DepthMap
from facegeom.depth.two_stage import NetworkDepth
from facegeom.geometry.camera import pinhole_of_mesh
from facegeom.geometry.transforms import apply, invert
from facegeom.image import reading
from facegeom.image.rotated_crop import crop_rotated
from facegeom.results import Face, Faces
from facegeom_lab.bench.depth.truth import KnownDepth
from facegeom_lab.datasets.depth_classes import to_classes

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

NOSE_TIP = 4
MIN_COVERAGE = 0.3
"""A detected face that covers a smaller fraction of the true face is another face."""


@dataclass(frozen=True)
class DepthError:
    """Depth errors of one face, millimetres of a head of average size unless noted.

    Attributes:
        aligned_mm: mean absolute error after subtracting the mean difference.
        nose_mm: mean absolute error of depths relative to the nose tip.
        coverage: fraction of the true face's pixels that the depth map covers.
        own_mm: as ``aligned_mm``, in millimetres of the head itself.
    """

    aligned_mm: float
    nose_mm: float
    coverage: float
    own_mm: float


def depth_error(faces: Faces, truth: KnownDepth) -> DepthError | None:
    """Return the error of the face that covers the true one best; None if no face covers it."""
    samples = [(*sample_depth(face, truth.pixels_xy), face) for face in faces]
    samples = [each for each in samples if each[1].mean() >= MIN_COVERAGE]
    if not samples:
        return None
    along, covered, face = max(samples, key=lambda each: each[1].mean())
    behind = along - nose_distance(face)
    nose = float(np.abs(behind - truth.behind_mm)[covered].mean())
    own = float(_aligned_error(behind[covered], truth.behind_mm[covered] * truth.enlarged))
    aligned = float(_aligned_error(behind[covered], truth.behind_mm[covered]))
    return DepthError(aligned, nose, float(covered.mean()), own)


def _aligned_error(predicted: FloatArray, truth: FloatArray) -> float:
    error = predicted - truth
    return float(np.abs(error - error.mean()).mean())


def sample_depth(face: Face, pixels_xy: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Sample a face's depth map along the line of sight to the head.

    Args:
        face: with a depth map.
        pixels_xy: (K, 2) pixels of the photo.

    Returns:
        (K,) distances along the line of sight, millimetres, and (K,) where the map has depth.
    """
    depth = _depth_map(face)
    position = apply(invert(depth.image_from_depth), pixels_xy)
    column, row = np.rint(position).astype(int).T
    height, width = depth.z_mm.shape
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    z = np.where(inside, depth.z_mm[row.clip(0, height - 1), column.clip(0, width - 1)], 0)
    return z * _distance_per_z(face, pixels_xy), z > 0


def nose_distance(face: Face) -> float:
    """Return the map's distance along the line of sight at the pixel nearest to the mesh's nose tip."""
    depth = _depth_map(face)
    column, row = apply(invert(depth.image_from_depth), face.mesh_px[None, NOSE_TIP, :2])[0]
    rows, columns = np.nonzero(depth.mask)
    nearest = int(np.argmin((rows - row) ** 2 + (columns - column) ** 2))
    pixel = depth.pixels_xy()[rows[nearest], columns[nearest]]
    return float(depth.z_mm[rows[nearest], columns[nearest]] * _distance_per_z(face, pixel[None])[0])


def _distance_per_z(face: Face, pixels_xy: FloatArray) -> FloatArray:
    """Return (K,) the distance along the line of sight per millimetre of z."""
    focal_px, centre_px = pinhole_of_mesh(face.mesh_px, face.mesh_mm)
    unit = face.translation_mm.astype(np.float64) / np.linalg.norm(face.translation_mm)
    return np.asarray((pixels_xy - centre_px) / focal_px @ unit[:2] + unit[2])


def _depth_map(face: Face) -> DepthMap:
    if face.depth is None:
        raise ValueError("expected a face with a depth map, got one without; use FaceAnalyzer(depth=...)")
    return face.depth


def class_accuracy(analyzer: FaceAnalyzer, truth: KnownDepth) -> tuple[float, float] | None:
    """Return top-1 and top-3 accuracy of stage I over the face's pixels; None if the face is not found."""
    predictor = analyzer.depth
    if not isinstance(predictor, NetworkDepth):
        raise TypeError("expected FaceAnalyzer(depth='network'): only its depth source predicts classes")
    image = reading.read(truth.path)
    for face in analyzer(image, truth.fov_deg):
        if face.depth is not None and sample_depth(face, truth.pixels_xy)[1].mean() >= MIN_COVERAGE:
            crop = face.depth.image_from_depth
            logits = predictor.first(crop_rotated(image, crop[None], SIZE_PX))[2][0]
            return top_accuracy(logits, classes_in_crop(truth, crop))
    return None


def classes_in_crop(truth: KnownDepth, image_from_crop: FloatArray) -> IntArray:
    """Return the true classes (160, 160) of a crop, each from the nearest pixel of the photo; 0: no face."""
    low = np.floor(truth.pixels_xy.min(axis=0)).astype(int) - 1
    width, height = (np.ceil(truth.pixels_xy.max(axis=0)).astype(int) + 2 - low).tolist()
    behind, face = np.zeros((height, width)), np.zeros((height, width), bool)
    column, row = np.rint(truth.pixels_xy - low).astype(int).T
    behind[row, column], face[row, column] = truth.behind_mm, True
    grid = np.stack(np.meshgrid(np.arange(SIZE_PX), np.arange(SIZE_PX)), axis=-1).reshape(-1, 2)
    x, y = np.rint(apply(image_from_crop, grid.astype(float)) - low).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    return to_classes(behind[y, x], face[y, x] & inside).reshape(SIZE_PX, SIZE_PX)


def top_accuracy(logits: FloatArray, classes: IntArray) -> tuple[float, float]:
    """Return top-1 and top-3 accuracy over the pixels of the face.

    Args:
        logits: (C, 80, 80), interpolated to 160 x 160.
        classes: (160, 160) ground truth; 0: no face.
    """
    resized = np.stack([_resized(layer) for layer in logits])
    best = np.argpartition(resized, -3, axis=0)[-3:]
    face = classes > 0
    top1 = (resized.argmax(axis=0) == classes)[face].mean()
    return float(top1), float((best == classes).any(axis=0)[face].mean())


def _resized(layer: FloatArray) -> FloatArray:
    image = Image.fromarray(layer.astype(np.float32))
    return np.asarray(image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BILINEAR))
