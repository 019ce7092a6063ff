"""BranchyNet: side branches answer the easy inputs early.

S. Teerapittayanon, B. McDanel and H. T. Kung, "BranchyNet: fast inference via early exiting from deep neural
networks", ICPR 2016. Saves time where many inputs are easy; costs the branches' memory, and a batch does not
leave together: one input at a time is the use.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

THRESHOLDS = tuple(0.02 * 1.35**step for step in range(14))
"""Entropies, nats, that :meth:`BranchyNet.tune` chooses from."""


class BranchyNet(nn.Module):
    """A row of parts, with a branch after each of the first ones.

    Args:
        parts: the trunk; the last gives logits.
        branches: fewer than parts; branch k answers from what part k gives.
        thresholds: entropy below which branch k's answer is taken, nats; 0 never.
    """

    def __init__(self, parts: nn.Sequential, branches: list[nn.Module]) -> None:
        super().__init__()
        self.parts, self.branches = parts, nn.ModuleList(branches)
        self.register_buffer("thresholds", torch.zeros(len(branches)))

    def answers(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Pictures -> logits (N, classes) of each branch and, last, of the trunk."""
        logits = []
        for part, branch in zip(self.parts, self.branches, strict=False):
            x = part(x)
            logits.append(branch(x))
        for part in self.parts[len(self.branches) :]:
            x = part(x)
        return [*logits, x]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One input leaves where it may and costs no more; several go through, each with its answer."""
        return self._first(x) if len(x) == 1 else self.chosen(x)[0]

    def _first(self, x: torch.Tensor) -> torch.Tensor:
        for part, branch, threshold in zip(self.parts, self.branches, self.thresholds, strict=False):
            x = part(x)
            logits = branch(x)
            if entropy(logits)[0] < threshold:
                return logits
        for part in self.parts[len(self.branches) :]:
            x = part(x)
        return x

    def chosen(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, classes) and the number (N,) of the exit that gave them."""
        logits = torch.stack(self.answers(x))
        sure = torch.stack([entropy(each) for each in logits[:-1]]) < self.thresholds[:, None]
        sure = torch.cat([sure, sure.new_ones(1, sure.shape[1])])
        number = sure.int().argmax(dim=0)
        return logits[number, torch.arange(len(x))], number

    def tune(self, logits: torch.Tensor, classes: torch.Tensor, loss_allowed: float = 0.005) -> None:
        """Set the thresholds: at each branch as high as costs at most that share of right answers.

        Args:
            logits: (exits, N, classes) of inputs that training did not see.
            classes: (N,) the truth.
            loss_allowed: share of right answers, against all going to the end, for all branches together.
        """
        right = logits.argmax(dim=2) == classes
        least = right[-1].float().mean() - loss_allowed
        best = ExitShares(0.0, torch.zeros(len(self.branches)))
        for candidate in _grid(len(self.branches)):
            thresholds = torch.tensor(candidate)
            sure = torch.stack([entropy(each) for each in logits[:-1]]) < thresholds[:, None]
            number = torch.cat([sure, sure.new_ones(1, sure.shape[1])]).int().argmax(dim=0)
            early = float((len(self.branches) - number).float().mean())
            accuracy = right[number, torch.arange(right.shape[1])].float().mean()
            if accuracy >= least and early > best.early:
                best = ExitShares(early, thresholds)
        self.thresholds.copy_(best.thresholds)


@dataclass(frozen=True)
class ExitShares:
    """A choice of thresholds and how many exits earlier than the end an input leaves, on average."""

    early: float
    thresholds: torch.Tensor


def _grid(branches: int) -> list[list[float]]:
    rows: list[list[float]] = [[]]
    for _ in range(branches):
        rows = [[*row, threshold] for row in rows for threshold in (0.0, *THRESHOLDS)]
    return rows


def entropy(logits: torch.Tensor) -> torch.Tensor:
    """(N, classes) -> (N,) nats."""
    logits = logits.float()
    return -(F.softmax(logits, dim=1) * F.log_softmax(logits, dim=1)).sum(dim=1)


def branchy(net: nn.Sequential, channels: tuple[int, ...], classes: int = 8) -> BranchyNet:
    """Add a branch after each of the first parts of a trunk.

    Args:
        net: the trunk, whose weights are kept.
        channels: that its first parts give.
        classes: of the answers.
    """
    return BranchyNet(net, [_branch(width, classes) for width in channels])


def _branch(width: int, classes: int) -> nn.Module:
    conv = nn.Conv2d(width, 64, 3, padding=1, bias=False)
    head = (nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(576, classes))
    return nn.Sequential(conv, nn.BatchNorm2d(64), nn.ReLU(), *head)


def branchy_loss(net: nn.Module, pictures: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """The sum of all exits' cross-entropies (eq. 1 with equal weights)."""
    return sum(F.cross_entropy(logits.float(), classes) for logits in net.answers(pictures))
