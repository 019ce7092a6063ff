"""Metrics: pure functions of arrays."""

import numpy as np
import numpy.typing as npt

from facegeom.geometry import boxes

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

UNMATCHED = -1


def best_iou(predicted_xyxy: FloatArray, *targets_xyxy: FloatArray) -> FloatArray:
    """Return the best IoU (P, T) of boxes with T faces, each of which has boxes from several sources.

    Args:
        predicted_xyxy: (P, 4).
        targets_xyxy: (T, 4) of each source; a row of NaN for a face that it has no box of.
    """
    overlaps = [np.nan_to_num(boxes.iou(predicted_xyxy, target)) for target in targets_xyxy]
    return np.asarray(np.max(np.stack(overlaps), axis=0))


def centre_inside(predicted_xyxy: FloatArray, target_xyxy: FloatArray) -> BoolArray:
    """Return (P, T) whether the centre of a box (P, 4) lies in a target box (T, 4), edges included."""
    centre = (predicted_xyxy[:, None, :2] + predicted_xyxy[:, None, 2:]) / 2
    inside = (centre >= target_xyxy[None, :, :2]) & (centre <= target_xyxy[None, :, 2:])
    return np.asarray(inside.all(axis=-1))


LOOSE_IOU = 0.3


def lies_on(predicted_xyxy: FloatArray, *targets_xyxy: FloatArray) -> BoolArray:
    """Return (P, T) whether a box (P, 4) finds a face, for unlike conventions of boxes.

    It does at an IoU of at least 0.3 with any of the face's boxes, or with its centre in the first.

    Args:
        predicted_xyxy: (P, 4).
        targets_xyxy: (T, 4) of each source, as in :func:`best_iou`.
    """
    near = best_iou(predicted_xyxy, *targets_xyxy) >= LOOSE_IOU
    return np.asarray(near | centre_inside(predicted_xyxy, targets_xyxy[0]))


def greedy_match(scores: FloatArray, quality: FloatArray, allowed: BoolArray) -> IntArray:
    """Match predictions to targets one to one: in order of score, each takes the best free target.

    Args:
        scores: (P,) of the predictions.
        quality: (P, T), larger is better.
        allowed: (P, T), pairs that may match.

    Returns:
        (P,) index of the target, or ``UNMATCHED``.
    """
    match = np.full(len(scores), UNMATCHED, np.intp)
    free = np.ones(quality.shape[1], bool)
    for index in np.argsort(-scores, kind="stable"):
        candidates = np.flatnonzero(allowed[index] & free)
        if len(candidates):
            match[index] = candidates[quality[index, candidates].argmax()]
            free[match[index]] = False
    return match


def point_errors(points_px: FloatArray, truth_px: FloatArray, scale: tuple[int, int]) -> FloatArray:
    """Return 2D distances (..., K) of points (..., K, 2+) from the truth, over its :func:`eye_distance`."""
    distance = np.linalg.norm(points_px[..., :2] - truth_px[..., :2], axis=-1)
    return np.asarray(distance / eye_distance(truth_px, scale)[..., None])


def depth_errors(mesh_px: FloatArray, truth_px: FloatArray, scale: tuple[int, int]) -> FloatArray:
    """Return |z - true z| (..., K) of meshes (..., K, 3), in the units of :func:`point_errors`."""
    distance = np.abs(mesh_px[..., 2] - truth_px[..., 2])
    return np.asarray(distance / eye_distance(truth_px, scale)[..., None])


def eye_distance(points_px: FloatArray, scale: tuple[int, int]) -> FloatArray:
    """Return the 2D distance (...,) between the two points of ``scale`` among points (..., K, 2+)."""
    return np.asarray(np.linalg.norm(points_px[..., scale[0], :2] - points_px[..., scale[1], :2], axis=-1))


def halves_ratio(errors: FloatArray, confidence: FloatArray) -> float:
    """Return the mean error of the more confident half over that of the other half.

    An odd count leaves its middle out.

    Args:
        errors: (F,), at least two.
        confidence: (F,).
    """
    order = np.lexsort((-errors, -confidence))  # at equal confidence the larger error first: ties never help
    half = len(order) // 2
    return float(errors[order[:half]].mean() / errors[order[len(order) - half :]].mean())


def halves_ratio_per_point(errors: FloatArray, confidence: FloatArray) -> FloatArray:
    """Return :func:`halves_ratio` (K,) of each point across faces, from errors and confidences (F, K)."""
    return np.array([halves_ratio(e, c) for e, c in zip(errors.T, confidence.T, strict=True)])
