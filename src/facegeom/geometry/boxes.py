"""Axis-aligned boxes ``box_xyxy``: (left, top, right, bottom) in pixels, x right, y down."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

_FACE_MARGIN = np.array([-0.02, -0.28, 0.02, 0.03])  # of the 68 points' extent: left, top, right, bottom


def area(boxes_xyxy: FloatArray) -> FloatArray:
    """Areas (...,) of boxes (..., 4), square pixels; an inverted box has area 0."""
    size = np.clip(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], 0, None)
    return np.asarray(size[..., 0] * size[..., 1])


def iou(first_xyxy: FloatArray, second_xyxy: FloatArray) -> FloatArray:
    """Intersection over union (N, M) in [0, 1] of boxes (N, 4) against boxes (M, 4)."""
    return overlap(first_xyxy, second_xyxy)


def overlap(first_xyxy: FloatArray, second_xyxy: FloatArray, *, over_smaller: bool = False) -> FloatArray:
    """Intersection (N, M) of boxes (N, 4) and (M, 4) over their union, or over the smaller box."""
    inter = _intersection(first_xyxy, second_xyxy)
    first, second = area(first_xyxy)[:, None], area(second_xyxy)[None]
    whole = np.minimum(first, second) if over_smaller else first + second - inter
    return np.asarray(inter / np.maximum(whole, 1e-9))


def covered(inner_xyxy: FloatArray, outer_xyxy: FloatArray) -> FloatArray:
    """Part (N, M) in [0, 1] of each box of (N, 4) that lies in each of (M, 4)."""
    whole = np.maximum(area(inner_xyxy)[:, None], 1e-9)
    return np.asarray(_intersection(inner_xyxy, outer_xyxy) / whole)


def aligned_iou(first_xyxy: FloatArray, second_xyxy: FloatArray) -> FloatArray:
    """Intersection over union (N,) of each box of (N, 4) with the one in the same row of (N, 4)."""
    low = np.maximum(first_xyxy[:, :2], second_xyxy[:, :2])
    high = np.minimum(first_xyxy[:, 2:], second_xyxy[:, 2:])
    inter = area(np.concatenate([low, high], axis=-1))
    return np.asarray(inter / np.maximum(area(first_xyxy) + area(second_xyxy) - inter, 1e-9))


def _intersection(first_xyxy: FloatArray, second_xyxy: FloatArray) -> FloatArray:
    low = np.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    high = np.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:])
    return area(np.concatenate([low, high], axis=-1))


def nms(
    boxes_xyxy: FloatArray, scores: FloatArray, threshold: float, *, over_smaller: bool = False
) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression; indices of the kept boxes, best score first.

    Args:
        boxes_xyxy: (N, 4) pixels.
        scores: (N,).
        threshold: a box is dropped when its overlap with a better one is larger.
        over_smaller: overlap is intersection over the smaller box (MTCNN's "Min") instead of over the union.
    """
    order = np.argsort(-scores, kind="stable")
    if len(order) < 2:
        return order
    boxes = boxes_xyxy[order]
    shared = overlap(boxes, boxes, over_smaller=over_smaller)
    alive = np.ones(len(order), bool)
    for index in range(len(order)):
        if alive[index]:
            alive[index + 1 :] &= shared[index, index + 1 :] <= threshold
    return np.asarray(order[alive])


def square(boxes_xyxy: FloatArray, scale: float = 1.0) -> FloatArray:
    """Squares (..., 4) around the same centres with side ``scale`` times the longer side of each box."""
    centre = (boxes_xyxy[..., :2] + boxes_xyxy[..., 2:]) / 2
    half = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).max(axis=-1, keepdims=True) * (scale / 2)
    return np.concatenate([centre - half, centre + half], axis=-1)


def from_points(points_px: FloatArray) -> FloatArray:
    """Extents (..., 4) of points (..., K, 2 or 3)."""
    flat = points_px[..., :2]
    return np.concatenate([flat.min(axis=-2), flat.max(axis=-2)], axis=-1)


def face_box(landmarks68_px: FloatArray) -> FloatArray:
    """The face's box (..., 4): the extent of the 68 points (..., 68, 2) with a margin.

    2 % of the extent are added left and right, 28 % above for the forehead, 3 % below the chin.
    """
    extent = from_points(landmarks68_px)
    size = np.tile(extent[..., 2:] - extent[..., :2], 2)
    return np.asarray(extent + size * _FACE_MARGIN)
