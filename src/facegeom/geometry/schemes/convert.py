"""Points of one scheme from those of another."""

import numpy as np
import numpy.typing as npt

from facegeom.geometry.schemes.contours import IBUG68_REGIONS

FloatArray = npt.NDArray[np.floating]

_EYES = (IBUG68_REGIONS["eye_right"], IBUG68_REGIONS["eye_left"])
_FIVE = (*_EYES, (30,), (48,), (54,))
_FOURTEEN = (
    *((17,), (21,), (22,), (26,)),
    *((36,), _EYES[0], (39,), (42,), _EYES[1], (45,)),
    *((30,), (48,), (57,), (54,)),
)


def five_from_68(landmarks68: FloatArray) -> FloatArray:
    """(..., 5, D) eye centres (person's right first), nose tip, mouth corners from (..., 68, D)."""
    return _means(landmarks68, _FIVE)


def facepoints14_from_68(landmarks68: FloatArray) -> FloatArray:
    """(..., 14, D) points of the scheme ``facepoints14`` from (..., 68, D).

    Brow ends, eye corners with the mean of each eye's contour between them, nose tip, mouth corners with the
    middle of the lower lip's lower edge between them.
    """
    return _means(landmarks68, _FOURTEEN)


def _means(points: FloatArray, picks: tuple[tuple[int, ...], ...]) -> FloatArray:
    return np.stack([points[..., list(pick), :].mean(axis=-2) for pick in picks], axis=-2)
