"""The network of the compact task: plain convolutions, then two dense layers."""

import torch
from torch import nn

from facegeom_lab.datasets.published.facepoints14 import POINTS

WIDTHS = (24, 48, 96, 160)
DEPTHS = (1, 2, 2, 2)  # convolutions at each resolution, the first of stride 2
GRID = 6  # cells a side that the dense layers see
SQUEEZED = 64
HIDDEN = 256


class KeypointNet(nn.Module):
    """14 points of one face from a square picture.

    The picture's side, the statistics that normalise it, and the shift of the labels (see
    :func:`.detection.label_shift`) travel with the weights, as buffers.

    Args:
        input_px: side of the pictures.
        dropout: probability, in training, of a feature of the dense layers to be left out.
    """

    mean: torch.Tensor
    std: torch.Tensor
    input_px: torch.Tensor
    shift: torch.Tensor

    def __init__(self, input_px: int = 96, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("input_px", torch.tensor(input_px))
        self.register_buffer("mean", torch.full((3,), 127.5))
        self.register_buffer("std", torch.full((3,), 64.0))
        self.register_buffer("shift", torch.zeros(2))
        self.body = nn.Sequential(*_layers())
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(GRID), nn.Conv2d(WIDTHS[-1], SQUEEZED, 1), nn.ReLU(), nn.Flatten()
        )
        self.answer = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(SQUEEZED * GRID**2, HIDDEN),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, 2 * POINTS),
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures (N, 3, S, S), RGB in [0, 255] -> points (N, 14, 2): 0 in the middle, ±0.5 at the edges.

        Without the shift.
        """
        x = (pictures - self.mean[:, None, None]) / self.std[:, None, None]
        return self.answer(self.squeeze(self.body(x))).unflatten(1, (POINTS, 2))


def _layers() -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in zip(WIDTHS, DEPTHS, strict=True):
        for index in range(depth):
            layers += [
                nn.Conv2d(channels, width, 3, 2 if index == 0 else 1, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            channels = width
    return layers
