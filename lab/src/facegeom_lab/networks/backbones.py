"""Backbones of timm under the recipes' names, their initial weights, and networks built on them."""

from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import timm
import torch
from huggingface_hub import constants
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.networks.blocks import slice_strides
from facegeom_lab.networks.checkpoint import read_state

BACKBONES = {
    "resnet18": "resnet18",
    "mobilenetv2": "mobilenetv2_100",
    "efficientnetb0": "efficientnet_b0",
    "mobilenetv3": "mobilenetv3_large_100",
    "mobilevit": "mobilevit_s",
    "efficientnetv2b0": "tf_efficientnetv2_b0",
}
MESH = 478
HUB_SECONDS = 5.0
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in [0, 1]


class Regressor(nn.Module):
    """A timm classifier whose last layer predicts coordinates.

    The attribute ``body`` names its weights in checkpoints.

    Args:
        backbone: a key of ``BACKBONES``.
        points: number of points K.
        dimensions: D of each point.
        pretrained: see :func:`create`.
        frozen_blocks: number of first blocks that keep their weights.
        live_statistics: these blocks normalise by the batch in training, not by what they have learned.
    """

    def __init__(
        self,
        backbone: str,
        points: int,
        dimensions: int = 2,
        pretrained: str = "none",
        frozen_blocks: int = 0,
        live_statistics: bool = False,
    ) -> None:
        super().__init__()
        self.points, self.dimensions = points, dimensions
        self.body = create(backbone, points * dimensions, pretrained)
        self._frozen = first_blocks(self.body, frozen_blocks) if frozen_blocks else []
        for part in self._frozen:
            part.requires_grad_(False).train(live_statistics)
        self._live = live_statistics

    def train(self, mode: bool = True) -> "Regressor":
        """Set the mode; frozen blocks stay in evaluation mode unless their statistics are live."""
        super().train(mode)
        for part in self._frozen:
            part.train(mode and self._live)
        return self

    def keep_statistics(self) -> None:
        """Let batch normalisation keep its running statistics until ``train`` is called.

        Frozen blocks stay as they are.
        """
        frozen = {id(module) for part in self._frozen for module in part.modules()}
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d) and id(module) not in frozen:
                module.eval()

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Predict points (N, K, D) from crops (N, 3, S, S), RGB in [0, 255]."""
        return self.body(normalise(crops)).unflatten(1, (self.points, self.dimensions))


def create(backbone: str, outputs: int, pretrained: str = "none", **options: object) -> nn.Module:
    """Create timm's network ``backbone`` with ``outputs`` numbers out of its last layer.

    Args:
        backbone: a key of ``BACKBONES``.
        outputs: of the last layer.
        pretrained: ``none``; ``hub`` for timm's ImageNet weights; or the checkpoint of a training
            here, whose backbone is taken without its last layer.
        options: passed on to timm.

    Raises:
        InputError: an unknown name, an unreachable hub, a checkpoint of another network.
    """
    if backbone not in BACKBONES:
        raise InputError(f"expected one of the backbones {', '.join(BACKBONES)}, got {backbone!r}")
    name = BACKBONES[backbone]
    if pretrained == "hub":
        advice = "set pretrained to none, or to the checkpoint of `facegeom lab train body`"
        return from_hub(name, advice, num_classes=outputs, **options)
    net = timm.create_model(name, pretrained=False, num_classes=outputs, **options)
    if pretrained not in ("none", "hub"):
        load_backbone(net, Path(pretrained))
    return slice_strides(net)


def from_hub(name: str, advice: str, **options: object) -> nn.Module:
    """Create a network of timm with its ImageNet weights, from timm's cache or from the hub.

    Args:
        name: of the network in timm.
        advice: what to do where there are no weights, for the error.
        options: passed on to timm.

    Raises:
        InputError: the weights are not in the cache, and the hub does not answer within seconds.
    """
    try:
        constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE or not _hub_answers()
        return slice_strides(timm.create_model(name, pretrained=True, **options))
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"the hub with the ImageNet weights of {name} cannot be reached ({error}); {advice}"
        ) from error


def _hub_answers() -> bool:
    """Ask the hub once; its own client would ask many times, with growing pauses."""
    try:
        with urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=HUB_SECONDS):
            return True
    except HTTPError:
        return True
    except OSError:
        return False


def load_backbone(net: nn.Module, checkpoint: Path) -> None:
    """Load the backbone of a checkpoint into a timm network, all but its last layer.

    Raises:
        InputError: the checkpoint does not hold every weight, in the same shapes.
    """
    prefix = "net.body."
    found = {k.removeprefix(prefix): v for k, v in read_state(checkpoint).items() if k.startswith(prefix)}
    own = net.state_dict()
    last = tuple(f"{name}." for name in _last_layers(net))
    wanted = [name for name in own if not name.startswith(last)]
    wrong = [name for name in wanted if name not in found or found[name].shape != own[name].shape]
    if wrong:
        raise InputError(
            f"{checkpoint} does not hold this backbone: {len(wrong)} weights differ, first {wrong[0]}"
        )
    net.load_state_dict(own | {name: found[name] for name in wanted})


def _last_layers(net: nn.Module) -> tuple[str, ...]:
    names = net.default_cfg["classifier"]
    return (names,) if isinstance(names, str) else tuple(names)


def first_blocks(net: nn.Module, count: int) -> list[nn.Module]:
    """Return the stem and the first ``count`` blocks of a MobileNet or EfficientNet of timm.

    Raises:
        InputError: the network has no such blocks, or fewer.
    """
    blocks = [block for stage in getattr(net, "blocks", ()) for block in stage]
    if not 0 < count <= len(blocks):
        raise InputError(f"expected frozen_blocks between 1 and {len(blocks)} for this network, got {count}")
    return [net.conv_stem, net.bn1, *blocks[:count]]


def normalise(crops: torch.Tensor) -> torch.Tensor:
    """Normalise RGB in [0, 255] by the mean and standard deviation of ImageNet."""
    mean = torch.tensor(MEAN, device=crops.device)[:, None, None]
    std = torch.tensor(STD, device=crops.device)[:, None, None]
    scaled = (crops.float() / 255 - mean) / std
    return scaled.contiguous(memory_format=torch.channels_last)


class MeshBackbone(nn.Module):
    """EfficientNetV2-B0 without its last stage, the frozen backbone of the dense mesh.

    Args:
        pretrained: see :func:`create`.
    """

    STRIDE, CHANNELS = 32, 192

    def __init__(self, pretrained: str = "none") -> None:
        super().__init__()
        self.net = create("efficientnetv2b0", 0, pretrained)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Compute features (N, 192, S/32, S/32) from frames (N, 3, S, S), RGB in [0, 255]."""
        return self.net.blocks(self.net.bn1(self.net.conv_stem(normalise(frames))))


class MeshHead(nn.Sequential):
    """Head of the dense mesh by transfer learning (Shabalin and Eliseev, 2022).

    Normalisation, separable convolution with ReLU, dense layer with sigmoid. Maps features
    (N, 192, S/32, S/32) to (N, 478, 3) in [0, 1]: x and y from the frame's left and top edge, z on x's scale
    with 0.5 in the head's middle plane.

    Args:
        size_px: side S of the frames.
        channels: of the separable convolution.
    """

    def __init__(self, size_px: int, channels: int) -> None:
        width = MeshBackbone.CHANNELS
        cells = (size_px // MeshBackbone.STRIDE) ** 2
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
