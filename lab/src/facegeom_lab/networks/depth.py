"""The two depth networks: a U-Net for quantised depth, and one for millimetres from grey and that answer.

Both see 160 pixels and work at half of that; their blocks fold into plain convolutions for use.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from facegeom_lab.datasets.depth_classes import CLASSES, NEAREST_MM, STEP_MM
from facegeom_lab.networks.blocks import RepConv

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the grey channel (ITU-R BT.601)."""

ANSWER_SCALE_MM = 50.0


class UNet(nn.Module):
    """Half the input's size out: halvings down to the deepest level, and back with sums over the same size.

    Ronneberger et al., "U-Net" (2015), with sums for concatenations and blocks of one convolution.

    Args:
        channels_in: of the picture.
        widths: channels at 1/2, 1/4, 1/8 … of the input's side.
    """

    def __init__(self, channels_in: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = RepConv(channels_in, widths[0], 2)
        steps = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Sequential(RepConv(a, b, 2), RepConv(b, b)) for a, b in steps)
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in steps)
        self.up = nn.ModuleList(RepConv(a, a) for a, _ in steps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, widths[0], H/2, W/2)."""
        levels = [self.stem(x)]
        for down in self.down:
            levels.append(down(levels[-1]))
        y = levels.pop()
        for narrow, up in zip(reversed(self.narrow), reversed(self.up), strict=True):
            y = up(levels.pop() + F.interpolate(narrow(y), scale_factor=2, mode="nearest"))
        return y


class DepthClasses(nn.Module):
    """Stage I: RGB to logits of the classes of :mod:`facegeom_lab.datasets.depth_classes`.

    Args:
        widths: of the U-Net.
        head: channels of the last block.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 96, 128), head: int = 24) -> None:
        super().__init__()
        self.body = UNet(3, widths)
        self.last = RepConv(widths[0], head)
        self.classify = nn.Conv2d(head, CLASSES, 1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """RGB (N, 3, 160, 160) in [0, 255] -> logits (N, CLASSES, 80, 80); at 160 they are interpolated."""
        return self.classify(self.features(pictures))

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        """(N, head, 80, 80): what the classes are read from, pixel by pixel."""
        return self.last(self.body(pictures / 127.5 - 1))


class DepthMillimetres(nn.Module):
    """Stage II: grey and stage I's answer to depth; or, of one stage alone, RGB to depth.

    Args:
        widths: of the U-Net.
        two_stages: whether it builds on an answer; the network then gives what is to be added to it.
    """

    def __init__(self, widths: tuple[int, ...] = (12, 24, 48, 64), two_stages: bool = True) -> None:
        super().__init__()
        self.two_stages = two_stages
        self.body = UNet(2 if two_stages else 3, widths)
        self.measure = nn.Conv2d(widths[0], 1, 1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Depth (N, 80, 80) in millimetres behind the nose tip.

        Args:
            pictures: (N, 2, 160, 160), grey in [0, 255] and the answer in millimetres; or RGB (N, 3, …).
        """
        if not self.two_stages:
            return ANSWER_SCALE_MM * self.measure(self.body(pictures / 127.5 - 1))[:, 0]
        grey, answer = pictures[:, :1] / 127.5 - 1, pictures[:, 1:]
        change = self.measure(self.body(torch.cat([grey, answer / ANSWER_SCALE_MM], dim=1)))
        return (F.avg_pool2d(answer, 2) + ANSWER_SCALE_MM * change)[:, 0]


def mean_depth(logits: torch.Tensor) -> torch.Tensor:
    """(N, ...) millimetres: the mean over the classes of the face, of logits (N, CLASSES, ...)."""
    middles = NEAREST_MM + STEP_MM * (torch.arange(CLASSES - 1, device=logits.device) + 0.5)
    return torch.tensordot(logits[:, 1:].softmax(dim=1), middles, dims=([1], [0]))


def answer_of(logits: torch.Tensor) -> torch.Tensor:
    """(N, 160, 160) stage I's answer, millimetres behind the nose tip: :func:`mean_depth`, interpolated."""
    mean = mean_depth(logits)[:, None]
    return F.interpolate(mean, scale_factor=2, mode="bilinear", align_corners=False)[:, 0]


def with_grey(pictures: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
    """Stage II's input (N, 2, 160, 160) from RGB (N, 3, 160, 160) and stage I's answer (N, 160, 160)."""
    weights = torch.tensor(GREY, device=pictures.device)[:, None, None]
    return torch.stack([(pictures * weights).sum(dim=1), answer], dim=1)


class DepthClassesForExport(nn.Module):
    """Stage I as the runtime calls it: pictures (N, 160, 160, 3) uint8 to answer, face, logits."""

    def __init__(self, net: DepthClasses) -> None:
        super().__init__()
        self.net = net

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Answer (N, 160, 160) mm, face (N, 80, 80) in [0, 1], logits (N, CLASSES, 80, 80)."""
        logits = self.net(pictures.permute(0, 3, 1, 2).float())
        return answer_of(logits), 1 - logits.softmax(dim=1)[:, 0], logits


class DepthMillimetresForExport(nn.Module):
    """Stage II as the runtime calls it: grey and answer (N, 160, 160, 2) float32 to depth (N, 80, 80)."""

    def __init__(self, net: DepthMillimetres) -> None:
        super().__init__()
        self.net = net

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor]:
        """Depth (N, 80, 80), millimetres behind the nose tip."""
        return (self.net(pictures.permute(0, 3, 1, 2)),)
