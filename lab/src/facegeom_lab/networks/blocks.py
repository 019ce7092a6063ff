"""Convolution blocks that become one plain convolution after training."""

from functools import partial

import torch
from torch import nn


class RepConv(nn.Module):
    """ReLU(BN(conv3x3(x)) [+ x]): a residual block that folds into one 3x3 convolution.

    The identity branch exists where the shape allows it. Re-parameterisation as in RepVGG (Ding et al.,
    CVPR 2021), with one convolution branch: normalisation is folded into the kernel, the identity is
    a kernel with a single 1.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.identity = stride == 1 and channels_in == channels_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H/stride, W/stride)."""
        y = self.norm(self.conv(x))
        return torch.relu(y + x) if self.identity else torch.relu(y)

    def folded(self) -> nn.Sequential:
        """Return the same function in evaluation mode as convolution + ReLU."""
        plain = nn.Conv2d(self.conv.in_channels, self.conv.out_channels, 3, self.conv.stride, 1)
        variance, mean = self.norm.running_var, self.norm.running_mean
        gain = self.norm.weight / torch.sqrt(variance + self.norm.eps)
        kernel = self.conv.weight * gain[:, None, None, None]
        if self.identity:
            index = torch.arange(kernel.shape[0])
            kernel = kernel.clone()
            kernel[index, index, 1, 1] += 1
        plain.weight = nn.Parameter(kernel.detach())
        plain.bias = nn.Parameter((self.norm.bias - mean * gain).detach())
        return nn.Sequential(plain, nn.ReLU())

    @torch.no_grad()
    def unfold(self, plain: nn.Conv2d) -> None:
        """Take the weights of :meth:`folded`'s convolution in place, the inverse of folding."""
        kernel = plain.weight.clone()
        if self.identity:
            index = torch.arange(kernel.shape[0])
            kernel[index, index, 1, 1] -= 1
        self.conv.weight.copy_(kernel)
        self.norm.weight.fill_(1)
        self.norm.bias.copy_(plain.bias)
        self.norm.running_mean.zero_()
        self.norm.running_var.fill_(1 - self.norm.eps)


def stage_blocks(channels_in: int, width: int, depth: int) -> list[RepConv]:
    """Return the blocks of one stage: one that halves the size, and ``depth`` residual ones."""
    return [RepConv(channels_in, width, stride=2), *(RepConv(width, width) for _ in range(depth))]


def slice_strides(module: nn.Module) -> nn.Module:
    """Let 1x1 convolutions with a stride below ``module`` see the pixels that they take, in place.

    The function is the same. In channels-last layout PyTorch 2.14 ends the process in the backward pass of
    such a convolution, on processors without AVX-512.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.stride != (1, 1):
            layer.register_forward_pre_hook(partial(_take, *layer.stride))
            layer.stride = (1, 1)
    return module


def _take(
    rows: int, columns: int, layer: nn.Module, inputs: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...]:
    return (inputs[0][..., ::rows, ::columns], *inputs[1:])


def fold(module: nn.Module) -> nn.Module:
    """Replace every :class:`RepConv` below ``module`` by its folded form, in place."""
    for name, child in module.named_children():
        setattr(module, name, child.folded() if isinstance(child, RepConv) else fold(child))
    return module


@torch.no_grad()
def unfold(folded: nn.Module, module: nn.Module) -> nn.Module:
    """Copy the weights of ``folded``, a folded form of ``module`` after training, into ``module`` in place.

    The normalisation becomes the identity with the bias of the convolution, so that :func:`fold` gives
    ``folded`` again.
    """
    for name, child in module.named_children():
        if isinstance(child, RepConv):
            child.unfold(getattr(folded, name)[0])
        else:
            unfold(getattr(folded, name), child)
    for name, parameter in module.named_parameters(recurse=False):
        parameter.copy_(getattr(folded, name))
    return module
