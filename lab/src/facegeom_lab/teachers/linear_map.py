"""The 68 points as linear combinations of nearby mesh points, fitted on faces that have both."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facegeom.geometry.schemes import IBUG68_EYE_CORNERS

FloatArray = npt.NDArray[np.floating]

NEIGHBOURS = 128
"""Best on the half of the faces not fitted on, of 8 to 128 with ridges of 1e-6 to 1e-3."""

RIDGE = 1e-6
"""Relative to mean squares in units of the inter-ocular distance."""

OUTLIER = 0.15
"""Mean error, inter-ocular, above which the second fit leaves a face out: it is another face."""


@dataclass(frozen=True, eq=False)
class LinearMap:
    """target[k] = sum over j of weights[k, j] · source[indices[k, j]]; weights of a target add up to 1.

    Attributes:
        indices: (K, J) of the source scheme.
        weights: (K, J).
    """

    indices: npt.NDArray[np.integer]
    weights: FloatArray

    def apply(self, points: FloatArray) -> FloatArray:
        """Return target points (..., K, D) of source points (..., M, D)."""
        return np.asarray(np.einsum("...kjc,kj->...kc", points[..., self.indices, :], self.weights))


def fit_linear_map(
    source: FloatArray, target: FloatArray, neighbours: int = NEIGHBOURS, ridge: float = RIDGE
) -> LinearMap:
    """Fit by ridge regression, twice: the second time without outliers of the first fit.

    Args:
        source: (F, M, 2 or 3) pixels; only x and y are used.
        target: (F, 68, 2) pixels of the same faces.
        neighbours: number of source points for each target, the nearest on average.
        ridge: weight of the squared coefficients.
    """
    source = source[..., :2].astype(np.float64)
    first = _fit(source, target, neighbours, ridge)
    error = np.linalg.norm(first.apply(source) - target, axis=-1).mean(axis=-1)
    kept = error < OUTLIER * _eye_distance(target)
    return _fit(source[kept], target[kept], neighbours, ridge)


def _eye_distance(landmarks: FloatArray) -> FloatArray:
    first, second = IBUG68_EYE_CORNERS
    return np.asarray(np.linalg.norm(landmarks[:, first] - landmarks[:, second], axis=-1))


def _fit(source: FloatArray, target: FloatArray, neighbours: int, ridge: float) -> LinearMap:
    size = _eye_distance(target)[:, None, None]
    source, target = source / size, target / size
    indices = np.stack([_nearest(source, target[:, k], neighbours) for k in range(target.shape[1])])
    weights = [_weights(source[:, row], target[:, k], ridge) for k, row in enumerate(indices)]
    return LinearMap(indices, np.stack(weights))


def _nearest(source: FloatArray, point: FloatArray, count: int) -> npt.NDArray[np.intp]:
    distance = np.median(np.linalg.norm(source - point[:, None], axis=-1), axis=0)
    return np.argsort(distance)[:count]


def _weights(near: FloatArray, point: FloatArray, ridge: float) -> FloatArray:
    """Return weights (J,) of neighbours (F, J, 2); offsets from the nearest make them add up to 1."""
    offsets = (near[:, 1:] - near[:, :1]).swapaxes(1, 2).reshape(-1, near.shape[1] - 1)
    wanted = (point - near[:, 0]).reshape(-1)
    gram = offsets.T @ offsets / len(offsets) + ridge * np.eye(offsets.shape[1])
    rest = np.linalg.solve(gram, offsets.T @ wanted / len(offsets))
    return np.concatenate([[1 - rest.sum()], rest])
