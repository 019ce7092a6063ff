"""6DRepNet: head rotation as two raw vectors, by RepVGG (Hempel et al., ICIP 2022; Ding et al., CVPR 2021).

A block of RepVGG has three branches in training and folds into one 3x3 convolution. Layers carry the names of
the authors' checkpoints, in their training form and in their folded form.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.networks.backbones import normalise
from facegeom_lab.networks.blocks import slice_strides


@dataclass(frozen=True)
class Shape:
    """Blocks of the four stages after the first layer, and their widths as fractions of 64, 128, 256, 512.

    ``groups`` applies to the convolutions of every second block.
    """

    blocks: tuple[int, int, int, int]
    widths: tuple[float, float, float, float]
    groups: int = 1

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the first layer and of the four stages."""
        stages = [int(base * width) for base, width in zip((64, 128, 256, 512), self.widths, strict=True)]
        return min(64, stages[0]), *stages


_A, _B = (2, 4, 14, 1), (4, 6, 16, 1)
SHAPES = {
    "A0": Shape(_A, (0.75, 0.75, 0.75, 2.5)),
    "A1": Shape(_A, (1, 1, 1, 2.5)),
    "A2": Shape(_A, (1.5, 1.5, 1.5, 2.75)),
    "B0": Shape(_B, (1, 1, 1, 2.5)),
    "B1": Shape(_B, (2, 2, 2, 4)),
    "B1g2": Shape(_B, (2, 2, 2, 4), groups=2),
    "B1g4": Shape(_B, (2, 2, 2, 4), groups=4),
}
"""Table 2 of the paper; B1g2 is the backbone of the published 6DRepNet."""


class RepVGGBlock(nn.Module):
    """ReLU(BN(conv3x3(x)) + BN(conv1x1(x)) [+ BN(x)]); the last branch where the shape allows it.

    Args:
        channels_in: of x.
        channels_out: of the output.
        stride: 1 or 2.
        groups: of both convolutions.
        folded: start as the plain convolution, for checkpoints of that form.
    """

    def __init__(
        self, channels_in: int, channels_out: int, stride: int = 1, groups: int = 1, folded: bool = False
    ) -> None:
        super().__init__()
        self.channels_in, self.groups = channels_in, groups
        self.rbr_reparam: nn.Conv2d | None = None
        if folded:
            self.rbr_reparam = nn.Conv2d(channels_in, channels_out, 3, stride, 1, groups=groups)
            return
        same = stride == 1 and channels_in == channels_out
        self.rbr_identity = nn.BatchNorm2d(channels_in) if same else None
        self.rbr_dense = _branch(channels_in, channels_out, 3, stride, groups)
        self.rbr_1x1 = _branch(channels_in, channels_out, 1, stride, groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H/stride, W/stride)."""
        if self.rbr_reparam is not None:
            return torch.relu(self.rbr_reparam(x))
        y = self.rbr_dense(x) + self.rbr_1x1(x)
        return torch.relu(y if self.rbr_identity is None else y + self.rbr_identity(x))

    def fold(self) -> None:
        """Replace the branches by the equivalent plain convolution, in evaluation mode."""
        if self.rbr_reparam is not None:
            return
        dense = self.rbr_dense.conv
        parts = [
            _fold_norm(dense.weight, self.rbr_dense.bn),
            _fold_norm(F.pad(self.rbr_1x1.conv.weight, [1, 1, 1, 1]), self.rbr_1x1.bn),
        ]
        if self.rbr_identity is not None:
            parts.append(_fold_norm(self._identity_kernel(), self.rbr_identity))
        plain = nn.Conv2d(
            self.channels_in,
            dense.out_channels,
            3,
            dense.stride,
            1,
            groups=self.groups,
            device=dense.weight.device,
        )
        plain.weight = nn.Parameter(sum(kernel for kernel, _ in parts).detach())
        plain.bias = nn.Parameter(sum(bias for _, bias in parts).detach())
        self.rbr_reparam = plain
        del self.rbr_dense, self.rbr_1x1, self.rbr_identity

    def _identity_kernel(self) -> torch.Tensor:
        """Return the kernel (C, C / groups, 3, 3) of the identity."""
        weight = torch.zeros_like(self.rbr_dense.conv.weight)
        index = torch.arange(self.channels_in)
        weight[index, index % (self.channels_in // self.groups), 1, 1] = 1
        return weight


def _branch(channels_in: int, channels_out: int, size: int, stride: int, groups: int) -> nn.Sequential:
    branch = nn.Sequential()
    conv = nn.Conv2d(channels_in, channels_out, size, stride, size // 2, groups=groups, bias=False)
    branch.add_module("conv", conv)
    branch.add_module("bn", nn.BatchNorm2d(channels_out))
    return branch


def _fold_norm(kernel: torch.Tensor, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Fold a normalisation into the kernel and bias of the convolution before it."""
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return kernel * gain[:, None, None, None], norm.bias - norm.running_mean * gain


def layers(shape: Shape, folded: bool = False) -> list[nn.Module]:
    """Build the first layer and the four stages: (N, 3, S, S) to (N, C, S/32, S/32)."""
    first, *widths = shape.channels
    made: list[nn.Module] = [RepVGGBlock(3, first, stride=2, folded=folded)]
    index, before = 1, first
    for count, width in zip(shape.blocks, widths, strict=True):
        stage = nn.Sequential()
        for number in range(count):
            groups = shape.groups if index % 2 == 0 else 1
            stage.append(RepVGGBlock(before, width, 1 if number else 2, groups, folded))
            index, before = index + 1, width
        made.append(stage)
    return made


def fold(net: nn.Module) -> nn.Module:
    """Fold every block below ``net``, in place."""
    for part in net.modules():
        if isinstance(part, RepVGGBlock):
            part.fold()
    return net


PUBLISHED = "B1g2"
"""Backbone of the published checkpoint."""


class SixDRepNet(nn.Module):
    """RepVGG, global average pooling, one linear layer.

    Args:
        backbone: a key of ``SHAPES``.
        folded: see :class:`RepVGGBlock`.

    Raises:
        InputError: an unknown backbone.
    """

    def __init__(self, backbone: str = "A0", folded: bool = False) -> None:
        super().__init__()
        if backbone not in SHAPES:
            raise InputError(f"expected a backbone of RepVGG ({', '.join(SHAPES)}), got {backbone!r}")
        self.layer0, self.layer1, self.layer2, self.layer3, self.layer4 = layers(SHAPES[backbone], folded)
        self.linear_reg = nn.Linear(SHAPES[backbone].channels[-1], 6)
        slice_strides(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Predict raw vectors a1, a2 (N, 6) from images (N, 3, S, S), RGB in [0, 255]."""
        x = normalise(images)
        for layer in (self.layer0, self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return self.linear_reg(x.mean(dim=(2, 3)))


def published(checkpoint: Path, backbone: str = PUBLISHED) -> SixDRepNet:
    """Load a checkpoint of the authors, in its training form or its folded form.

    Its vectors follow the authors' convention: see ``datasets.angle_conventions.rotation_from_6drepnet``.

    Raises:
        InputError: the file is missing or holds something else.
    """
    if not checkpoint.is_file():
        raise InputError(f"expected 6DRepNet's published checkpoint at {checkpoint}, found nothing")
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        state = state.get("model_state_dict", state)
        folded = any("rbr_reparam" in name for name in state)
        net = SixDRepNet(backbone, folded)
        net.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
    except Exception as error:  # torch raises errors of any type for damaged files
        raise InputError(
            f"{checkpoint} does not hold a 6DRepNet with the backbone {backbone}: {error}"
        ) from error
    return net.eval()
