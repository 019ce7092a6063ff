"""Cost of a network: parameters, multiply-adds, latency on CPU and GPU."""

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
    """Cost of one forward pass; ``asdict`` of it goes into ``result.json``.

    Attributes:
        parameters: number of parameters, frozen ones included.
        macs: multiply-adds; see :func:`multiply_adds`.
        cpu_ms: median milliseconds on the CPU.
        cpu_threads: threads used there.
        gpu_ms: median milliseconds on the first GPU; None without one.
    """

    parameters: int
    macs: int
    cpu_ms: float
    cpu_threads: int
    gpu_ms: float | None


def cost(net: nn.Module, example: torch.Tensor, threads: int = 1, repeats: int = 100) -> Cost:
    """Measure a network on one face (1, 3, H, W)."""
    gpu = torch.cuda.is_available()
    return Cost(
        parameters=parameters(net),
        macs=multiply_adds(net, example),
        cpu_ms=latency_ms(net, example, "cpu", threads, repeats),
        cpu_threads=threads,
        gpu_ms=latency_ms(net, example, "cuda", threads, repeats) if gpu else None,
    )


def parameters(net: nn.Module) -> int:
    """Count the parameters, frozen ones included, buffers not."""
    return sum(parameter.numel() for parameter in net.parameters())


def multiply_adds(net: nn.Module, example: torch.Tensor) -> int:
    """Count the multiply-adds of convolutions and matrix products in one forward pass of ``example``.

    Half of the floating-point operations that torch counts; articles often call this number FLOPs.
    Biases, normalisation, activations and pooling are not counted.
    """
    net = deepcopy(net).eval()
    # Plain attention is two matrix products, which every version of torch counts.
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
    """Return the median milliseconds of ``repeats`` passes of a copy of the network.

    Args:
        net: the network.
        example: its input, moved to the device beforehand.
        device: torch device; a GPU is synchronised after every pass.
        threads: CPU threads of torch.
        repeats: measured passes.
        warm: warm-up passes before.
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
