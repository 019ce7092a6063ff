"""FitNets: a thin, deep student learns from a wide teacher's inner layer, then from its answers.

A. Romero et al., "FitNets: hints for thin deep nets", ICLR 2015; softened answers: G. Hinton, O. Vinyals and
J. Dean, 2015. Saves whatever the student is smaller by; costs the teacher's passes in training.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
"""(network, pictures, classes) -> the loss."""

TEMPERATURE = 3.0
TEACHER_WEIGHT = 4.0
"""λ of the paper's eq. 2; it falls to 1 in the course of the training."""


class Hinted(nn.Module):
    """The student up to its guided layer, with the regressor that the hint asks for (eq. 3).

    Args:
        guided: first part of the student.
        channels: that it gives, and that the hint has.
    """

    def __init__(self, guided: nn.Module, channels: tuple[int, int]) -> None:
        super().__init__()
        self.guided = guided
        self.regressor = nn.Conv2d(*channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures -> (N, C, H, W) in the shape of the hint."""
        return self.regressor(self.guided(x))


def hint_loss(teacher: nn.Module) -> Loss:
    """Half the squared distance to the teacher's inner layer.

    Args:
        teacher: its first parts, up to the hint.
    """
    teacher = teacher.eval().requires_grad_(False)

    def loss(net: nn.Module, pictures: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            hint = teacher(pictures)
        return 0.5 * F.mse_loss(net(pictures).float(), hint.float())

    return loss


def knowledge_loss(teacher: nn.Module, progress: Callable[[], float] = lambda: 0.0) -> Loss:
    """Cross-entropy with the truth and, λ times, with the teacher's softened answers (eq. 2).

    Args:
        teacher: the whole.
        progress: of the training, in [0, 1]: λ falls from ``TEACHER_WEIGHT`` to 1.
    """
    teacher = teacher.eval().requires_grad_(False)

    def loss(net: nn.Module, pictures: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            soft = F.softmax(teacher(pictures).float() / TEMPERATURE, dim=1)
        logits = net(pictures).float()
        weight = TEACHER_WEIGHT + (1 - TEACHER_WEIGHT) * progress()
        return F.cross_entropy(logits, classes) + weight * F.cross_entropy(logits / TEMPERATURE, soft)

    return loss
