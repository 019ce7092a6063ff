"""Jitter and lag of points that were followed through a clip of known motion."""

import numpy as np
import numpy.typing as npt

from facegeom.geometry import transforms
from facegeom.geometry.schemes import MESH478_EYE_CORNERS

FloatArray = npt.NDArray[np.floating]


def jitter_percent(points_px: FloatArray) -> float:
    """How much points tremble in a clip where nothing moves.

    Args:
        points_px: (N, 478, 2) of the frames; NaN where there was no face.

    Returns:
        Standard deviation of a point over the frames, averaged over points, in percent of the distance
        between the outer eye corners.
    """
    mean, spread = np.nanmean(points_px, axis=0), np.nanvar(points_px, axis=0).sum(axis=1)
    first, second = MESH478_EYE_CORNERS
    return float(100 * np.sqrt(spread).mean() / np.linalg.norm(mean[first] - mean[second]))


def lag_frames(points_px: FloatArray, rest_px: FloatArray, maps: FloatArray) -> float:
    """By how many frames points stay behind their known motion.

    A point that lags by L frames is off by -L times its velocity. L is fitted to that by least squares;
    each point's mean error, which is no lag, is taken out before.

    Args:
        points_px: (N, 478, 2) of the frames; NaN where there was no face.
        rest_px: (478, 2) the points in the first frame.
        maps: (N, 2, 3) from the first frame to each frame.

    Returns:
        Frames; negative for points that run ahead.
    """
    truth = transforms.apply(maps, rest_px)
    velocity, error = np.gradient(truth, axis=0), points_px - truth
    seen = np.isfinite(error).all(axis=(1, 2))
    velocity, error = (part[seen] - part[seen].mean(axis=0) for part in (velocity, error))
    return float(-(velocity * error).sum() / (velocity**2).sum())
