"""Weights, and activations, of one bit: BinaryNet and Binary-Weight-Networks.

Real weights are kept in training; forward passes see their signs, and gradients pass straight through to the
real ones. Saves 31 of 32 bits of each weight on disk. Costs accuracy; arithmetic gets no faster without
kernels for bits (see ``xnor.py``), and the training keeps the real weights as well.
"""

import torch
from torch import nn

from facegeom_lab.studies.compression.networks import (
    Layer,
    inner_layers,
    parametrise,
    sequences,
    weighted_layers,
)


class Sign(torch.autograd.Function):
    """sign(x), with sign(0) = 1; its gradient is that of x where |x| <= 1 and 0 beyond.

    M. Courbariaux, I. Hubara, D. Soudry, R. El-Yaniv and Y. Bengio, "Binarized neural networks", 2016, eq. 4.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:
        """Map a tensor of any shape to -1 and 1."""
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        """Return the straight-through estimate."""
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() <= 1)


class BinaryActivation(nn.Module):
    """sign(x) in place of ReLU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map a tensor of any shape to -1 and 1."""
        return Sign.apply(x) if torch.is_grad_enabled() else torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


class BinaryWeight(nn.Module):
    """sign(W): BinaryNet's weights, without a scale. Batch normalisation replaces the scale."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Map W to ±1."""
        return Sign.apply(weight)


@torch.no_grad()
def clip_weights(net: nn.Module) -> None:
    """Clip the real weights behind BinaryNet's signs to [-1, 1], after a step; in place.

    Courbariaux et al., 2016, algorithm 1: beyond, a weight gets no gradient any more and its sign is stuck.
    """
    for part in net.modules():
        for each in getattr(part, "parametrizations", {}).values():
            if any(isinstance(function, BinaryWeight) for function in each):
                each.original.clamp_(-1, 1)


class ScaledBinaryWeight(nn.Module):
    """a · sign(W) with a the mean of |W| over a filter.

    M. Rastegari, V. Ordonez, J. Redmon and A. Farhadi, "XNOR-Net", ECCV 2016, eqs. 4 to 6.
    """

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Map W (out, …) to ±a, one scale for each output."""
        scale = weight.abs().flatten(1).mean(dim=1).view(-1, *[1] * (weight.ndim - 1))
        return scale * Sign.apply(weight)


def binary_net(net: nn.Module, classes: int = 8) -> nn.Module:
    """Build BinaryNet: all weights ±1, ReLU replaced by the sign, the logits normalised.

    Returns:
        The changed network followed by the normalisation.
    """
    parametrise(net, weighted_layers(net), lambda layer: BinaryWeight())
    for sequence in sequences(net):
        for index, part in enumerate(sequence):
            if isinstance(part, nn.ReLU):
                sequence[index] = BinaryActivation()
            elif isinstance(part, nn.Dropout):
                sequence[index] = nn.Identity()
    return nn.Sequential(net, nn.BatchNorm1d(classes))


def binary_weights(net: nn.Module) -> nn.Module:
    """Build a Binary-Weight-Network: a · sign(W) in all layers but the first and the last, in place."""
    parametrise(net, inner_layers(net), _scaled)
    return net


def _scaled(layer: Layer) -> nn.Module:
    return ScaledBinaryWeight()
