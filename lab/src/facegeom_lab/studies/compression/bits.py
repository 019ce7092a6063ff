"""Products of vectors of ±1 as real bit operations: XNOR and a count of ones, 64 numbers at a time.

M. Rastegari et al., "XNOR-Net", ECCV 2016, section 3.2: with x, w in {-1, 1}^n as bits,
x · w = n - 2 · popcount(x xor w). Numba compiles the loop, the count is the processor's own instruction.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

SHAPES = {
    "fc7 of VGG-S, one picture": (1, 4096, 4096),
    "fc7 of VGG-S, 32 pictures": (32, 4096, 4096),
    "conv4 of VGG-S, one picture": (36, 4608, 512),
}
"""Rows, length and columns of the products that are measured: (rows, n) · (n, columns)."""


@intrinsic
def _ones(context, number):
    """How many bits of a uint64 are 1: LLVM's ``ctpop``."""

    def code(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), code


def pack(signs: np.ndarray) -> np.ndarray:
    """(R, n) of -1 and 1 -> (R, ceil(n / 64)) uint64; the last word is filled with zeros."""
    rows, length = signs.shape
    packed = np.packbits(signs > 0, axis=1, bitorder="little")
    words = np.zeros((rows, -(-length // 64) * 8), np.uint8)
    words[:, : packed.shape[1]] = packed
    return words.view(np.uint64)


@njit(cache=False, fastmath=True)
def xnor_product(first: np.ndarray, second: np.ndarray, length: int) -> np.ndarray:
    """Products (A, B) int32 of packed rows (A, W) and (B, W) that stand for ``length`` numbers of ±1."""
    answer = np.empty((first.shape[0], second.shape[0]), np.int32)
    for i in range(first.shape[0]):
        for j in range(second.shape[0]):
            differing = np.uint64(0)
            for k in range(first.shape[1]):
                differing += _ones(first[i, k] ^ second[j, k])  # type: ignore[call-arg]
            answer[i, j] = length - 2 * np.int64(differing)
    return answer


def compare(rounds: int = 30) -> dict[str, dict[str, float]]:
    """Median milliseconds of bit products and of numpy's float32 products (BLAS, as many threads as it has).

    Weights are packed beforehand, activations within the measured time, as in use. The bit products are
    compared with the floats' bit for bit.
    """
    return {title: _compared(shape, rounds) for title, shape in SHAPES.items()}


def _compared(shape: tuple[int, int, int], rounds: int) -> dict[str, float]:
    rows, length, columns = shape
    rng = np.random.default_rng(0)
    x, w = (
        np.where(rng.random((count, length)) < 0.5, -1, 1).astype(np.float32) for count in (rows, columns)
    )
    packed = pack(w)
    transposed = np.ascontiguousarray(w.T)
    bits_ms, ours = _median_ms(lambda: xnor_product(pack(x), packed, length), rounds)
    floats_ms, theirs = _median_ms(lambda: x @ transposed, rounds)
    if not np.array_equal(ours, theirs):
        raise ArithmeticError("the bit products differ from the floats'")
    return {"bits_ms": bits_ms, "floats_ms": floats_ms, "bits_bytes": packed.nbytes, "floats_bytes": w.nbytes}


def _median_ms(call: Callable[[], np.ndarray], rounds: int) -> tuple[float, np.ndarray]:
    answer, times = call(), []
    for _ in range(rounds):
        start = perf_counter()
        answer = call()
        times.append(1e3 * (perf_counter() - start))
    return median(times), answer
