"""Axis-aligned boxes ``box_xyxy``: (left, top, right, bottom) in pixels, x right, y down."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

_FACE_MARGIN = np.array([-0.02, -0.28, 0.02, 0.03])  # of the 68 points' extent: left, top, right, bottom


def in_photo(
    boxes_xyxy: FloatArray, factor_xy: tuple[float, float], offset_xy: tuple[float, float]
) -> FloatArray:
    """Return boxes (N, 4) of decoded pixels in pixels of the photo.

    Args:
        boxes_xyxy: decoded pixels.
        factor_xy: pixels of the photo for one decoded pixel.
        offset_xy: decoded pixel (x, y) shows ((x, y) + 0.5) · factor_xy - 0.5 + offset_xy of the photo.
    """
    return np.asarray((boxes_xyxy + 0.5) * np.tile(factor_xy, 2) - 0.5 + np.tile(offset_xy, 2))


def _areas(first_xyxy: FloatArray, second_xyxy: FloatArray) -> list[FloatArray]:
    """Return the areas (...) of what boxes (..., 4) have in common, of the first and of the second.

    An inverted box has area 0.
    """
    low = np.maximum(first_xyxy[..., :2], second_xyxy[..., :2])
    high = np.minimum(first_xyxy[..., 2:], second_xyxy[..., 2:])
    sizes = (
        high - low,
        first_xyxy[..., 2:] - first_xyxy[..., :2],
        second_xyxy[..., 2:] - second_xyxy[..., :2],
    )
    return [np.clip(size, 0, None).prod(axis=-1) for size in sizes]


def iou(first_xyxy: FloatArray, second_xyxy: FloatArray) -> FloatArray:
    """Return the intersection over union (N, M), in [0, 1], of boxes (N, 4) against boxes (M, 4)."""
    return overlap(first_xyxy, second_xyxy)


def overlap(first_xyxy: FloatArray, second_xyxy: FloatArray, *, over_smaller: bool = False) -> FloatArray:
    """Return the intersection (N, M) of boxes (N, 4) and (M, 4) over their union, or over the smaller box."""
    inter, first, second = _areas(first_xyxy[:, None], second_xyxy)
    whole = np.minimum(first, second) if over_smaller else first + second - inter
    return np.asarray(inter / np.maximum(whole, 1e-9))


def covered(inner_xyxy: FloatArray, outer_xyxy: FloatArray) -> FloatArray:
    """Return the fraction (N, M), in [0, 1], of each box of (N, 4) that lies in each of (M, 4)."""
    inter, inner, _ = _areas(inner_xyxy[:, None], outer_xyxy)
    return np.asarray(inter / np.maximum(inner, 1e-9))


def aligned_iou(first_xyxy: FloatArray, second_xyxy: FloatArray) -> FloatArray:
    """Return the intersection over union (N,) of the boxes in equal rows of (N, 4) and (N, 4)."""
    inter, first, second = _areas(first_xyxy, second_xyxy)
    return np.asarray(inter / np.maximum(first + second - inter, 1e-9))


def nms(
    boxes_xyxy: FloatArray, scores: FloatArray, threshold: float, *, over_smaller: bool = False
) -> npt.NDArray[np.intp]:
    """Run greedy non-maximum suppression; return the indices of the kept boxes, best score first.

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
    """Return squares (..., 4) around the centres of boxes; their side is ``scale`` times the longer one."""
    centre = (boxes_xyxy[..., :2] + boxes_xyxy[..., 2:]) / 2
    half = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).max(axis=-1, keepdims=True) * (scale / 2)
    return np.concatenate([centre - half, centre + half], axis=-1)


def from_points(points_px: FloatArray) -> FloatArray:
    """Return the extents (..., 4) of points (..., K, 2 or 3)."""
    flat = points_px[..., :2]
    return np.concatenate([flat.min(axis=-2), flat.max(axis=-2)], axis=-1)


def face_box(landmarks68_px: FloatArray) -> FloatArray:
    """Return the face box (..., 4): the extent of the 68 points (..., 68, 2) with a margin.

    The margin is 2 % of the extent left and right, 28 % above for the forehead, 3 % below the chin.
    """
    extent = from_points(landmarks68_px)
    size = np.tile(extent[..., 2:] - extent[..., :2], 2)
    return np.asarray(extent + size * _FACE_MARGIN)
