"""The dense mesh by transfer learning: a frozen body and a small head (Shabalin and Eliseev, 2022)."""

import torch
from torch import nn

from facegeom_lab.networks.backbones import create, normalise

MESH = 478


class MeshBody(nn.Module):
    """EfficientNetV2-B0 without its last stage.

    Args:
        pretrained: see :func:`facegeom_lab.networks.backbones.create`.
    """

    STRIDE, CHANNELS = 32, 192

    def __init__(self, pretrained: str = "none") -> None:
        super().__init__()
        self.net = create("efficientnetv2b0", 0, pretrained)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames (N, 3, S, S), RGB in [0, 255] -> features (N, 192, S/32, S/32)."""
        return self.net.blocks(self.net.bn1(self.net.conv_stem(normalise(frames))))


class MeshHead(nn.Sequential):
    """Normalisation, separable convolution with ReLU, flatten, dense layer with sigmoid.

    Takes features (N, 192, S/32, S/32), gives (N, 478, 3) in [0, 1]: x and y of the frame from its left and
    top edge, z on x's scale with 0.5 in the head's middle plane.

    Args:
        size_px: side S of the frames.
        channels: of the separable convolution.
    """

    def __init__(self, size_px: int, channels: int) -> None:
        width = MeshBody.CHANNELS
        cells = (size_px // MeshBody.STRIDE) ** 2
        super().__init__(
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            nn.Conv2d(width, channels, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(channels * cells, MESH * 3),
            nn.Sigmoid(),
            nn.Unflatten(1, (MESH, 3)),
        )
