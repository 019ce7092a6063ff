"""FitNets: a thin, deep student learns from a wide teacher's hidden layer, then from its outputs.

A. Romero et al., "FitNets: hints for thin deep nets", ICLR 2015; softened outputs: G. Hinton, O. Vinyals and
J. Dean, 2015. Saves what the student is smaller by; costs the teacher's passes in training.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from facegeom_lab.studies.compression.training import Loss

TEMPERATURE = 3.0
TEACHER_WEIGHT = 4.0
"""λ of the paper's eq. 2 at the start; it falls to 1 during the training."""


class Hinted(nn.Module):
    """The student up to its guided layer, with the regressor of the hint training (eq. 3).

    Args:
        guided: first part of the student.
        channels: of the guided layer and of the hint.
    """

    def __init__(self, guided: nn.Module, channels: tuple[int, int]) -> None:
        super().__init__()
        self.guided = guided
        self.regressor = nn.Conv2d(*channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images to (N, C, H, W) in the shape of the hint."""
        return self.regressor(self.guided(x))


def hint_loss(teacher: nn.Module) -> Loss:
    """Return a loss: half the squared distance to the teacher's hidden layer.

    Args:
        teacher: its first parts, up to the hint.
    """
    teacher = teacher.eval().requires_grad_(False)

    def loss(net: nn.Module, images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            hint = teacher.to(images.device)(images)
        return 0.5 * F.mse_loss(net(images).float(), hint.float())

    return loss


def knowledge_loss(teacher: nn.Module, progress: Callable[[], float] = lambda: 0.0) -> Loss:
    """Return a loss: cross-entropy with the truth plus λ times that with the softened teacher (eq. 2).

    Args:
        teacher: the whole network.
        progress: of the training, in [0, 1]: λ falls from ``TEACHER_WEIGHT`` to 1.
    """
    teacher = teacher.eval().requires_grad_(False)

    def loss(net: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            soft = F.softmax(teacher.to(images.device)(images).float() / TEMPERATURE, dim=1)
        logits = net(images).float()
        weight = TEACHER_WEIGHT + (1 - TEACHER_WEIGHT) * progress()
        return F.cross_entropy(logits, classes) + weight * F.cross_entropy(logits / TEMPERATURE, soft)

    return loss
