"""Heat-map network: one map for each point, slow and accurate, with a confidence for each.

A point is the expectation of its map (Nibali et al., "Numerical Coordinate Regression with Convolutional
Neural Networks", 2018): exact between the cells and differentiable. Units: half the crop, 0 in the centre,
±1 at the edges.
"""

from collections.abc import Sequence
from math import pi

import timm
import torch
import torch.nn.functional as F
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.networks.backbones import from_hub, normalise
from facegeom_lab.networks.blocks import slice_strides

CELL_PX = 4
"""Side of a map's cell in pixels of the crop."""

SIGMA = 1.0
"""Standard deviation of the target Gaussians, cells."""


class ParallelHead(nn.Sequential):
    """Maps from four parallel resolutions, as HRNet's for landmarks (Wang et al., TPAMI 2020).

    Resize all to the finest, concatenate, apply two 1 x 1 convolutions.
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
        """Map features (N, C, H, W), each half the size of the one before, to (N, K, H, W) of the first."""
        size = features[0].shape[2:]
        enlarged = [F.interpolate(each, size=size, mode="bilinear") for each in features]
        return super().forward(torch.cat(enlarged, dim=1))


class UpsamplingHead(nn.Sequential):
    """Maps from the last features, upsampled three times ("Simple Baselines", Xiao et al., ECCV 2018)."""

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
        """Map the last features (N, C, H, W) to (N, K, 8 H, 8 W)."""
        return super().forward(features[-1])


HEADS: dict[str, tuple[type[ParallelHead] | type[UpsamplingHead], dict[str, object]]] = {
    "hrnet_w18_small": (ParallelHead, {"feature_location": "", "out_indices": (1, 2, 3, 4)}),
    "resnet18": (UpsamplingHead, {"out_indices": (4,)}),
}
"""Head by timm's name of the backbone, and options that choose the features for the head."""


class HeatmapNet(nn.Module):
    """One heat map for each point, a quarter of the crop wide.

    The attribute ``body`` names the weights of the backbone in checkpoints.

    Args:
        backbone: a key of ``HEADS``.
        points: K.
        pretrained: ``none``, or ``hub`` for timm's ImageNet weights.

    Raises:
        InputError: an unknown name, an unreachable hub.
    """

    def __init__(self, backbone: str, points: int, pretrained: str = "none") -> None:
        super().__init__()
        self.body, head = _create(backbone, pretrained)
        self.head = head(self.body.feature_info.channels(), points)
        nn.init.normal_(self.head[-1].weight, std=0.001)

    def maps(self, crops: torch.Tensor) -> torch.Tensor:
        """Predict logits (N, K, S/4, S/4) in float32 from crops (N, 3, S, S), RGB in [0, 255], S = 32 k."""
        return self.head(self.body(normalise(crops))).float()

    def read(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict points (N, K, 2) and their confidence (N, K); see :func:`decode`."""
        return decode(self.maps(crops))

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Predict points (N, K, 2) only, as a network that regresses them."""
        return self.read(crops)[0]


def _create(backbone: str, pretrained: str) -> tuple[nn.Module, type[ParallelHead] | type[UpsamplingHead]]:
    if backbone not in HEADS or pretrained not in ("none", "hub"):
        raise InputError(
            f"expected one of the backbones {', '.join(HEADS)}, pretrained none or hub,"
            f" got {backbone!r}, {pretrained!r}"
        )
    head, options = HEADS[backbone]
    if pretrained == "hub":
        return from_hub(backbone, "set pretrained to none", features_only=True, **options), head
    return slice_strides(timm.create_model(backbone, pretrained=False, features_only=True, **options)), head


def centres(cells: int, device: torch.device | None = None) -> torch.Tensor:
    """Return the centres (cells,) of a map's cells along an axis, in (-1, 1)."""
    return (2 * torch.arange(cells, device=device, dtype=torch.float32) + 1) / cells - 1


def distribution(maps: torch.Tensor) -> torch.Tensor:
    """Normalise logits (N, K, H, W) to probabilities over each map."""
    return maps.flatten(2).softmax(dim=2).reshape(maps.shape)


def expectation(probability: torch.Tensor) -> torch.Tensor:
    """Compute the expected position (N, K, 2), x right, y down, of normalised maps (N, K, H, W)."""
    height, width = probability.shape[2:]
    x = probability.sum(dim=2) @ centres(width, probability.device)
    y = probability.sum(dim=3) @ centres(height, probability.device)
    return torch.stack([x, y], dim=2)


def gaussians(points: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    """Return normalised Gaussian maps (N, K, H, W) of ``SIGMA`` cells about points (N, K, 2)."""
    axes = []
    for axis, cells in ((1, size_hw[0]), (0, size_hw[1])):
        away = (centres(cells, points.device) - points[..., axis, None]) * (cells / 2 / SIGMA)
        axes.append(torch.softmax(-(away**2) / 2, dim=2))
    return axes[0][..., :, None] * axes[1][..., None, :]


def decode(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Decode points and confidences from logits (N, K, H, W).

    Returns:
        Points (N, K, 2), the maps' expectations, and (N, K) in [0, 1], the height of the maps' peaks: 1 for a
        Gaussian of ``SIGMA`` cells (0.8 where the point lies between four cells) or a narrower peak.
    """
    probability = distribution(maps)
    height = probability.flatten(2).amax(dim=2) * (2 * pi * SIGMA**2)
    return expectation(probability), height.clamp(max=1)
