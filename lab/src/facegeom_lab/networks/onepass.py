"""The one-pass detector: a whole photo in, the squares of all its faces out of one call."""

import torch
from torch import nn
from torch.nn import functional as F

from facegeom_lab.networks.blocks import RepConv

STRIDE = 8
"""Pixels from one cell of the answer to the next."""

GRAIN = 32
"""Sides of the pictures are multiples of this."""

TYPICAL_SIDE_PX = 40.0
"""Side of a face for which the network's answer is 0."""


class OnePassNet(nn.Module):
    """A plain convolutional body, its three coarsest maps merged from coarse to fine at stride 8.

    A face is found by the cell that its middle falls into (as CenterNet: Zhou et al., "Objects as points",
    2019), whatever its size; 89 M multiply-adds for a picture of 256 x 256.
    """

    def __init__(
        self,
        stem: tuple[int, int] = (8, 16),
        widths: tuple[int, int, int] = (40, 64, 96),
        depths: tuple[int, int, int] = (2, 2, 1),
        merged: int = 32,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(RepConv(3, stem[0], stride=2), RepConv(stem[0], stem[1], stride=2))
        stages, channels = [], stem[1]
        for width, depth in zip(widths, depths, strict=True):
            blocks = [RepConv(channels, width, stride=2), *(RepConv(width, width) for _ in range(depth))]
            stages.append(nn.Sequential(*blocks))
            channels = width
        self.stages = nn.ModuleList(stages)
        self.across = nn.ModuleList(nn.Conv2d(width, merged, 1) for width in widths)
        self.merge = RepConv(merged, merged)
        self.answer = nn.Conv2d(merged, 4, 1)
        nn.init.constant_(self.answer.bias[:1], -4.6)  # at first one cell in a hundred claims a face

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures (N, 3, H, W), RGB in [0, 255], H and W multiples of 32.

        Returns:
            Logits (N, H/8, W/8) of a face's middle in each cell; (N, 3, H/8, W/8): from the cell's middle
            to the face's, x and y in sides of the face's square, and the logarithm of that side over 40 px.
        """
        x = self.stem((pictures - 127.5) / 64)
        maps = []
        for stage, across in zip(self.stages, self.across, strict=True):
            x = stage(x)
            maps.append(across(x))
        fine, middle, coarse = maps
        middle = middle + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        fine = torch.relu(fine + F.interpolate(middle, scale_factor=2.0, mode="nearest"))
        answer = self.answer(self.merge(fine))
        return answer[:, 0], answer[:, 1:]


def cell_middles(rows: int, columns: int, device: torch.device | None = None) -> torch.Tensor:
    """(rows, columns, 2) middles x, y of the answer's cells, pixels with centres at integers."""
    y, x = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
    )
    return torch.stack([x, y], dim=-1) * STRIDE + (STRIDE - 1) / 2


class OnePassForExport(nn.Module):
    """The network as the runtime calls it: uint8 (N, H, W, 3) in; probabilities and squares out."""

    def __init__(self, net: OnePassNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, H, W, 3) uint8 RGB -> probabilities (N, H/8, W/8) and the raw places (N, 3, H/8, W/8)."""
        logits, places = self.net(pictures.permute(0, 3, 1, 2).float())
        return torch.sigmoid(logits), places
