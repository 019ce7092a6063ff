"""HashedNets: a layer's weights are drawn from a short list by a hash of their position.

W. Chen, J. Wilson, S. Tyree, K. Weinberger and Y. Chen, "Compressing neural networks with the hashing trick",
ICML 2015, eqs. 3 and 7: w_ij = ξ(i, j) · values[h(i, j)] with a sign ξ by a second hash. Saves any fraction
of the disk; costs time, because the weights are looked up at every pass (or the memory, once expanded).
"""

import numpy as np
import torch
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.studies.compression.networks import Layer, LookUp, inner_layers, parametrise


class HashedWeight(nn.Module):
    """The parametrisation of a weight: a list of values, looked up by position and signed.

    The mapping from positions to values follows from ``seed`` alone and is not stored.

    Args:
        shape: of the weight.
        share: length of the list as a fraction of the weight's.
        seed: of the hash.
    """

    def __init__(self, shape: torch.Size, share: float, seed: int) -> None:
        super().__init__()
        self.shape = shape
        self.buckets = max(1, round(shape.numel() * share))
        number = splitmix64(np.arange(shape.numel(), dtype=np.uint64) + (np.uint64(seed) << np.uint64(40)))
        bucket = (number >> np.uint64(1)) % np.uint64(self.buckets)
        sign = 1 - 2 * (number & np.uint64(1)).astype(np.int8)
        self.register_buffer("bucket", torch.from_numpy(bucket.astype(np.int32)), persistent=False)
        self.register_buffer("sign", torch.from_numpy(sign), persistent=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Expand values (buckets,) to the weight."""
        return (LookUp.apply(values, self.bucket) * self.sign).view(self.shape)

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the values (buckets,) nearest to a weight by least squares: the mean over each bucket.

        They are scaled to keep the weight's standard deviation: means over many positions are close to zero.
        """
        flat = weight.reshape(-1) * self.sign
        sums = flat.new_zeros(self.buckets).index_add_(0, self.bucket, flat)
        counts = torch.bincount(self.bucket, minlength=self.buckets).clamp(min=1)
        means = sums / counts
        spread = self(means).std()
        return means * (weight.std() / spread.clamp(min=1e-12))


def hash_weights(net: nn.Module, share: float = 1 / 8) -> nn.Module:
    """Draw the weights of all layers but the first and the last from lists of ``share`` of their length.

    Raises:
        InputError: the share is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise InputError(f"expected a share in (0, 1], got {share}")
    layers = inner_layers(net)
    seeds = {id(layer): number for number, (_, layer) in enumerate(layers)}

    def parametrisation(layer: Layer) -> HashedWeight:
        return HashedWeight(layer.weight.shape, share, seeds[id(layer)])

    parametrise(net, layers, parametrisation)
    return net


def splitmix64(numbers: np.ndarray) -> np.ndarray:
    """Hash numbers (N,) uint64 to numbers that look random (SplitMix64; Steele, Lea, Flood, 2014)."""
    with np.errstate(over="ignore"):
        z = numbers + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
