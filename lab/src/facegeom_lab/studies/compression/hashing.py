"""HashedNets: a layer's weights are drawn from a short list by a hash of their place.

W. Chen, J. Wilson, S. Tyree, K. Weinberger and Y. Chen, "Compressing neural networks with the hashing trick",
ICML 2015, eqs. 3 and 7: w_ij = ξ(i, j) · values[h(i, j)] with a sign ξ by a second hash. Saves memory on disk
to any share; costs time, for the places have to be looked up at every pass (or the memory, once expanded).
"""

import numpy as np
import torch
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.studies.compression.layers import Layer, LookUp, inner, parametrise


class Hashed(nn.Module):
    """The rule of a weight of a given shape: a list of values, looked up and signed.

    Which place takes which value follows from ``seed`` alone and is not stored.
    """

    def __init__(self, shape: torch.Size, share: float, seed: int) -> None:
        super().__init__()
        self.shape = shape
        self.buckets = max(1, round(shape.numel() * share))
        number = mixed(np.arange(shape.numel(), dtype=np.uint64) + (np.uint64(seed) << np.uint64(40)))
        place = (number >> np.uint64(1)) % np.uint64(self.buckets)
        sign = 1 - 2 * (number & np.uint64(1)).astype(np.int8)
        self.register_buffer("place", torch.from_numpy(place.astype(np.int32)), persistent=False)
        self.register_buffer("sign", torch.from_numpy(sign), persistent=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Values (buckets,) -> the weight."""
        return (LookUp.apply(values, self.place) * self.sign).view(self.shape)

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """The values (buckets,) nearest to a weight by least squares: the mean of what each place wants.

        Scaled so that the weight's spread stays: means over many places are close to zero.
        """
        flat = weight.reshape(-1) * self.sign
        sums = flat.new_zeros(self.buckets).index_add_(0, self.place, flat)
        counts = torch.bincount(self.place, minlength=self.buckets).clamp(min=1)
        means = sums / counts
        spread = self(means).std()
        return means * (weight.std() / spread.clamp(min=1e-12))


def hashed(net: nn.Module, share: float = 1 / 8) -> nn.Module:
    """Let all layers but the first and the last draw their weights from lists of ``share`` of their length.

    Raises:
        InputError: the share is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise InputError(f"expected a share in (0, 1], got {share}")
    layers = inner(net)
    seeds = {id(layer): number for number, (_, layer) in enumerate(layers)}

    def rule(layer: Layer) -> Hashed:
        return Hashed(layer.weight.shape, share, seeds[id(layer)])

    parametrise(net, layers, rule)
    return net


def mixed(numbers: np.ndarray) -> np.ndarray:
    """Each of the numbers (N,) uint64 to another that looks random (SplitMix64; Steele, Lea, Flood, 2014)."""
    with np.errstate(over="ignore"):
        z = numbers + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
