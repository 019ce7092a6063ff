"""Networks of the face's regions: a crop of an eye or of the mouth and its points in, better points out."""

import torch
import torch.nn.functional as F
from torch import nn

from facegeom.models.regions import CROP_PX, Region
from facegeom_lab.networks.blocks import stage_blocks


class RegionNet(nn.Module):
    """A plain convolutional backbone, joined by the points of a first look; 10 M multiply-adds at 64 px.

    It predicts how far the points lie from where the first look saw them, as in cascaded regression (Dollár
    et al., "Cascaded pose regression", CVPR 2010).

    Crops show the person's right eye, or the left one mirrored, or the mouth. Coordinates are in crop units:
    x right, y down, 0 in the centre, ±0.5 at the edges. A scale is the expected error of a point, in the same
    unit.

    Args:
        region: decides the points, K + L of mesh and 68-point scheme.
        widths: channels of the stages, each at half the size of the one before.
        depths: residual blocks of the stages.
    """

    def __init__(
        self,
        region: Region,
        widths: tuple[int, ...] = (16, 32, 64, 96),
        depths: tuple[int, ...] = (0, 1, 1, 1),
    ) -> None:
        super().__init__()
        self.points = region.mesh_indices.shape[1] + region.ibug68_indices.shape[1]
        layers: list[nn.Module] = []
        channels = 3
        for width, depth in zip(widths, depths, strict=True):
            layers += stage_blocks(channels, width, depth)
            channels = width
        self.body = nn.Sequential(*layers)
        cells = (CROP_PX // 2 ** len(widths)) ** 2
        self.hidden = nn.Sequential(nn.Linear(channels * cells + 2 * self.points, 160), nn.ReLU())
        self.answer = nn.Linear(160, self.points * 3)

    def forward(
        self, crops: torch.Tensor, first: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict points (N, K + L, 2), log scales (N, K + L) and features (N, 544) of what is seen.

        Args:
            crops: (N, 3, 64, 64) RGB in [0, 255].
            first: (N, K + L, 2) points of the first look.
        """
        seen = self.body((crops - 127.5) / 64)
        with torch.autocast(seen.device.type, enabled=False):  # bfloat16 is too coarse for points
            joined = torch.cat([seen.float().flatten(1), 4 * first.flatten(1)], dim=1)
            hidden = self.hidden(joined)
            answer = self.answer(hidden)
            features = torch.cat([F.avg_pool2d(seen.float(), 2).flatten(1), hidden], dim=1)
        moves = answer[:, : 2 * self.points].reshape(-1, self.points, 2)
        return first + moves / 8, answer[:, 2 * self.points :], features


class RegionNetForExport(nn.Module):
    """Runtime form of a region's network: bytes in, points and features out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, crops: torch.Tensor, first: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict points (N, K + L, 2) and features (N, 544) from crops (N, 64, 64, 3) uint8 RGB."""
        points, _, features = self.net(crops.permute(0, 3, 1, 2).float(), first)
        return points, features


OUTPUTS = ("points", "features")
