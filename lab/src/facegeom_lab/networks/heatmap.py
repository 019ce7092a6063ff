"""A network that answers one heat map for each point: slow, accurate, and it says how sure it is of each.

A point is the expectation of its map (Nibali et al., "Numerical Coordinate Regression with Convolutional
Neural Networks", 2018): exact between the cells, and learned as such. Units: half the crop, 0 in its middle,
±1 at its edges.
"""

from collections.abc import Sequence
from math import pi

import timm
import torch
import torch.nn.functional as F
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.networks.backbones import normalise

CELL_PX = 4
"""Side of a map's cell, pixels of the crop."""

SIGMA = 1.0
"""Standard deviation of the Gaussians that the maps should be, cells."""


class ParallelHead(nn.Sequential):
    """Maps from four resolutions kept side by side, as HRNet's for landmarks (Wang et al., TPAMI 2020).

    All are enlarged to the finest, joined, and mixed by two layers of 1 x 1.
    """

    def __init__(self, channels: Sequence[int], points: int) -> None:
        joined = sum(channels)
        super().__init__(
            nn.Conv2d(joined, joined, 1, bias=False),
            nn.BatchNorm2d(joined),
            nn.ReLU(),
            nn.Conv2d(joined, points, 1),
        )

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Features (N, C, H, W), each half the size of the one before -> (N, K, H, W) of the first."""
        size = features[0].shape[2:]
        enlarged = [F.interpolate(each, size=size, mode="bilinear") for each in features]
        return super().forward(torch.cat(enlarged, dim=1))


class RisingHead(nn.Sequential):
    """Maps from the last features, enlarged three times ("Simple Baselines", Xiao et al., ECCV 2018)."""

    WIDTH = 256

    def __init__(self, channels: Sequence[int], points: int) -> None:
        layers: list[nn.Module] = []
        for before in (channels[-1], self.WIDTH, self.WIDTH):
            layers += [
                nn.ConvTranspose2d(before, self.WIDTH, 4, 2, 1, bias=False),
                nn.BatchNorm2d(self.WIDTH),
                nn.ReLU(),
            ]
        super().__init__(*layers, nn.Conv2d(self.WIDTH, points, 1))

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Features, the last (N, C, H, W) -> (N, K, 8 H, 8 W)."""
        return super().forward(features[-1])


BODIES: dict[str, tuple[type[ParallelHead] | type[RisingHead], dict[str, object]]] = {
    "hrnet_w18_small": (ParallelHead, {"feature_location": "", "out_indices": (1, 2, 3, 4)}),
    "resnet18": (RisingHead, {"out_indices": (4,)}),
}
"""Head by timm's name of the body, and which of its features the head takes."""


class HeatmapNet(nn.Module):
    """One heat map for each point, a quarter of the crop wide.

    Args:
        backbone: a key of ``BODIES``.
        points: K.
        pretrained: ``none``, or ``hub`` for timm's ImageNet weights.

    Raises:
        InputError: an unknown name, an unreachable hub.
    """

    def __init__(self, backbone: str, points: int, pretrained: str = "none") -> None:
        super().__init__()
        self.body, head = _body(backbone, pretrained)
        self.head = head(self.body.feature_info.channels(), points)
        nn.init.normal_(self.head[-1].weight, std=0.001)

    def maps(self, crops: torch.Tensor) -> torch.Tensor:
        """Crops (N, 3, S, S), RGB in [0, 255], S a multiple of 32 -> logits (N, K, S/4, S/4) in float32."""
        return self.head(self.body(normalise(crops))).float()

    def read(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Crops -> points (N, K, 2) and their confidence (N, K); see :func:`decode`."""
        return decode(self.maps(crops))

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Crops -> points (N, K, 2) alone, as a network that regresses them."""
        return self.read(crops)[0]


def _body(backbone: str, pretrained: str) -> tuple[nn.Module, type[ParallelHead] | type[RisingHead]]:
    if backbone not in BODIES or pretrained not in ("none", "hub"):
        raise InputError(
            f"expected one of the backbones {', '.join(BODIES)}, pretrained none or hub,"
            f" got {backbone!r}, {pretrained!r}"
        )
    head, options = BODIES[backbone]
    try:
        body = timm.create_model(backbone, pretrained=pretrained == "hub", features_only=True, **options)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"the hub with the ImageNet weights of {backbone} cannot be reached ({error});"
            " set pretrained to none"
        ) from error
    return body, head


def centres(cells: int, device: torch.device | None = None) -> torch.Tensor:
    """(cells,) the middles of a map's cells along an axis, in (-1, 1)."""
    return (2 * torch.arange(cells, device=device, dtype=torch.float32) + 1) / cells - 1


def distribution(maps: torch.Tensor) -> torch.Tensor:
    """Logits (N, K, H, W) -> probabilities that add up to 1 over each map."""
    return maps.flatten(2).softmax(dim=2).reshape(maps.shape)


def expectation(probability: torch.Tensor) -> torch.Tensor:
    """Maps (N, K, H, W) that add up to 1 -> the mean place (N, K, 2), x right, y down."""
    height, width = probability.shape[2:]
    x = probability.sum(dim=2) @ centres(width, probability.device)
    y = probability.sum(dim=3) @ centres(height, probability.device)
    return torch.stack([x, y], dim=2)


def gaussians(points: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    """Maps (N, K, H, W) that add up to 1: Gaussians of ``SIGMA`` cells about points (N, K, 2)."""
    shares = []
    for axis, cells in ((1, size_hw[0]), (0, size_hw[1])):
        away = (centres(cells, points.device) - points[..., axis, None]) * (cells / 2 / SIGMA)
        shares.append(torch.softmax(-(away**2) / 2, dim=2))
    return shares[0][..., :, None] * shares[1][..., None, :]


def decode(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Points and confidences from logits (N, K, H, W).

    Returns:
        Points (N, K, 2), the maps' expectations, and (N, K) in [0, 1], the height of the maps' peaks: 1 for a
        Gaussian of ``SIGMA`` cells (0.8 where the point lies between four cells) or a narrower peak.
    """
    probability = distribution(maps)
    height = probability.flatten(2).amax(dim=2) * (2 * pi * SIGMA**2)
    return expectation(probability), height.clamp(max=1)
