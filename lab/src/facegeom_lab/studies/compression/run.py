"""One method on one network: transform, train, store, decode, measure."""

import copy
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from facegeom.errors import FacegeomError, InputError
from facegeom.export.files import write
from facegeom_lab.datasets.training.directions import Directions, centre_crops, load
from facegeom_lab.evaluation.cost import latency_ms, multiply_adds, parameters
from facegeom_lab.evaluation.run import RESULT, save_recipe
from facegeom_lab.quantization.onnx_costs import onnx_outputs
from facegeom_lab.studies.compression import archive
from facegeom_lab.studies.compression.early_exit import BranchyNet
from facegeom_lab.studies.compression.export import write_onnx
from facegeom_lab.studies.compression.methods import Method, find
from facegeom_lab.studies.compression.networks import create, remove_parametrisations
from facegeom_lab.studies.compression.training import (
    Budget,
    StageTrainer,
    balanced_accuracy,
    network_input,
    predict_logits,
)
from facegeom_lab.training.provenance import KEY, stamp

FILE = "network.fgnet"
CALIBRATION = 320
"""Training images that calibrate the eight-bit network."""
ADAM_STATES = 2


@dataclass(frozen=True)
class Recipe(Budget):
    """``recipe.yaml`` of a run.

    Attributes:
        start: the checkpoint that the run starts from; empty for random weights.
    """

    start: str = ""


def compress(
    name: str, checkpoint: Path | None, packed: Path, out: Path, budget: Budget | None = None
) -> dict[str, Any]:
    """Apply a method and measure the result; an interrupted run is resumed, a finished one is kept.

    Args:
        name: a key of ``METHODS``.
        checkpoint: a plain network's file of an earlier run; None for methods that start from random weights.
        packed: the file of ``facegeom_lab.datasets.training.directions.build``.
        out: folder of the run: network.fgnet, network*.onnx, result.json.
        budget: of the training.

    Returns:
        The content of result.json.

    Raises:
        InputError: an unknown method, a checkpoint missing or of another network, a folder of another run.
    """
    method, budget = find(name), budget or Budget()
    save_recipe(out, name, "compress", Recipe(**asdict(budget), start=str(checkpoint or "")))
    if (out / RESULT).is_file():
        return json.loads((out / RESULT).read_text(encoding="utf-8"))
    L.seed_everything(budget.seed, verbose=False)
    network, net = starting_network(method, checkpoint)
    train = StageTrainer(out, load(packed, "train"), budget)
    net = method.make(net, train)
    if isinstance(net, BranchyNet):
        choose_thresholds(net, load(packed, "tune"))
    stored = _encode_and_reload(net, {"method": name, "network": network})
    write(out / FILE, stored)
    figures = {"method": name, "network": network, "samples": round(train.fraction * budget.samples)}
    figures |= {"training_ms": train.ms_per_image, "file_bytes": len(stored)}
    figures |= measure(net, method, packed, out)
    figures[KEY] = stamp(["code studies/compression", "code datasets/training/directions.py"])
    write(out / RESULT, (json.dumps(figures, indent=2) + "\n").encode())
    train.remove_stage_files()
    return figures


def starting_network(method: Method, checkpoint: Path | None) -> tuple[str, nn.Module]:
    """Return the name of the plain network that a method starts from, and the network.

    Raises:
        InputError: a checkpoint missing, not needed, or of a network that the method does not accept.
    """
    if not method.trained:
        if checkpoint is not None:
            raise InputError(f"{method.title} starts from random weights; leave the checkpoint out")
        return method.networks[0], create(method.networks[0])
    if checkpoint is None or not checkpoint.is_file():
        raise InputError(
            f"{method.title} starts from a trained {' or '.join(method.networks)}; "
            f"give the {FILE} of such a run"
        )
    state, about = archive.decode(checkpoint.read_bytes())
    network = str(about.get("network"))
    net = create(network)
    if network not in method.networks or state.keys() != net.state_dict().keys():
        raise InputError(f"expected a plain {' or '.join(method.networks)} in {checkpoint}, got {about}")
    net.load_state_dict(state)
    return network, net


def choose_thresholds(net: BranchyNet, faces: Directions) -> None:
    """Choose the thresholds of the exits on faces that training did not see."""
    images = network_input(torch.from_numpy(centre_crops(faces.crops).copy()))
    with torch.inference_mode():
        logits = [torch.stack(net.exit_logits(part)) for part in images.split(32)]
    net.choose_thresholds(torch.cat(logits, dim=1), torch.from_numpy(faces.classes))


def _encode_and_reload(net: nn.Module, about: dict[str, object]) -> bytes:
    """Return the network's file; decode it, verify every bit and load the decoded tensors."""
    content = archive.encode(net.state_dict(), about)
    state, _ = archive.decode(content)
    for name, tensor in net.state_dict().items():
        if state[name].numpy().tobytes() != tensor.contiguous().numpy().tobytes():
            raise FacegeomError(f"{name} was not decoded to the same bits")
    net.load_state_dict(state)
    return content


def measure(net: nn.Module, method: Method, packed: Path, out: Path) -> dict[str, Any]:
    """Measure accuracy, multiply-adds, parameters, memory and PyTorch's time; write the ONNX files."""
    faces = load(packed, "val")
    example = network_input(torch.from_numpy(centre_crops(faces.crops[:1]).copy()))
    figures: dict[str, Any] = {
        "parameters": parameters(net),
        "macs": multiply_adds(net, example),
        "training_bytes": training_bytes(copy.deepcopy(net), example.repeat(2, 1, 1, 1)),
        "torch_ms": latency_ms(net, example, repeats=30),
    }
    plain = remove_parametrisations(copy.deepcopy(net)).eval()
    figures["resident_bytes"] = resident_bytes(plain)
    if isinstance(plain, BranchyNet):
        logits, of_exits = _measure_exits(plain, faces)
        figures |= of_exits
    else:
        logits = predict_logits(plain, faces).numpy()
    images = centre_crops(load(packed, "train").crops[:CALIBRATION])
    files = write_onnx(plain, out, images if method.eight_bits else None)
    figures["onnx_bytes"] = sum(file.stat().st_size for file in files)
    if method.eight_bits:
        logits = onnx_outputs(files[0], centre_crops(faces.crops))[0]
        figures |= {"file_bytes": figures["onnx_bytes"], "resident_bytes": figures["onnx_bytes"]}
    predictions = logits.argmax(axis=1)
    np.savez(out / "predictions_val.npz", answers=predictions, classes=faces.classes)
    return figures | {"accuracy": balanced_accuracy(predictions, faces.classes), "faces": len(faces)}


def _measure_exits(net: BranchyNet, faces: Directions) -> tuple[np.ndarray, dict[str, Any]]:
    """Return logits (N, classes) and figures; multiply-adds and time are means over the inputs."""
    crops = torch.from_numpy(centre_crops(faces.crops).copy())
    with torch.inference_mode():
        parts = [net.with_exits(network_input(part)) for part in crops.split(32)]
    exits = torch.cat([each for _, each in parts]).numpy()
    shares = np.bincount(exits, minlength=len(net.branches) + 1) / len(exits)
    rows = [int(np.flatnonzero(exits == exit)[0]) for exit in np.unique(exits)]
    examples = {int(exits[row]): network_input(crops[row : row + 1]) for row in rows}
    figures = {
        "exit_shares": shares.tolist(),
        "macs": sum(shares[exit] * multiply_adds(net, each) for exit, each in examples.items()),
        "torch_ms": sum(shares[exit] * latency_ms(net, each, repeats=30) for exit, each in examples.items()),
    }
    with torch.inference_mode():
        whole = torch.cat([net.exit_logits(network_input(part))[-1] for part in crops.split(32)])
    figures["full_accuracy"] = balanced_accuracy(whole.argmax(dim=1).numpy(), faces.classes)
    return torch.cat([logits for logits, _ in parts]).numpy(), figures


def training_bytes(net: nn.Module, example: torch.Tensor) -> int:
    """Return the least memory of a training step on ``example``, in bytes; float32.

    Parameters, for the trained ones gradients and Adam's two moments, and what the forward pass keeps for the
    backward pass, each storage once.
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
        logits = net(example)
        F.cross_entropy(logits, torch.zeros(len(example), dtype=torch.long))
    net.eval()
    trained = sum(p.numel() * p.element_size() for p in net.parameters() if p.requires_grad)
    return resident_bytes(net) + (1 + ADAM_STATES) * trained + sum(kept.values())


def resident_bytes(net: nn.Module) -> int:
    """Return the bytes of all parameters and buffers in memory."""
    return sum(t.numel() * t.element_size() for t in (*net.parameters(), *net.buffers()))
