"""Export of a checkpoint to the ONNX file that ships, and of its hash to the manifest."""

import copy
import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import torch
from torch import nn

from facegeom.depth.depth_map import SIZE_PX
from facegeom.errors import InputError
from facegeom.export.files import write
from facegeom.models import regions
from facegeom.models.detector import GRAIN
from facegeom.models.face import CROP_PX
from facegeom.models.weights import FREE
from facegeom_lab.networks import expression
from facegeom_lab.networks.blocks import fold
from facegeom_lab.networks.cascade import CascadeForExport, FPNet, PNet, RNet
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.depth import (
    DepthClasses,
    DepthClassesForExport,
    DepthMillimetres,
    DepthMillimetresForExport,
)
from facegeom_lab.networks.face import OUTPUTS, FaceNet, FaceNetForExport
from facegeom_lab.networks.onepass import OnePassForExport, OnePassNet
from facegeom_lab.networks.regions import OUTPUTS as REGION_OUTPUTS
from facegeom_lab.networks.regions import RegionNet, RegionNetForExport

MANIFEST = "manifest.json"
OPSET = 17
ANY_SIZE = ("pnet", "onepass")
REGION_NAMES = tuple(region.name for region in regions.REGIONS)
INPUTS = dict.fromkeys(REGION_NAMES, ("pictures", "first")) | {"expression": expression.INPUTS}
"""Names of the inputs of networks that have more than ``pictures``."""

STAGES: dict[str, tuple[int, tuple[str, ...]]] = {
    "pnet": (40, ("score", "offsets")),
    "rnet": (RNet.WINDOW, ("score", "offsets")),
    "fpnet": (FPNet.WINDOW, ("score", "offsets", "rotation6d")),
}
"""Side of an example input of the cascade's stages, and their outputs."""


Example: TypeAlias = torch.Tensor | tuple[torch.Tensor, ...]


def runtime_network(name: str, net: nn.Module) -> tuple[nn.Module, Example, tuple[str, ...]]:
    """Return the runtime form of a network, an example of its input or inputs, the names of its outputs."""
    if name == "expression":
        example = (torch.randn(2, regions.FEATURES), 50 * torch.randn(2, 478, 3), torch.randn(2, 6))
        return expression.ExpressionNetForExport(net).eval(), example, expression.OUTPUTS
    if name == "face":
        return FaceNetForExport(fold(copy.deepcopy(net).eval())), _example_images(CROP_PX), OUTPUTS
    if name in REGION_NAMES:
        folded = fold(copy.deepcopy(net).eval())
        first = torch.rand(2, folded.points, 2) - 0.5
        return RegionNetForExport(folded), (_example_images(regions.CROP_PX), first), REGION_OUTPUTS
    if name == "onepass":
        return (
            OnePassForExport(fold(copy.deepcopy(net).eval())),
            _example_images(2 * GRAIN),
            ("score", "places"),
        )
    if name == "depth1":
        folded = fold(copy.deepcopy(net).eval())
        return DepthClassesForExport(folded), _example_images(SIZE_PX), ("answer", "face", "logits")
    if name == "depth2":
        grey_and_depth = 100 * torch.rand(2, SIZE_PX, SIZE_PX, 2)
        return DepthMillimetresForExport(fold(copy.deepcopy(net).eval())), grey_and_depth, ("depth",)
    if name in STAGES:
        size_px, outputs = STAGES[name]
        return CascadeForExport(net).eval(), _example_images(size_px), outputs
    raise InputError(f"expected {', '.join(NETWORKS)}, got {name!r}")


def _example_images(size_px: int) -> torch.Tensor:
    return torch.randint(0, 256, (2, size_px, size_px, 3), dtype=torch.uint8)


def to_onnx(name: str, net: nn.Module) -> bytes:
    """Convert a network to ONNX with the input ``pictures`` (N, H, W, 3) uint8 RGB or with :data:`INPUTS`.

    P-Net and ``onepass`` take any size. ``depth2`` takes (N, 160, 160, 2) float32, grey and stage I's depth.
    """
    module, example, outputs = runtime_network(name, net)
    inputs = INPUTS.get(name, ("pictures",))
    axes = {each: {0: "n"} for each in (*inputs, *outputs)}
    if name in ANY_SIZE:
        axes["pictures"] = {0: "n", 1: "h", 2: "w"}
    return onnx_bytes(module, example, outputs, axes, inputs)


def onnx_bytes(
    module: nn.Module,
    example: Example,
    outputs: tuple[str, ...],
    axes: dict[str, dict[int, str]],
    inputs: tuple[str, ...] = ("pictures",),
) -> bytes:
    """Convert a module in evaluation mode to ONNX; ``axes`` have any length."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using the legacy", DeprecationWarning)
        file = Path(folder) / "network.onnx"
        torch.onnx.export(
            module,
            example if isinstance(example, tuple) else (example,),
            str(file),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(file)
    onnx.checker.check_model(model)
    return model.SerializeToString()


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "depth1": DepthClasses,
    "depth2": DepthMillimetres,
    "expression": expression.ExpressionNet,
    "eyes": partial(RegionNet, regions.EYES),
    "face": FaceNet,
    "mouth": partial(RegionNet, regions.MOUTH),
    "onepass": OnePassNet,
    "pnet": PNet,
    "rnet": RNet,
    "fpnet": FPNet,
}


FLOATS_OF_FREE = tuple(f"{name}-{FREE}" for name in (*REGION_NAMES, "expression"))
"""Networks of the free set that ship as they are trained; `facegeom lab quantise` makes the others."""


def export(name: str, checkpoint: Path, folder: Path) -> Path:
    """Write ``folder/name.onnx``; see :func:`ship`."""
    if name not in (*NETWORKS, *FLOATS_OF_FREE):
        raise InputError(f"expected one of {', '.join((*NETWORKS, *FLOATS_OF_FREE))}, got {name!r}")
    network = name.removesuffix(f"-{FREE}")
    content = to_onnx(network, network_from_checkpoint(checkpoint, NETWORKS[network]()))
    return ship(name, content, folder / f"{name}.onnx")


def ship(name: str, content: bytes, file: Path) -> Path:
    """Write the file of a network; set the SHA-256 of its entry in the manifest beside it, if any."""
    write(file, content)
    entries = read_manifest(file.parent)
    if name in entries:
        entries[name]["sha256"] = hashlib.sha256(content).hexdigest()
        write_manifest(file.parent, entries)
    return file


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the entries of ``folder/manifest.json`` by network; none without a manifest."""
    file = folder / MANIFEST
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def write_manifest(folder: Path, entries: dict[str, Any]) -> None:
    """Write ``folder/manifest.json``."""
    write(folder / MANIFEST, (json.dumps(entries, indent=2, ensure_ascii=False) + "\n").encode())
