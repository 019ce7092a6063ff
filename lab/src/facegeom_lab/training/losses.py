"""Losses of points, scales and rotations."""

from math import log

import torch
import torch.nn.functional as F


def wing(distance: torch.Tensor, width: float = 10.0, curvature: float = 2.0) -> torch.Tensor:
    """Compute the Wing loss (Feng et al., CVPR 2018) of absolute errors in pixels, element by element.

    w · ln(1 + d/ε) below ``width``, d - C above, C = w - w · ln(1 + w/ε) so that the pieces meet.
    """
    offset = width - width * log(1 + width / curvature)
    near = width * torch.log1p(distance / curvature)
    return torch.where(distance < width, near, distance - offset)


def scale_nll(distance: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
    """Compute the negative log-likelihood of an exponential error with mean exp(log_scale): d/s + log s."""
    return distance * torch.exp(-log_scale) + log_scale


def rotation_from_6d(vectors: torch.Tensor) -> torch.Tensor:
    """Convert (N, 6) to rotations (N, 3, 3), as ``facegeom.geometry.rotation.rotation_from_6d`` does."""
    b1 = F.normalize(vectors[:, :3], dim=1)
    b3 = F.normalize(torch.linalg.cross(b1, vectors[:, 3:]), dim=1)
    return torch.stack([b1, torch.linalg.cross(b3, b1), b3], dim=2)


def chordal(vectors: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    """Compute the Frobenius distance (N,) of 6D predictions from rotations.

    2·√2·sin(angle/2), smoothed at 0.
    """
    difference = rotation_from_6d(vectors) - rotation
    return torch.sqrt((difference**2).sum(dim=(1, 2)) + 1e-4)


def geodesic(vectors: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    """Compute the angle (N,) in radians between 6D predictions and rotations: acos((tr(R̂Rᵀ) - 1) / 2).

    The loss of 6DRepNet (Hempel et al., ICIP 2022); the cosine is clamped, since the slope is infinite at ±1.
    """
    cosine = ((rotation_from_6d(vectors) * rotation).sum(dim=(1, 2)) - 1) / 2
    return torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))


def eye_distance(points: torch.Tensor, corners: tuple[int, int]) -> torch.Tensor:
    """Compute the 2D distance (N,) between the two points ``corners`` among points (N, K, 2+)."""
    return torch.linalg.norm(points[:, corners[0], :2] - points[:, corners[1], :2], dim=1)


def trimmed_mean(losses: torch.Tensor, fraction: float) -> torch.Tensor:
    """Compute the trimmed mean of losses (N,): ``fraction`` of them counts, both tails are left out."""
    out = round(len(losses) * (1 - fraction) / 2)
    return losses.sort().values[out : len(losses) - out].mean()


def trimmed_mean_by_class(losses: torch.Tensor, classes: torch.Tensor, fraction: float) -> torch.Tensor:
    """Compute :func:`trimmed_mean` within each class of samples, the classes weighted by their sizes.

    Without the classes, samples whose loss has more terms would all be in the upper tail.

    Args:
        losses: (N,).
        classes: (N,) equal for samples of one class.
        fraction: part of each class that counts.
    """
    parts = [losses[classes == each] for each in classes.unique()]
    return torch.stack([trimmed_mean(part, fraction) * len(part) for part in parts]).sum() / len(losses)


def weighted_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Compute Σ w·v / Σ w over all elements; 0 when all weights are 0."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)
