"""Weights, and activations, of one bit: BinaryNet and Binary-Weight-Networks.

Real weights are kept in training; forward passes see their signs, gradients go straight through to them.
Saves 31 of 32 bits of each weight on disk. Costs accuracy; arithmetic gets no faster without kernels for bits
(see ``bits.py``), and the training keeps the real weights beside.
"""

import torch
from torch import nn

from facegeom_lab.studies.compression.layers import Layer, inner, parametrise, sequences, weighted


class Sign(torch.autograd.Function):
    """sign(x), 1 for 0; its gradient is that of x where |x| <= 1 and 0 beyond.

    M. Courbariaux, I. Hubara, D. Soudry, R. El-Yaniv and Y. Bengio, "Binarized neural networks", 2016, eq. 4.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:
        """Tensors of any shape."""
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        """The straight-through estimate."""
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() <= 1)


class BinaryActivation(nn.Module):
    """sign(x) in place of ReLU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tensors of any shape -> -1 and 1."""
        return Sign.apply(x) if torch.is_grad_enabled() else torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


class BinaryWeight(nn.Module):
    """sign(W), all of one size: BinaryNet's weights. Batch normalisation makes up for the size."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """W -> the size's multiple of ±1."""
        return Sign.apply(weight)


class ScaledBinaryWeight(nn.Module):
    """a · sign(W) with a the mean of |W| over a filter.

    M. Rastegari, V. Ordonez, J. Redmon and A. Farhadi, "XNOR-Net", ECCV 2016, eqs. 4 to 6.
    """

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """W (out, …) -> ±a, a scale for each output."""
        scale = weight.abs().flatten(1).mean(dim=1).view(-1, *[1] * (weight.ndim - 1))
        return scale * Sign.apply(weight)


def binary_net(net: nn.Module, classes: int = 8) -> nn.Module:
    """BinaryNet: all weights ±1, ReLU replaced by the sign, the answer normalised.

    Returns:
        A new row of the changed network and the normalisation.
    """
    parametrise(net, weighted(net), lambda layer: BinaryWeight())
    for row in sequences(net):
        for index, part in enumerate(row):
            if isinstance(part, nn.ReLU):
                row[index] = BinaryActivation()
            elif isinstance(part, nn.Dropout):
                row[index] = nn.Identity()
    return nn.Sequential(net, nn.BatchNorm1d(classes))


def binary_weights(net: nn.Module) -> nn.Module:
    """Binary-Weight-Network: a · sign(W) in all layers but the first and the last; in place."""
    parametrise(net, inner(net), _scaled)
    return net


def _scaled(layer: Layer) -> nn.Module:
    return ScaledBinaryWeight()
