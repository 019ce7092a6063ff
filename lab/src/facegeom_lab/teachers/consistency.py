"""Flip consistency: a teacher's predictions on an image and on its mirror image must agree.

The label is the mean of the two predictions; their distance measures the teacher's uncertainty. This works
with any point scheme: the scheme's mirror map pairs the points of the two.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from facegeom.geometry.schemes import Scheme
from facegeom_lab.evaluation.points import face_errors, scales
from facegeom_lab.measures.metrics import UNMATCHED

FloatArray = npt.NDArray[np.floating]

SAME_FACE = 0.5
"""Two predictions further apart than this, relative to the face's size, are of different faces."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """Mean and distance of two predictions for the same F faces.

    Attributes:
        points: (F, K, D) pixels, the mean of both; where one is missing, the other.
        error: (F,) mean 2D distance of the two relative to the face's size; NaN where one is missing.
    """

    points: FloatArray
    error: FloatArray

    def kept(self, max_error: float) -> npt.NDArray[np.bool_]:
        """Return (F,) True where both predictions are there and at most ``max_error`` apart."""
        return np.asarray(self.error <= max_error)


def unmirror(points: FloatArray, width: int | FloatArray, mirror: npt.NDArray[np.integer]) -> FloatArray:
    """Carry points found in mirrored images back to the images themselves.

    Args:
        points: (..., K, D) pixels of the mirrored images, x first.
        width: of the images, pixels; a number, or one for each (...,).
        mirror: (K,) the scheme's mirror map.
    """
    back = points[..., mirror, :]
    back[..., 0] = np.asarray(width)[..., None] - 1 - back[..., 0]
    return back


def face_size(points: FloatArray, scheme: Scheme) -> FloatArray:
    """Return the lengths (F,) that errors of faces (F, K, D) are divided by; NaN where one is 0.

    The distance of the outer eye corners, else of the pupils, else the box diagonal: what the scheme has.
    """
    return next(iter(scales(points, scheme).values()))


def distance(first: FloatArray, second: FloatArray, scheme: Scheme) -> FloatArray:
    """Return mean 2D distances (F,) of predictions (F, K, D), relative to the first one's face size."""
    return face_errors(second, first, face_size(first, scheme))


def agreement(plain: FloatArray, back: FloatArray, scheme: Scheme) -> Agreement:
    """Compare predictions (F, K, D) of the same faces, row by row; ``back`` comes from :func:`unmirror`."""
    return Agreement((plain + back) / 2, distance(plain, back, scheme))


def match(plain: FloatArray, back: FloatArray, scheme: Scheme) -> npt.NDArray[np.intp]:
    """Pair the faces of two predictions by the smallest total distance.

    Args:
        plain: (F, K, D) pixels.
        back: (G, K, D) pixels, from :func:`unmirror`.
        scheme: of the points.

    Returns:
        (F,) row of ``back``, or ``UNMATCHED`` where none is near enough.
    """
    each = [distance(plain, np.broadcast_to(face, plain.shape), scheme) for face in back]
    apart = np.fmin(np.reshape(each, (len(back), len(plain))).T, SAME_FACE)
    pairs = np.full(len(plain), UNMATCHED, np.intp)
    rows, columns = linear_sum_assignment(apart)
    near = apart[rows, columns] < SAME_FACE
    pairs[rows[near]] = columns[near]
    return pairs


def matched_agreement(plain: FloatArray, back: FloatArray, scheme: Scheme) -> Agreement:
    """Compare the faces of ``plain`` (F, K, D) with those of ``back`` (G, K, D), in any order."""
    pairs = match(plain, back, scheme)
    found = pairs != UNMATCHED
    points, error = plain.copy(), np.full(len(plain), np.nan)
    both = agreement(plain[found], back[pairs[found]], scheme)
    points[found], error[found] = both.points, both.error
    return Agreement(points, error)
