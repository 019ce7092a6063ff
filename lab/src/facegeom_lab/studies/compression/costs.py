"""What a network costs beside accuracy: memory in training, memory in use, multiply-adds, time."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

ADAM_STATES = 2


def training_bytes(net: nn.Module, example: torch.Tensor) -> int:
    """Bytes that a training step on ``example`` must hold at least.

    Parameters, for the trained ones gradients and Adam's two moments, and what the forward pass keeps for the
    backward one, each storage once; float32.
    """
    own = {p.untyped_storage().data_ptr() for p in (*net.parameters(), *net.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    net.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        answer = net(example)
        F.cross_entropy(answer, torch.zeros(len(example), dtype=torch.long))
    net.eval()
    trained = sum(p.numel() * p.element_size() for p in net.parameters() if p.requires_grad)
    return resident_bytes(net) + (1 + ADAM_STATES) * trained + sum(kept.values())


def resident_bytes(net: nn.Module) -> int:
    """Bytes of all parameters and buffers as they lie in memory."""
    return sum(t.numel() * t.element_size() for t in (*net.parameters(), *net.buffers()))


def megabytes(content: bytes) -> tuple[float, float]:
    """Size of a file's content, as it is and packed by zlib."""
    return len(content) / 1e6, len(zlib.compress(content, 9)) / 1e6


def onnx_ms(
    models: Mapping[str, Path | bytes],
    pictures: np.ndarray,
    threads: int = 1,
    rounds: int = 100,
    warm: int = 5,
) -> dict[str, float]:
    """Median milliseconds of one picture through each ONNX network, all taking turns in one process.

    Args:
        models: files or their content by name.
        pictures: (1, H, W, 3) uint8, for networks that take pictures; others get noise of their shape.
        threads: of ONNX Runtime.
        rounds: calls of each that count.
        warm: calls of each that do not.
    """
    sessions = {name: session(file, threads) for name, file in models.items()}
    feeds = {name: _feed(each, pictures) for name, each in sessions.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for number in range(warm + rounds):
        for name, each in sessions.items():
            start = perf_counter()
            each.run(None, feeds[name])
            if number >= warm:
                times[name].append(1e3 * (perf_counter() - start))
    return {name: median(values) for name, values in times.items()}


def session(model: Path | bytes, threads: int = 1) -> Any:
    """An ONNX Runtime session on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _feed(each: Any, pictures: np.ndarray) -> dict[str, np.ndarray]:
    wanted = each.get_inputs()[0]
    if wanted.type == "tensor(uint8)":
        return {wanted.name: pictures}
    shape = [1 if isinstance(side, str) else side for side in wanted.shape]
    return {wanted.name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}


def onnx_answers(model: Path | bytes, crops: np.ndarray, size: int = 32) -> Sequence[np.ndarray]:
    """The outputs of an ONNX network for uint8 pictures (N, H, W, 3)."""
    each = session(model)
    name = each.get_inputs()[0].name
    parts = [each.run(None, {name: crops[start : start + size]}) for start in range(0, len(crops), size)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
