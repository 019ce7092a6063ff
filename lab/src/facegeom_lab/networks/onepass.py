"""The one-pass detector: a whole photo in, the boxes of all faces out."""

import torch
from torch import nn
from torch.nn import functional as F

from facegeom.models.detector import STRIDE
from facegeom_lab.networks.blocks import RepConv, stage_blocks


class OnePassNet(nn.Module):
    """A plain convolutional backbone whose three coarsest maps are merged from coarse to fine at stride 8.

    A face is predicted by the cell of its centre, whatever its size, as in CenterNet (Zhou et al., "Objects
    as points", 2019); 89 M multiply-adds for an image of 256 x 256. The attribute ``answer`` names the last
    layer's weights in checkpoints and ONNX files.
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
            stages.append(nn.Sequential(*stage_blocks(channels, width, depth)))
            channels = width
        self.stages = nn.ModuleList(stages)
        self.across = nn.ModuleList(nn.Conv2d(width, merged, 1) for width in widths)
        self.merge = RepConv(merged, merged)
        self.answer = nn.Conv2d(merged, 4, 1)
        nn.init.constant_(self.answer.bias[:1], -4.6)  # initial score 0.01

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict from images (N, 3, H, W), RGB in [0, 255], H and W multiples of 32.

        Returns:
            Logits (N, H/8, W/8) of a face's centre in each cell; offsets and log-size (N, 3, H/8, W/8): from
            the cell's centre to the face's, x and y in sides of its square box, and log(side / 40 px).
        """
        x = self.stem((images - 127.5) / 64)
        maps = []
        for stage, across in zip(self.stages, self.across, strict=True):
            x = stage(x)
            maps.append(across(x))
        fine, middle, coarse = maps
        middle = middle + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        fine = torch.relu(fine + F.interpolate(middle, scale_factor=2.0, mode="nearest"))
        output = self.answer(self.merge(fine))
        return output[:, 0], output[:, 1:]


def cell_centres(rows: int, columns: int, device: torch.device | None = None) -> torch.Tensor:
    """Return the centres x, y (rows, columns, 2) of the cells, pixels with centres at integers."""
    y, x = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
    )
    return torch.stack([x, y], dim=-1) * STRIDE + (STRIDE - 1) / 2


class OnePassForExport(nn.Module):
    """Runtime form of the network: uint8 (N, H, W, 3) in, probabilities and boxes out."""

    def __init__(self, net: OnePassNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict probabilities (N, H/8, W/8) and raw boxes (N, 3, H/8, W/8) from (N, H, W, 3) uint8 RGB."""
        logits, boxes = self.net(images.permute(0, 3, 1, 2).float())
        return torch.sigmoid(logits), boxes
