"""XNOR-Net: weights and activations of one bit, scaled, in a block of another order.

M. Rastegari, V. Ordonez, J. Redmon and A. Farhadi, "XNOR-Net", ECCV 2016, section 3.2 and fig. 3:
normalisation, sign, binary convolution, pooling. The output is scaled by a (mean |W| of the filter) and K
(mean |x| under it). With bits packed, a product of 64 numbers is one XNOR and one count; as floats nothing is
saved but disk.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from facegeom_lab.studies.compression.binary import BinaryActivation, ScaledBinaryWeight
from facegeom_lab.studies.compression.layers import Layer, sequences, weighted


class XnorLayer(nn.Module):
    """Normalisation, sign, binary convolution or matrix product, scale K.

    Args:
        layer: gives the weights.
        binary_activations: False for real ones: the same order with ReLU in place of the sign, and without K,
            which stands for the magnitude that the sign takes away.
    """

    def __init__(self, layer: Layer, binary_activations: bool = True) -> None:
        super().__init__()
        conv = isinstance(layer, nn.Conv2d)
        self.norm = nn.BatchNorm2d(layer.in_channels) if conv else nn.BatchNorm1d(layer.in_features)
        self.binary = binary_activations
        self.active = BinaryActivation() if binary_activations else nn.ReLU()
        self.layer = layer
        parametrize.register_parametrization(layer, "weight", ScaledBinaryWeight(), unsafe=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) or (N, C) -> what the layer gives, in the same order of axes."""
        x = self.norm(x)
        answer = self.layer(self.active(x))
        return answer * self._scale(x) if self.binary else answer

    def _scale(self, x: torch.Tensor) -> torch.Tensor:
        """K: the mean of |x| over the channels and under the kernel (eq. 11)."""
        mean = x.abs().mean(dim=1, keepdim=True)
        if isinstance(self.layer, nn.Linear):
            return mean
        return F.avg_pool2d(mean, self.layer.kernel_size, self.layer.stride, self.layer.padding)


def xnor_net(net: nn.Module, binary_activations: bool = True) -> nn.Module:
    """Turn every block but the first and last layer into XNOR-Net's; in place.

    A row "layer, pooling, normalisation, ReLU" becomes "normalisation, sign, binary layer, pooling": what
    followed the layer is dropped, pooling stays.
    """
    kept = [layer for _, layer in (weighted(net)[0], weighted(net)[-1])]
    for row in list(sequences(net)):
        inside = False
        for index, part in enumerate(row):
            if isinstance(part, nn.Conv2d | nn.Linear):
                inside = not any(part is layer for layer in kept)
                if inside:
                    row[index] = XnorLayer(part, binary_activations)
            elif inside and isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.ReLU | nn.Dropout):
                row[index] = nn.Identity()
    return net
