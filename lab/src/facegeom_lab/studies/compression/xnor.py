"""XNOR-Net: weights and activations of one bit, scaled, in a block of another order; its bit products.

M. Rastegari, V. Ordonez, J. Redmon and A. Farhadi, "XNOR-Net", ECCV 2016, section 3.2 and fig. 3:
normalisation, sign, binary convolution, pooling. The output is scaled by a (mean |W| of the filter) and K
(mean |x| under it). With x, w in {-1, 1}^n packed as bits, x · w = n - 2 · popcount(x xor w): a product of 64
numbers is one XNOR and one count. As floats nothing is saved but disk.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit, types
from numba.extending import intrinsic
from torch import nn
from torch.nn.utils import parametrize

from facegeom_lab.studies.compression.binary import BinaryActivation, ScaledBinaryWeight
from facegeom_lab.studies.compression.networks import Layer, sequences, weighted_layers

SHAPES = {
    "fc7 of VGG-S, one picture": (1, 4096, 4096),
    "fc7 of VGG-S, 32 pictures": (32, 4096, 4096),
    "conv4 of VGG-S, one picture": (36, 4608, 512),
}
"""Rows, length and columns of the timed products: (rows, n) · (n, columns)."""


class XnorLayer(nn.Module):
    """Normalisation, sign, binary convolution or matrix product, scale K.

    Args:
        layer: the layer whose weights are used.
        binary_activations: False for real ones: the same order with ReLU in place of the sign, and without K,
            which replaces the magnitude that the sign removes.
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
        """Map (N, C, H, W) or (N, C) to the layer's output, with the same order of axes."""
        x = self.norm(x)
        output = self.layer(self.active(x))
        return output * self._scale(x) if self.binary else output

    def _scale(self, x: torch.Tensor) -> torch.Tensor:
        """Return K: the mean of |x| over the channels and under the kernel (eq. 11)."""
        mean = x.abs().mean(dim=1, keepdim=True)
        if isinstance(self.layer, nn.Linear):
            return mean
        return F.avg_pool2d(mean, self.layer.kernel_size, self.layer.stride, self.layer.padding)


def xnor_net(net: nn.Module, binary_activations: bool = True) -> nn.Module:
    """Replace every block but the first and the last layer by XNOR-Net's, in place.

    A sequence "layer, pooling, normalisation, ReLU" becomes "normalisation, sign, binary layer, pooling":
    what followed the layer is dropped, pooling stays.
    """
    kept = [layer for _, layer in (weighted_layers(net)[0], weighted_layers(net)[-1])]
    for sequence in list(sequences(net)):
        inside = False
        for index, part in enumerate(sequence):
            if isinstance(part, nn.Conv2d | nn.Linear):
                inside = not any(part is layer for layer in kept)
                if inside:
                    sequence[index] = XnorLayer(part, binary_activations)
            elif inside and isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.ReLU | nn.Dropout):
                sequence[index] = nn.Identity()
    return net


@intrinsic
def _popcount(context, number):
    """Return the number of ones of a uint64: LLVM's ``ctpop``, the processor's own instruction."""

    def code(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), code


def pack(signs: np.ndarray) -> np.ndarray:
    """Pack (R, n) of -1 and 1 into (R, ceil(n / 64)) uint64; the last word is padded with zeros."""
    rows, length = signs.shape
    packed = np.packbits(signs > 0, axis=1, bitorder="little")
    words = np.zeros((rows, -(-length // 64) * 8), np.uint8)
    words[:, : packed.shape[1]] = packed
    return words.view(np.uint64)


@njit(cache=False, fastmath=True)
def xnor_product(first: np.ndarray, second: np.ndarray, length: int) -> np.ndarray:
    """Multiply packed rows (A, W) and (B, W) of ``length`` numbers ±1; return (A, B) int32."""
    product = np.empty((first.shape[0], second.shape[0]), np.int32)
    for i in range(first.shape[0]):
        for j in range(second.shape[0]):
            differing = np.uint64(0)
            for k in range(first.shape[1]):
                differing += _popcount(first[i, k] ^ second[j, k])  # type: ignore[call-arg]
            product[i, j] = length - 2 * np.int64(differing)
    return product


def compare_products(rounds: int = 30) -> dict[str, dict[str, float]]:
    """Return median milliseconds of bit products and of numpy's float32 products, by the shape's title.

    numpy uses BLAS with as many threads as it has. Weights are packed beforehand, activations within the
    measured time, as in use. Both products must be equal.
    """
    return {title: _compare(shape, rounds) for title, shape in SHAPES.items()}


def _compare(shape: tuple[int, int, int], rounds: int) -> dict[str, float]:
    rows, length, columns = shape
    rng = np.random.default_rng(0)
    x, w = (
        np.where(rng.random((count, length)) < 0.5, -1, 1).astype(np.float32) for count in (rows, columns)
    )
    packed = pack(w)
    transposed = np.ascontiguousarray(w.T)
    bits_ms, by_bits = _median_ms(lambda: xnor_product(pack(x), packed, length), rounds)
    floats_ms, by_floats = _median_ms(lambda: x @ transposed, rounds)
    if not np.array_equal(by_bits, by_floats):
        raise ArithmeticError("the bit products differ from the floats'")
    return {"bits_ms": bits_ms, "floats_ms": floats_ms, "bits_bytes": packed.nbytes, "floats_bytes": w.nbytes}


def _median_ms(call: Callable[[], np.ndarray], rounds: int) -> tuple[float, np.ndarray]:
    result, times = call(), []
    for _ in range(rounds):
        start = perf_counter()
        result = call()
        times.append(1e3 * (perf_counter() - start))
    return median(times), result
