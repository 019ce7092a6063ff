"""TensorNet: the matrix of a linear layer as a tensor train.

A. Novikov, D. Podoprikhin, A. Osokin and D. Vetrov, "Tensorizing neural networks", NIPS 2015,
sections 3 and 4. A matrix of (m1·m2·…) x (n1·n2·…) becomes cores (r, m, n, r'). Saves memory:
m1·…·md·n1·…·nd → Σ r·m·n·r'; multiply-adds fall less, and small matrix products use a processor poorly.
"""

import numpy as np
import tensorly
import torch
from tensorly.decomposition import tensor_train_matrix
from torch import nn

from facegeom.errors import InputError
from facegeom_lab.studies.compression.networks import inner_layers, replace_module

MODES = 4
"""Cores of a tensor train."""


class TTLinear(nn.Module):
    """y = W x + b with W (out, in) stored as cores.

    Args:
        cores: (r, m, n, r') each; products of m and n are ``out`` and ``in``; the outer ranks are 1.
        bias: (out,) or None.
    """

    def __init__(self, cores: list[torch.Tensor], bias: torch.Tensor | None) -> None:
        super().__init__()
        self.cores = nn.ParameterList(cores)
        self.bias = None if bias is None else nn.Parameter(bias.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in) to (N, out), one core at a time (section 4; the matrix is never built)."""
        batch = x.shape[0]
        state = x.reshape(batch, 1, -1)  # (N · outputs so far, rank, inputs left)
        for core in self.cores:
            rank, outs, ins, after = core.shape
            state = state.reshape(-1, rank * ins, state.shape[-1] // ins)
            matrix = core.permute(1, 3, 0, 2).reshape(outs * after, rank * ins)
            state = (matrix @ state).reshape(-1, after, state.shape[-1])
        y = state.reshape(batch, -1)
        return y if self.bias is None else y + self.bias

    def matrix(self) -> torch.Tensor:
        """Return W (out, in)."""
        ins = int(np.prod([core.shape[2] for core in self.cores]))
        with torch.no_grad():
            columns = self(torch.eye(ins))
        return (columns if self.bias is None else columns - self.bias).T


def tensorise(net: nn.Module, rank: int = 16) -> nn.Module:
    """Approximate every linear layer but the last by a tensor train of a rank, in place.

    Raises:
        InputError: the rank is below 1.
    """
    if rank < 1:
        raise InputError(f"expected a rank of at least 1, got {rank}")
    for name, layer in inner_layers(net):
        if isinstance(layer, nn.Linear):
            replace_module(net, name, tensorised(layer, rank))
    return net


def tensorised(layer: nn.Linear, rank: int) -> TTLinear:
    """Approximate a linear layer by truncated singular value decompositions (tensorly)."""
    outs, ins = factors(layer.out_features), factors(layer.in_features)
    weight = layer.weight.detach().cpu().numpy().reshape(*outs, *ins)
    cores = tensor_train_matrix(tensorly.tensor(weight), rank=[1, *[rank] * (MODES - 1), 1])
    parts = [torch.from_numpy(np.ascontiguousarray(core, np.float32)) for core in cores]
    return TTLinear(parts, None if layer.bias is None else layer.bias.detach())


def factors(number: int) -> list[int]:
    """Return four factors of a number, as equal as its primes allow, the largest first."""
    found = [1] * MODES
    for prime in _primes(number):  # largest first, each to the smallest factor so far
        found[int(np.argmin(found))] *= prime
    return sorted(found, reverse=True)


def _primes(number: int) -> list[int]:
    primes, candidate = [], 2
    while candidate * candidate <= number:
        while number % candidate == 0:
            primes.append(candidate)
            number //= candidate
        candidate += 1
    return sorted([*primes, number] if number > 1 else primes, reverse=True)
