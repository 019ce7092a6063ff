"""Magnitude pruning: small weights become zeros and stay so while the others are trained on.

S. Han, J. Pool, J. Tran and W. Dally, "Learning both weights and connections for efficient neural networks",
NIPS 2015. Saves what a coded file need not hold; costs a second training. Dense arithmetic gets no faster.
"""

from torch import nn
from torch.nn.utils import prune as pruner

from facegeom.errors import InputError
from facegeom_lab.studies.compression.layers import weighted


def prune(net: nn.Module, keep_conv: float, keep_linear: float) -> nn.Module:
    """Set the smallest weights of each layer but the last to zero; masks hold them there. In place.

    Args:
        net: any.
        keep_conv: share of the weights of each convolution that stays, in (0, 1].
        keep_linear: the same of each matrix product.

    Raises:
        InputError: a share out of its range.
    """
    if not (0 < keep_conv <= 1 and 0 < keep_linear <= 1):
        raise InputError(f"expected shares in (0, 1] to keep, got {keep_conv} and {keep_linear}")
    for _, layer in weighted(net)[:-1]:
        keep = keep_conv if isinstance(layer, nn.Conv2d) else keep_linear
        pruner.l1_unstructured(layer, "weight", amount=1 - keep)
    return net


def settle_zeros(net: nn.Module) -> nn.Module:
    """Make the zeros part of the weights and drop the masks; in place."""
    for _, layer in weighted(net):
        if pruner.is_pruned(layer):
            pruner.remove(layer, "weight")
    return net


def density(net: nn.Module) -> float:
    """Share of the weights of convolutions and matrix products that are not zero."""
    weights = [layer.weight for _, layer in weighted(net)]
    return sum(int(w.count_nonzero()) for w in weights) / sum(w.numel() for w in weights)
