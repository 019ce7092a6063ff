"""Compressed networks as ONNX files that take uint8 images."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from facegeom.export.files import write
from facegeom_lab.export import onnx_bytes
from facegeom_lab.quantization.convert import quantise
from facegeom_lab.studies.compression.early_exit import BranchyNet
from facegeom_lab.studies.compression.networks import SIZE_PX
from facegeom_lab.studies.compression.training import network_input


class _FromBytes(nn.Module):
    """uint8 (N, 96, 96, 3) -> the network's outputs."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.net(network_input(pictures))


class _Segment(nn.Module):
    """A part of a trunk and its branch: the part's output and the branch's logits."""

    def __init__(self, part: nn.Module, branch: nn.Module) -> None:
        super().__init__()
        self.part, self.branch = part, branch

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.part(x)
        return x, self.branch(x)


def write_onnx(net: nn.Module, folder: Path, calibration: np.ndarray | None = None) -> list[Path]:
    """Write ``network.onnx``, or ``network-0.onnx`` … for the parts between a BranchyNet's exits.

    Args:
        net: without parametrisations, in evaluation mode.
        folder: of the files.
        calibration: images (N, 96, 96, 3) uint8; if given, the network is quantised to eight bits.
    """
    if isinstance(net, BranchyNet):
        return _write_segments(net, folder)
    content = to_onnx(net)
    file = folder / "network.onnx"
    write(file, content if calibration is None else quantise(content, calibration))
    return [file]


def to_onnx(net: nn.Module) -> bytes:
    """Return a network as ONNX: uint8 (N, 96, 96, 3) -> logits."""
    example = torch.zeros(2, SIZE_PX, SIZE_PX, 3, dtype=torch.uint8)
    return _onnx(_FromBytes(net), example, ("logits",))


def _onnx(module: nn.Module, example: torch.Tensor, outputs: tuple[str, ...]) -> bytes:
    axes = {name: {0: "n"} for name in ("pictures", *outputs)}
    return onnx_bytes(module.eval(), example, outputs, axes)


def _write_segments(net: BranchyNet, folder: Path) -> list[Path]:
    x = torch.zeros(2, SIZE_PX, SIZE_PX, 3, dtype=torch.uint8)
    count, files = len(net.branches), []
    segments: list[nn.Module] = [
        _Segment(part, branch) for part, branch in zip(net.parts, net.branches, strict=False)
    ]
    for number, segment in enumerate([*segments, net.parts[count:]]):
        module = _FromBytes(segment) if number == 0 else segment
        outputs = ("onward", "logits") if number < count else ("logits",)
        file = folder / f"network-{number}.onnx"
        write(file, _onnx(module, x, outputs))
        with torch.no_grad():
            output = module(x)
        x = output[0] if number < count else x
        files.append(file)
    return files
