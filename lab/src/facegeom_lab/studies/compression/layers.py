"""Which layers of a network a transformation changes, and how one layer is put in place of another."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import nn
from torch.nn.utils import parametrize

Layer: TypeAlias = "nn.Conv2d | nn.Linear"


def weighted(net: nn.Module) -> list[tuple[str, Layer]]:
    """All convolutions and matrix products by name, in the order of their registration."""
    return [(name, part) for name, part in net.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]


def inner(net: nn.Module) -> list[tuple[str, Layer]]:
    """The same without the first and the last one, which most methods leave as they are."""
    return weighted(net)[1:-1]


def replace(net: nn.Module, name: str, part: nn.Module) -> None:
    """Put ``part`` where the module ``name`` (dotted) is."""
    parent, _, own = name.rpartition(".")
    setattr(net.get_submodule(parent), own, part)


def sequences(net: nn.Module) -> Iterator[nn.Sequential]:
    """All rows of modules below ``net``."""
    return (part for part in net.modules() if isinstance(part, nn.Sequential))


def parametrise(net: nn.Module, layers: list[tuple[str, Layer]], rule: Callable[[Layer], nn.Module]) -> None:
    """Let each layer's weight follow a rule of its own while it is trained."""
    for _, layer in layers:
        parametrize.register_parametrization(layer, "weight", rule(layer), unsafe=True)


def settle(net: nn.Module) -> nn.Module:
    """Make what the rules give now the plain weights of the layers; in place."""
    for part in net.modules():
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=True)
    return net


class LookUp(torch.autograd.Function):
    """values[place]: what torch gives, three times faster on a processor in the way back."""

    @staticmethod
    def forward(ctx, values: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """Values (V,) and places (N,) int32 -> (N,)."""
        ctx.save_for_backward(place)
        ctx.count = len(values)
        return values.index_select(0, place)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Each value gets the sum of the gradients of its places."""
        (place,) = ctx.saved_tensors
        return torch.bincount(place, gradient, ctx.count).to(gradient.dtype), None
