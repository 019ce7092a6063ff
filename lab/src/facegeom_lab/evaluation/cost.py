"""What a network costs: parameters, multiply-adds, time on a processor and on a GPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from statistics import median

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from facegeom_lab.measures.timing import calls_ms


@dataclass(frozen=True)
class Cost:
    """What one forward pass of a network costs; ``asdict`` of it goes into ``result.json``.

    Attributes:
        parameters: all of them, frozen ones too.
        macs: multiply-adds, see :func:`multiply_adds`.
        cpu_ms: median milliseconds of a pass on the processor.
        cpu_threads: that it used.
        gpu_ms: the same on the first GPU; None without one.
    """

    parameters: int
    macs: int
    cpu_ms: float
    cpu_threads: int
    gpu_ms: float | None


def cost(net: nn.Module, example: torch.Tensor, threads: int = 1, repeats: int = 100) -> Cost:
    """Measure a network on an input as it comes in use, one face: (1, 3, H, W)."""
    gpu = torch.cuda.is_available()
    return Cost(
        parameters=parameters(net),
        macs=multiply_adds(net, example),
        cpu_ms=latency_ms(net, example, "cpu", threads, repeats),
        cpu_threads=threads,
        gpu_ms=latency_ms(net, example, "cuda", threads, repeats) if gpu else None,
    )


def parameters(net: nn.Module) -> int:
    """Number of parameters, each counted once, frozen ones too; buffers are none."""
    return sum(parameter.numel() for parameter in net.parameters())


def multiply_adds(net: nn.Module, example: torch.Tensor) -> int:
    """Multiply-adds of one forward pass of ``example``: those of convolutions and matrix products.

    Half of what torch counts as floating-point operations; articles often call this very number FLOPs.
    Biases, normalisation, activations and pooling are not counted.
    """
    net = deepcopy(net).eval()
    # Plain attention is two matrix products that torch counts, whatever its version knows of fused ones.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        net(example)
    return counter.get_total_flops() // 2


def latency_ms(
    net: nn.Module,
    example: torch.Tensor,
    device: str = "cpu",
    threads: int = 1,
    repeats: int = 100,
    warm: int = 10,
) -> float:
    """Median milliseconds of ``repeats`` passes after ``warm`` uncounted ones, by a copy of the network.

    Args:
        net: the network.
        example: its input, moved to the device beforehand.
        device: a torch device; a GPU is waited for after every pass.
        threads: of torch on the processor.
        repeats: passes that count.
        warm: passes that do not.
    """
    net, example = deepcopy(net).to(device).eval(), example.to(device)
    finish: Callable[[], object] = torch.cuda.synchronize if device != "cpu" else lambda: None
    with torch.inference_mode(), _threads(threads):
        return median(calls_ms(lambda: (net(example), finish()), repeats, warm))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
