"""Flip consistency: a teacher answers for a picture and for its mirror image, and must say the same of both.

The label is the mean of the two answers; their distance says how sure the teacher is. Works with any
point scheme: its mirror map tells which point of one answer is which of the other.
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
"""Two answers further apart than this, a share of the face's size, are about different faces."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """What two answers for the same F faces have in common.

    Attributes:
        points: (F, K, D) pixels, the mean of both; where only one is there, that one.
        error: (F,) mean 2D distance of the two, a share of the face's size; NaN where one is missing.
    """

    points: FloatArray
    error: FloatArray

    def kept(self, max_error: float) -> npt.NDArray[np.bool_]:
        """(F,) True where both answers are there and at most ``max_error`` apart."""
        return np.asarray(self.error <= max_error)


def unmirror(points: FloatArray, width: int | FloatArray, mirror: npt.NDArray[np.integer]) -> FloatArray:
    """Points found in mirrored pictures as points of the pictures themselves.

    Args:
        points: (..., K, D) pixels of the mirrored pictures, x first.
        width: of the pictures, pixels; a number, or one for each (...,).
        mirror: (K,) the scheme's mirror map.
    """
    back = points[..., mirror, :]
    back[..., 0] = np.asarray(width)[..., None] - 1 - back[..., 0]
    return back


def face_size(points: FloatArray, scheme: Scheme) -> FloatArray:
    """(F,) the length that errors of faces (F, K, D) are divided by; NaN where it is 0.

    The distance of the outer eye corners, else of the pupils, else the box diagonal: what the scheme has.
    """
    return next(iter(scales(points, scheme).values()))


def distance(first: FloatArray, second: FloatArray, scheme: Scheme) -> FloatArray:
    """(F,) mean 2D distance of answers (F, K, D), a share of the first one's face size."""
    return face_errors(second, first, face_size(first, scheme))


def agreement(plain: FloatArray, back: FloatArray, scheme: Scheme) -> Agreement:
    """Agreement of answers (F, K, D), row by row of the same face; ``back`` as :func:`unmirror` gives it."""
    return Agreement((plain + back) / 2, distance(plain, back, scheme))


def match(plain: FloatArray, back: FloatArray, scheme: Scheme) -> npt.NDArray[np.intp]:
    """Which face of one answer is which of the other, the pairs chosen for the least distance in all.

    Args:
        plain: (F, K, D) pixels.
        back: (G, K, D) pixels, as :func:`unmirror` gives it.
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
    """Agreement for the faces of ``plain`` (F, K, D) with those of ``back`` (G, K, D) in any order."""
    pairs = match(plain, back, scheme)
    found = pairs != UNMATCHED
    points, error = plain.copy(), np.full(len(plain), np.nan)
    both = agreement(plain[found], back[pairs[found]], scheme)
    points[found], error[found] = both.points, both.error
    return Agreement(points, error)
