"""Trained quantisation: weights of a layer share a few values, which are trained on.

S. Han, H. Mao and W. Dally, "Deep compression", ICLR 2016, section 3. Saves: an index of some bits for each
weight that is not zero, and a small table. Costs the look-up, or, as here, the memory of expanded weights.
"""

import numpy as np
import torch
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.studies.compression.layers import Layer, LookUp, parametrise, weighted

ROUNDS = 30


class Shared(nn.Module):
    """The rule of a weight that takes values from a table; zeros stay zeros.

    The gradient of an entry of the table is the sum of those of the weights that use it (eq. 3).
    """

    def __init__(self, weight: torch.Tensor, entries: int) -> None:
        super().__init__()
        flat = weight.detach().cpu().numpy().ravel()
        used = flat != 0
        table = kmeans_1d(flat[used], entries)
        index = np.zeros(flat.size, np.int32)  # entry 0 is zero
        index[used] = 1 + nearest(flat[used], table)
        self.register_buffer("index", torch.from_numpy(index), persistent=False)
        self.table = nn.Parameter(torch.from_numpy(table.astype(np.float32)))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The table's values at the weight's places; the weight itself is no longer looked at."""
        return LookUp.apply(torch.cat([self.table.new_zeros(1), self.table]), self.index).view_as(weight)


def share(net: nn.Module, bits_conv: int = 8, bits_linear: int = 5) -> nn.Module:
    """Let the weights of each layer but the last share 2^bits values less one; in place.

    Raises:
        InputError: bits out of 1 to 15.
    """
    if not (1 <= bits_conv <= 15 and 1 <= bits_linear <= 15):
        raise InputError(f"expected 1 to 15 bits, got {bits_conv} and {bits_linear}")

    def rule(layer: Layer) -> Shared:
        bits = bits_conv if isinstance(layer, nn.Conv2d) else bits_linear
        return Shared(layer.weight, max(1, 2**bits - 1))

    parametrise(net, weighted(net)[:-1], rule)
    for _, layer in weighted(net)[:-1]:
        layer.parametrizations["weight"].original.requires_grad_(False)
    return net


def kmeans_1d(values: np.ndarray, entries: int) -> np.ndarray:
    """At most ``entries`` ascending centres of numbers (N,): Lloyd's algorithm from evenly spread ones.

    On the line a cluster is an interval, so that sums over sorted numbers do in log N what distances to all
    centres would.
    """
    ordered = np.sort(values.astype(np.float64))
    if not len(ordered):
        return np.zeros(1)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centres = np.unique(np.linspace(ordered[0], ordered[-1], entries))
    for _ in range(ROUNDS):
        edges = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
        ends = np.concatenate([[0], edges, [len(ordered)]])
        counts = np.diff(ends)
        means = np.diff(sums[ends])[counts > 0] / counts[counts > 0]
        if np.array_equal(means, centres):
            break
        centres = means
    return centres


def nearest(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(N,) which of the ascending centres lies next to each number."""
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
