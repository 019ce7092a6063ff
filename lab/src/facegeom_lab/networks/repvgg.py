"""RepVGG: branches in training, one plain 3x3 convolution a block in use (Ding et al., CVPR 2021).

Layers carry the names of the authors' checkpoints, in their training form and in their folded form.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Shape:
    """Blocks of the four stages after the first layer, their widths as parts of 64, 128, 256, 512.

    ``groups`` are those of every second block's convolutions.
    """

    blocks: tuple[int, int, int, int]
    widths: tuple[float, float, float, float]
    groups: int = 1

    @property
    def channels(self) -> tuple[int, ...]:
        """Of the first layer and of the four stages."""
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
"""Table 2 of the paper; B1g2 is the body of the published 6DRepNet."""


class RepVGGBlock(nn.Module):
    """ReLU(BN(conv3x3(x)) + BN(conv1x1(x)) [+ BN(x)]); the last branch where the shape allows it.

    Args:
        channels_in: of x.
        channels_out: of the answer.
        stride: 1 or 2.
        groups: of both convolutions.
        folded: begin as the plain convolution, for checkpoints that hold that form.
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
        """(N, C_in, H, W) -> (N, C_out, H/stride, W/stride)."""
        if self.rbr_reparam is not None:
            return torch.relu(self.rbr_reparam(x))
        y = self.rbr_dense(x) + self.rbr_1x1(x)
        return torch.relu(y if self.rbr_identity is None else y + self.rbr_identity(x))

    def fold(self) -> None:
        """Become the plain convolution that gives the same answers in evaluation mode."""
        if self.rbr_reparam is not None:
            return
        dense = self.rbr_dense.conv
        parts = [
            _absorbed(dense.weight, self.rbr_dense.bn),
            _absorbed(F.pad(self.rbr_1x1.conv.weight, [1, 1, 1, 1]), self.rbr_1x1.bn),
        ]
        if self.rbr_identity is not None:
            parts.append(_absorbed(self._identity_kernel(), self.rbr_identity))
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
        """(C, C / groups, 3, 3) the convolution that changes nothing."""
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


def _absorbed(kernel: torch.Tensor, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Kernel and bias of a convolution and the normalisation after it."""
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return kernel * gain[:, None, None, None], norm.bias - norm.running_mean * gain


def layers(shape: Shape, folded: bool = False) -> list[nn.Module]:
    """The first layer and the four stages: (N, 3, S, S) -> (N, C, S/32, S/32)."""
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
