"""CP decomposition: a convolution becomes four cheap ones.

V. Lebedev, Y. Ganin, M. Rakhuba, I. Oseledets and V. Lempitsky, "Speeding-up convolutional neural networks
using fine-tuned CP-decomposition", ICLR 2015, eqs. 4 to 8: the kernel (T, S, d, d) as a sum of R products;
1 x 1 to R channels, d x 1 and 1 x d for each channel, 1 x 1 to T. Saves multiply-adds and parameters,
S·T·d² → R (S + T + 2 d); costs accuracy, which a short training mostly restores. A 1 x 1 convolution is a
matrix and becomes two of them, S·T → R (S + T).
"""

from collections.abc import Sequence

import numpy as np
import torch
from tensorly.base import unfold
from tensorly.tenalg import khatri_rao
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.studies.compression.networks import inner_layers, replace_module

ROUNDS = 40
"""Iterations of alternating least squares."""


def decompose(net: nn.Module, factor: float, pointwise: float | None = None) -> nn.Module:
    """Decompose all convolutions but the first to ``factor`` times fewer weights each, in place.

    Args:
        net: any network.
        factor: of convolutions wider than 1 x 1.
        pointwise: factor of 1 x 1 convolutions except a last one; None leaves them.

    Raises:
        InputError: a factor is not above 1.
    """
    if not (factor > 1 and (pointwise is None or pointwise > 1)):
        raise InputError(f"expected factors above 1, got {factor} and {pointwise}")
    for name, layer in inner_layers(net):
        if isinstance(layer, nn.Conv2d) and layer.groups == 1:
            less = factor if max(layer.kernel_size) > 1 else pointwise
            if less is not None:
                replace_module(net, name, decomposed(layer, rank_for(layer, less)))
    return net


def rank_for(layer: nn.Conv2d, factor: float) -> int:
    """Return the rank R at which the decomposed layer has ``factor`` times fewer weights."""
    outs, ins, height, width = layer.weight.shape
    around = height + width if max(layer.kernel_size) > 1 else 0
    return max(1, int(layer.weight.numel() / factor / (outs + ins + around)))


def decomposed(layer: nn.Conv2d, rank: int) -> nn.Sequential:
    """Approximate a convolution by four (or two) of a rank, by alternating least squares."""
    if layer.groups != 1 or layer.dilation != (1, 1):
        raise InputError("expected a convolution of one group without dilation")
    kernel = layer.weight.detach().cpu().numpy().astype(np.float64)
    if layer.kernel_size == (1, 1):
        return _two(layer, kernel[:, :, 0, 0], rank)
    return _four(layer, *balanced(als(kernel, rank)))


def als(kernel: np.ndarray, rank: int, rounds: int = ROUNDS) -> list[np.ndarray]:
    """Return the factors (side, R) of the sum of R products nearest to a kernel (T, S, h, w).

    Alternating least squares. tensorly's ``parafac`` does the same, but builds a matrix of T · S · h rows,
    several gigabytes.
    """
    rng = np.random.default_rng(0)
    factors = [rng.standard_normal((side, rank)) for side in kernel.shape]
    for _ in range(rounds):
        for mode in range(4):
            gram = np.prod([f.T @ f for k, f in enumerate(factors) if k != mode], axis=0)
            gram = gram + 1e-9 * np.trace(gram) / rank * np.eye(rank)
            factors[mode] = np.linalg.solve(gram, _against_others(kernel, factors, mode).T).T
    return factors


def _against_others(kernel: np.ndarray, factors: list[np.ndarray], mode: int) -> np.ndarray:
    """Return the kernel times all factors but one, (side, R); long sides are summed first."""
    if mode < 2:
        return unfold(kernel, mode) @ khatri_rao(factors, skip_matrix=mode)
    outs, ins, *_ = factors
    half = (outs.T @ unfold(kernel, 0)).reshape(-1, *kernel.shape[1:])  # (R, S, h, w)
    sums = np.einsum("rsyx,sr->yxr", half, ins)
    return np.einsum("yxr,xr->yr" if mode == 2 else "yxr,yr->xr", sums, factors[5 - mode])


def balanced(factors: list[np.ndarray]) -> list[np.ndarray]:
    """Rescale the factors of each product to equal length, which trains best; the sum stays the same."""
    lengths = np.stack([np.linalg.norm(factor, axis=0) for factor in factors]).clip(1e-12)
    common = lengths.prod(axis=0) ** 0.25
    return [factor / length * common for factor, length in zip(factors, lengths, strict=True)]


def _two(layer: nn.Conv2d, matrix: np.ndarray, rank: int) -> nn.Sequential:
    """Approximate a 1 x 1 convolution by two, from the largest singular values."""
    u, sizes, vt = np.linalg.svd(matrix, full_matrices=False)
    root = np.sqrt(sizes[:rank])
    two = nn.Sequential(
        nn.Conv2d(matrix.shape[1], rank, 1, layer.stride, layer.padding, bias=False),
        nn.Conv2d(rank, len(matrix), 1, bias=layer.bias is not None),
    )
    return _with_weights(two, (root[:, None] * vt[:rank], u[:, :rank] * root), layer.bias)


def _four(
    layer: nn.Conv2d, out: np.ndarray, into: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> nn.Sequential:
    """Build the four convolutions of factors (T, R), (S, R), (d, R), (d, R)."""
    (height, width), (down, right) = layer.kernel_size, layer.stride
    pad_y, pad_x = layer.padding if isinstance(layer.padding, tuple) else (height // 2, width // 2)
    outs, rank = out.shape
    four = nn.Sequential(
        nn.Conv2d(len(into), rank, 1, bias=False),
        nn.Conv2d(rank, rank, (height, 1), (down, 1), (pad_y, 0), groups=rank, bias=False),
        nn.Conv2d(rank, rank, (1, width), (1, right), (0, pad_x), groups=rank, bias=False),
        nn.Conv2d(rank, outs, 1, bias=layer.bias is not None),
    )
    return _with_weights(four, (into.T, rows.T, columns.T, out), layer.bias)


def _with_weights(
    sequence: nn.Sequential, weights: Sequence[np.ndarray], bias: torch.Tensor | None
) -> nn.Sequential:
    """Set the weights of a sequence of convolutions, and the bias of the last."""
    for part, values in zip(sequence, weights, strict=True):
        part.weight.data.copy_(torch.from_numpy(np.ascontiguousarray(values)).reshape(part.weight.shape))
    if bias is not None:
        sequence[-1].bias.data.copy_(bias.detach())
    return sequence
