"""The two depth networks: a U-Net for quantised depth, and one that refines its depth in millimetres.

Both take 160 pixels and predict at half that size; their blocks fold into plain convolutions.
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

DEPTH_SCALE_MM = 50.0


class UNet(nn.Module):
    """U-Net (Ronneberger et al., 2015) with sums instead of concatenations and blocks of one convolution.

    The output has half the input's size.

    Args:
        channels_in: of the image.
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
        """Map (N, C, H, W) to (N, widths[0], H/2, W/2)."""
        levels = [self.stem(x)]
        for down in self.down:
            levels.append(down(levels[-1]))
        y = levels.pop()
        for narrow, up in zip(reversed(self.narrow), reversed(self.up), strict=True):
            y = up(levels.pop() + F.interpolate(narrow(y), scale_factor=2, mode="nearest"))
        return y


class DepthClasses(nn.Module):
    """Stage I: RGB to logits of depth classes.

    Args:
        widths: of the U-Net.
        head: channels of the last block.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 96, 128), head: int = 24) -> None:
        super().__init__()
        self.body = UNet(3, widths)
        self.last = RepConv(widths[0], head)
        self.classify = nn.Conv2d(head, CLASSES, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Predict logits (N, CLASSES, 80, 80) from RGB (N, 3, 160, 160) in [0, 255]."""
        return self.classify(self.features(images))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the features (N, head, 80, 80) of the last layer."""
        return self.last(self.body(images / 127.5 - 1))


class DepthMillimetres(nn.Module):
    """Stage II: grey and stage I's depth to depth; or, without a stage I, RGB to depth.

    Args:
        widths: of the U-Net.
        two_stages: refine stage I's depth: the network then predicts the change.
    """

    def __init__(self, widths: tuple[int, ...] = (12, 24, 48, 64), two_stages: bool = True) -> None:
        super().__init__()
        self.two_stages = two_stages
        self.body = UNet(2 if two_stages else 3, widths)
        self.measure = nn.Conv2d(widths[0], 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Predict depth (N, 80, 80), mm behind the nose tip.

        Args:
            images: (N, 2, 160, 160), grey in [0, 255] and stage I's depth in mm; or RGB (N, 3, 160, 160).
        """
        if not self.two_stages:
            return DEPTH_SCALE_MM * self.measure(self.body(images / 127.5 - 1))[:, 0]
        grey, first_mm = images[:, :1] / 127.5 - 1, images[:, 1:]
        change = self.measure(self.body(torch.cat([grey, first_mm / DEPTH_SCALE_MM], dim=1)))
        return (F.avg_pool2d(first_mm, 2) + DEPTH_SCALE_MM * change)[:, 0]


def mean_depth(logits: torch.Tensor) -> torch.Tensor:
    """Compute the expected depth (N, ...) in mm over the face's classes from logits (N, CLASSES, ...)."""
    middles = NEAREST_MM + STEP_MM * (torch.arange(CLASSES - 1, device=logits.device) + 0.5)
    return torch.tensordot(logits[:, 1:].softmax(dim=1), middles, dims=([1], [0]))


def full_size_depth(logits: torch.Tensor) -> torch.Tensor:
    """Interpolate :func:`mean_depth` to stage I's depth (N, 160, 160), mm behind the nose tip."""
    mean = mean_depth(logits)[:, None]
    return F.interpolate(mean, scale_factor=2, mode="bilinear", align_corners=False)[:, 0]


def stage_two_input(images: torch.Tensor, first_mm: torch.Tensor) -> torch.Tensor:
    """Stack grey from RGB (N, 3, 160, 160) and stage I's depth (N, 160, 160) to (N, 2, 160, 160)."""
    weights = torch.tensor(GREY, device=images.device)[:, None, None]
    return torch.stack([(images * weights).sum(dim=1), first_mm], dim=1)


class DepthClassesForExport(nn.Module):
    """Runtime form of stage I, from images (N, 160, 160, 3) uint8."""

    def __init__(self, net: DepthClasses) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict depth (N, 160, 160) mm, face (N, 80, 80) in [0, 1], logits (N, CLASSES, 80, 80)."""
        logits = self.net(images.permute(0, 3, 1, 2).float())
        return full_size_depth(logits), 1 - logits.softmax(dim=1)[:, 0], logits


class DepthMillimetresForExport(nn.Module):
    """Runtime form of stage II, from grey and stage I's depth (N, 160, 160, 2) float32."""

    def __init__(self, net: DepthMillimetres) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        """Predict depth (N, 80, 80), mm behind the nose tip."""
        return (self.net(images.permute(0, 3, 1, 2)),)
