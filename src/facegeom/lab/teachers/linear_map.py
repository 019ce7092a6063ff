"""The 68 points as linear combinations of nearby mesh points, fitted on faces that have both."""

from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 16
RIDGE = 0.1  # of the mean square of the design, pulls the weights towards equal shares


@dataclass(frozen=True)
class LinearMap:
    """point_k = Σ_j weights[k, j] · mesh[indices[k, j]], the weights of a point adding up to 1.

    Attributes:
        indices: (68, J) mesh points.
        weights: (68, J).
    """

    indices: np.ndarray
    weights: np.ndarray

    def apply(self, mesh: np.ndarray) -> np.ndarray:
        """(..., 68, D) from (..., 478, D)."""
        return np.einsum("...kjd,kj->...kd", mesh[..., self.indices, :], self.weights)


def fit_linear_map(mesh: np.ndarray, landmarks: np.ndarray) -> LinearMap:
    """Ridge regression of each point (N, 68, 2) on its nearest mesh points (N, 478, 2 or 3), affine weights."""
    size = np.linalg.norm(landmarks[:, 36] - landmarks[:, 45], axis=-1)[:, None, None]
    centre = landmarks.mean(axis=1, keepdims=True)
    flat, target = (mesh[..., :2] - centre) / size, (landmarks - centre) / size
    apart = np.linalg.norm(flat.mean(axis=0)[None] - target.mean(axis=0)[:, None], axis=-1)
    indices = apart.argsort(axis=1)[:, :NEIGHBOURS]
    weights = np.stack([_affine_ridge(flat[:, index], target[:, k]) for k, index in enumerate(indices)])
    return LinearMap(indices.astype(np.int16), weights.astype(np.float32))


def _affine_ridge(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weights (J,) adding up to 1 that carry points (N, J, 2) nearest to the target (N, 2)."""
    count = points.shape[1]
    mean = points.mean(axis=1, keepdims=True)
    design = np.swapaxes(points - mean, 1, 2).reshape(-1, count)
    residual = (target - mean[:, 0]).reshape(-1)
    gram = design.T @ design
    gram += RIDGE * np.trace(gram) / count * np.eye(count) / 10
    offset = np.linalg.solve(gram, design.T @ residual)
    return 1 / count + offset - offset.mean()
