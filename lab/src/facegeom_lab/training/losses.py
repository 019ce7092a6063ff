"""Losses of points, scales and rotations."""

from math import log

import torch
import torch.nn.functional as F


def wing(distance: torch.Tensor, width: float = 10.0, curvature: float = 2.0) -> torch.Tensor:
    """Wing loss (Feng et al., CVPR 2018) of absolute errors in pixels, element by element.

    w · ln(1 + d/ε) below ``width``, d - C above, C = w - w · ln(1 + w/ε) so that the pieces meet.
    """
    offset = width - width * log(1 + width / curvature)
    near = width * torch.log1p(distance / curvature)
    return torch.where(distance < width, near, distance - offset)


def scale_nll(distance: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of an exponential error with mean exp(log_scale): d/s + log s."""
    return distance * torch.exp(-log_scale) + log_scale


def rotation_from_6d(vectors: torch.Tensor) -> torch.Tensor:
    """Torch twin of ``facegeom.geometry.rotation.rotation_from_6d``: (N, 6) -> (N, 3, 3)."""
    b1 = F.normalize(vectors[:, :3], dim=1)
    b3 = F.normalize(torch.linalg.cross(b1, vectors[:, 3:]), dim=1)
    return torch.stack([b1, torch.linalg.cross(b3, b1), b3], dim=2)


def chordal(vectors: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    """Frobenius distance (N,) of the 6D answers from rotations: 2·√2·sin(angle/2), smoothed at 0."""
    difference = rotation_from_6d(vectors) - rotation
    return torch.sqrt((difference**2).sum(dim=(1, 2)) + 1e-4)


def geodesic(vectors: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    """Angle (N,) in radians between the 6D answers and rotations: acos((tr(R̂Rᵀ) - 1) / 2).

    The loss of 6DRepNet (Hempel et al., ICIP 2022); kept off the ends, where its slope is infinite.
    """
    cosine = ((rotation_from_6d(vectors) * rotation).sum(dim=(1, 2)) - 1) / 2
    return torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))


def middle(losses: torch.Tensor, share: float) -> torch.Tensor:
    """Mean of the middle ``share`` of losses (N,), neither the easiest nor the most extreme; of all at 1."""
    out = round(len(losses) * (1 - share) / 2)
    return losses.sort().values[out : len(losses) - out].mean()


def middle_of_each(losses: torch.Tensor, kinds: torch.Tensor, share: float) -> torch.Tensor:
    """As :func:`middle`, but within each kind of sample, and the kinds weighted by their samples.

    Where one kind has further terms in its loss, its samples would else all be among the extreme ones.

    Args:
        losses: (N,).
        kinds: (N,) equal for samples of one kind.
        share: of each kind's samples that counts.
    """
    parts = [losses[kinds == kind] for kind in kinds.unique()]
    return torch.stack([middle(part, share) * len(part) for part in parts]).sum() / len(losses)


def weighted_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Σ w·v / Σ w over everything; 0 when all weights are 0."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)
