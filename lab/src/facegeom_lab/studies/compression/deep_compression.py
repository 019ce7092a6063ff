"""Deep Compression: small weights pruned to zeros, the others quantised to a few trained values.

- Pruning: S. Han, J. Pool, J. Tran and W. Dally, "Learning both weights and connections for efficient neural
  networks", NIPS 2015. Saves what a coded file need not hold; costs a second training. Dense arithmetic gets
  no faster.
- Trained quantisation: S. Han, H. Mao and W. Dally, "Deep compression", ICLR 2016, section 3. Saves: a short
  index for each weight that is not zero, and a small table. Costs the look-up, or, as here, the memory of
  expanded weights.

The third step, Huffman coding, is that of the stored file; see ``archive.py``.
"""

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune as pruner

from facegeom.errors import InputError
from facegeom_lab.studies.compression.networks import Layer, LookUp, parametrise, weighted_layers

ROUNDS = 30
"""Iterations of k-means."""


def prune(net: nn.Module, keep_conv: float, keep_linear: float) -> nn.Module:
    """Set the smallest weights of each layer but the last to zero; masks keep them there. In place.

    Args:
        net: any network.
        keep_conv: fraction of the weights of each convolution to keep, in (0, 1].
        keep_linear: the same for each linear layer.

    Raises:
        InputError: a fraction out of its range.
    """
    if not (0 < keep_conv <= 1 and 0 < keep_linear <= 1):
        raise InputError(f"expected shares in (0, 1] to keep, got {keep_conv} and {keep_linear}")
    for _, layer in weighted_layers(net)[:-1]:
        keep = keep_conv if isinstance(layer, nn.Conv2d) else keep_linear
        pruner.l1_unstructured(layer, "weight", amount=1 - keep)
    return net


def remove_masks(net: nn.Module) -> nn.Module:
    """Make the zeros part of the weights and drop the masks, in place."""
    for _, layer in weighted_layers(net):
        if pruner.is_pruned(layer):
            pruner.remove(layer, "weight")
    return net


class SharedWeight(nn.Module):
    """The parametrisation of a weight that takes its values from a table; zeros stay zeros.

    The gradient of an entry of the table is the sum of those of the weights that use it (eq. 3).

    Args:
        weight: the weight to quantise.
        entries: length of the table.
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
        """Return the table's values in the weight's shape; the weight's own values are not used."""
        return LookUp.apply(torch.cat([self.table.new_zeros(1), self.table]), self.index).view_as(weight)


def share_weights(net: nn.Module, bits_conv: int = 8, bits_linear: int = 5) -> nn.Module:
    """Quantise the weights of each layer but the last to 2^bits - 1 trained values, in place.

    Raises:
        InputError: bits out of 1 to 15.
    """
    if not (1 <= bits_conv <= 15 and 1 <= bits_linear <= 15):
        raise InputError(f"expected 1 to 15 bits, got {bits_conv} and {bits_linear}")

    def parametrisation(layer: Layer) -> SharedWeight:
        bits = bits_conv if isinstance(layer, nn.Conv2d) else bits_linear
        return SharedWeight(layer.weight, max(1, 2**bits - 1))

    parametrise(net, weighted_layers(net)[:-1], parametrisation)
    for _, layer in weighted_layers(net)[:-1]:
        layer.parametrizations["weight"].original.requires_grad_(False)
    return net


def kmeans_1d(values: np.ndarray, entries: int) -> np.ndarray:
    """Return ``entries`` ascending centres of numbers (N,); fewer where there are fewer different numbers.

    Lloyd's algorithm, from evenly spaced centres. On a line a cluster is an interval, so that sums over
    sorted numbers replace the distances to all centres. In place of a cluster that has become empty, the one
    with the largest error is halved.
    """
    ordered = np.sort(values.astype(np.float64))
    if not len(ordered):
        return np.zeros(1)
    sums, squares = (np.concatenate([[0.0], np.cumsum(each)]) for each in (ordered, ordered**2))
    centres = np.unique(np.linspace(ordered[0], ordered[-1], entries))
    for _ in range(ROUNDS):
        edges = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
        ends = np.concatenate([[0], edges, [len(ordered)]])
        ends = _halved(np.unique(ends), entries, ordered, sums, squares)
        means = np.diff(sums[ends]) / np.diff(ends)
        if np.array_equal(means, centres):
            break
        centres = means
    return centres


def _halved(
    ends: np.ndarray, entries: int, ordered: np.ndarray, sums: np.ndarray, squares: np.ndarray
) -> np.ndarray:
    """Halve clusters of the largest squared errors until there are ``entries``, or all hold equal numbers.

    Args:
        ends: ascending bounds of the clusters in ``ordered``, 0 and its length among them.
        entries: clusters wanted.
        ordered: the numbers.
        sums: of the numbers before each place.
        squares: of their squares.
    """
    while len(ends) <= entries:
        counts = np.diff(ends)
        errors = np.diff(squares[ends]) - np.diff(sums[ends]) ** 2 / counts
        spread = ordered[ends[1:] - 1] > ordered[ends[:-1]]
        if not spread.any():
            break
        widest = int(np.where(spread, errors, -1.0).argmax())
        low, high = ends[widest], ends[widest + 1]
        middle = np.searchsorted(ordered, (ordered[low] + ordered[high - 1]) / 2, side="right")
        ends = np.insert(ends, widest + 1, np.clip(middle, low + 1, high - 1))
    return ends


def nearest(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the index (N,) of the ascending centre nearest to each number (N,)."""
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
