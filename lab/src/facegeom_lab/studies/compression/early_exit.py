"""BranchyNet: side branches classify the easy inputs early.

S. Teerapittayanon, B. McDanel and H. T. Kung, "BranchyNet: fast inference via early exiting from deep neural
networks", ICPR 2016. Saves time where many inputs are easy; costs the branches' memory. A batch does not exit
as a whole: the network is meant for one input at a time.
"""

from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

THRESHOLDS = tuple(0.02 * 1.35**step for step in range(14))
"""Entropies, nats, that :meth:`BranchyNet.choose_thresholds` tries."""


class BranchyNet(nn.Module):
    """A trunk of parts, with a branch after each of the first ones.

    Args:
        parts: the trunk; the last part returns logits.
        branches: fewer than parts; branch k classifies the output of part k.

    Attributes:
        thresholds: (branches,) entropy below which the logits of branch k are taken, nats; 0 never.
    """

    def __init__(self, parts: nn.Sequential, branches: list[nn.Module]) -> None:
        super().__init__()
        self.parts, self.branches = parts, nn.ModuleList(branches)
        self.register_buffer("thresholds", torch.zeros(len(branches)))

    def exit_logits(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the logits (N, classes) of each branch and, last, of the trunk for images."""
        logits = []
        for part, branch in zip(self.parts, self.branches, strict=False):
            x = part(x)
            logits.append(branch(x))
        for part in self.parts[len(self.branches) :]:
            x = part(x)
        return [*logits, x]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes); a single input stops at its exit, a batch is computed to the end."""
        return self._forward_one(x) if len(x) == 1 else self.with_exits(x)[0]

    def _forward_one(self, x: torch.Tensor) -> torch.Tensor:
        for part, branch, threshold in zip(self.parts, self.branches, self.thresholds, strict=False):
            x = part(x)
            logits = branch(x)
            if entropy(logits)[0] < threshold:
                return logits
        for part in self.parts[len(self.branches) :]:
            x = part(x)
        return x

    def with_exits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (N, classes) and the number (N,) of the exit that they come from."""
        logits = torch.stack(self.exit_logits(x))
        exits = _first_exits(logits, self.thresholds)
        return logits[exits, torch.arange(len(x))], exits

    def choose_thresholds(
        self, logits: torch.Tensor, classes: torch.Tensor, loss_allowed: float = 0.005
    ) -> None:
        """Set the thresholds that exit earliest on average with at most the allowed loss of accuracy.

        Args:
            logits: (exits, N, classes) of inputs that training did not see.
            classes: (N,) ground truth.
            loss_allowed: loss of accuracy against the trunk alone, a fraction, for all branches together.
        """
        correct = logits.argmax(dim=2) == classes
        least = correct[-1].float().mean() - loss_allowed
        best_saving, best = 0.0, torch.zeros(len(self.branches))  # exits skipped on average; its thresholds
        for candidate in product((0.0, *THRESHOLDS), repeat=len(self.branches)):
            thresholds = torch.tensor(candidate)
            exits = _first_exits(logits, thresholds)
            saving = float((len(self.branches) - exits).float().mean())
            accuracy = correct[exits, torch.arange(correct.shape[1])].float().mean()
            if accuracy >= least and saving > best_saving:
                best_saving, best = saving, thresholds
        self.thresholds.copy_(best)


def _first_exits(logits: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    """Return the first exit (N,) with an entropy below its threshold, for logits (exits, N, classes)."""
    confident = torch.stack([entropy(each) for each in logits[:-1]]) < thresholds[:, None]
    return torch.cat([confident, confident.new_ones(1, confident.shape[1])]).int().argmax(dim=0)


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """Return the entropy (N,) in nats of logits (N, classes)."""
    logits = logits.float()
    return -(F.softmax(logits, dim=1) * F.log_softmax(logits, dim=1)).sum(dim=1)


def add_branches(net: nn.Sequential, channels: tuple[int, ...], classes: int = 8) -> BranchyNet:
    """Add a branch after each of the first parts of a trunk.

    Args:
        net: the trunk, whose weights are kept.
        channels: of the outputs of its first parts.
        classes: of the logits.
    """
    return BranchyNet(net, [_branch(width, classes) for width in channels])


def _branch(width: int, classes: int) -> nn.Module:
    conv = nn.Conv2d(width, 64, 3, padding=1, bias=False)
    head = (nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(576, classes))
    return nn.Sequential(conv, nn.BatchNorm2d(64), nn.ReLU(), *head)


def branchy_loss(net: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the sum of all exits' cross-entropies (eq. 1 with equal weights)."""
    return sum(F.cross_entropy(logits.float(), classes) for logits in net.exit_logits(images))
