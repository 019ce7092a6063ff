"""Outputs, times and sizes of ONNX networks in ONNX Runtime on the CPU."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np


def onnx_outputs(model: Path | bytes, crops: np.ndarray, batch: int = 32) -> Sequence[np.ndarray]:
    """Return an ONNX network's outputs for uint8 images (N, H, W, 3), one array (N, …) for each."""
    net = session(model)
    name = net.get_inputs()[0].name
    parts = [net.run(None, {name: crops[start : start + batch]}) for start in range(0, len(crops), batch)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def onnx_ms(
    models: Mapping[str, Path | bytes],
    images: np.ndarray,
    threads: int = 1,
    rounds: int = 100,
    warm: int = 5,
) -> dict[str, float]:
    """Return median milliseconds of one image through each ONNX network, interleaved in one process.

    Args:
        models: files or their content by name.
        images: (1, H, W, 3) uint8, for networks that take images; others get noise of their input's shape.
        threads: of ONNX Runtime.
        rounds: counted calls of each network.
        warm: uncounted calls of each network.
    """
    sessions = {name: session(file, threads) for name, file in models.items()}
    feeds = {name: _feed(net, images) for name, net in sessions.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for number in range(warm + rounds):
        for name, net in sessions.items():
            start = perf_counter()
            net.run(None, feeds[name])
            if number >= warm:
                times[name].append(1e3 * (perf_counter() - start))
    return {name: median(values) for name, values in times.items()}


def session(model: Path | bytes, threads: int = 1) -> Any:
    """Open an ONNX Runtime session on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _feed(net: Any, images: np.ndarray) -> dict[str, np.ndarray]:
    first = net.get_inputs()[0]
    if first.type == "tensor(uint8)":
        return {first.name: images}
    shape = [1 if isinstance(side, str) else side for side in first.shape]
    return {first.name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}


def megabytes(content: bytes) -> tuple[float, float]:
    """Return the size of a file's content, plain and compressed by zlib."""
    return len(content) / 1e6, len(zlib.compress(content, 9)) / 1e6
