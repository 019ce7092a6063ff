"""One method on one network: transform, train, store, decode, measure."""

import copy
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import nn

from facegeom.errors import FacegeomError, InputError
from facegeom.export.files import write
from facegeom_lab.datasets.training.directions import Directions, load, middle
from facegeom_lab.evaluation.cost import latency_ms, multiply_adds, parameters
from facegeom_lab.evaluation.run import RESULT
from facegeom_lab.studies.compression import archive, costs, export
from facegeom_lab.studies.compression.early_exit import BranchyNet
from facegeom_lab.studies.compression.layers import settle
from facegeom_lab.studies.compression.methods import Method, find
from facegeom_lab.studies.compression.networks import create
from facegeom_lab.studies.compression.training import Budget, Fitter, accuracy, logits, network_input
from facegeom_lab.training.runs import save_recipe

FILE = "network.fgnet"
CALIBRATION = 320


@dataclass(frozen=True)
class Recipe(Budget):
    """What ``recipe.yaml`` of a run says beside the budget.

    Attributes:
        start: the file that the run begins with; empty for random weights.
    """

    start: str = ""


def compress(
    name: str, checkpoint: Path | None, packed: Path, out: Path, budget: Budget | None = None
) -> dict[str, Any]:
    """Apply a method and measure what comes out; goes on where it was stopped, a finished run stays.

    Args:
        name: a key of ``METHODS``.
        checkpoint: a plain network's file of an earlier run; None for methods that start from random weights.
        packed: the file of ``lab.datasets.directions.build``.
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
    network, net = start(method, checkpoint)
    fit = Fitter(out, load(packed, "train"), budget)
    net = method.make(net, fit)
    if isinstance(net, BranchyNet):
        tune(net, load(packed, "tune"))
    stored = _stored(net, {"method": name, "network": network})
    write(out / FILE, stored)
    figures = {"method": name, "network": network, "samples": round(fit.share * budget.samples)}
    figures |= {"training_ms": fit.ms_per_picture, "file_bytes": len(stored)}
    figures |= measure(net, method, packed, out)
    write(out / RESULT, (json.dumps(figures, indent=2) + "\n").encode())
    fit.forget()
    return figures


def start(method: Method, checkpoint: Path | None) -> tuple[str, nn.Module]:
    """The plain network that a method begins with, and its name.

    Raises:
        InputError: a checkpoint missing, not asked for, or of a network that the method does not take.
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


def tune(net: BranchyNet, faces: Directions) -> None:
    """Choose the thresholds on faces that training did not see."""
    pictures = network_input(torch.from_numpy(middle(faces.crops).copy()))
    with torch.inference_mode():
        answers = [torch.stack(net.answers(part)) for part in pictures.split(32)]
    net.tune(torch.cat(answers, dim=1), torch.from_numpy(faces.classes))


def _stored(net: nn.Module, about: dict[str, object]) -> bytes:
    """The network's file, decoded to see that every bit comes back; the network takes what was decoded."""
    content = archive.encode(net.state_dict(), about)
    state, _ = archive.decode(content)
    for name, tensor in net.state_dict().items():
        if state[name].numpy().tobytes() != tensor.contiguous().numpy().tobytes():
            raise FacegeomError(f"{name} was not decoded to the same bits")
    net.load_state_dict(state)
    return content


def measure(net: nn.Module, method: Method, packed: Path, out: Path) -> dict[str, Any]:
    """Accuracy, multiply-adds, parameters, memory, time in PyTorch, and the ONNX files."""
    faces = load(packed, "val")
    example = network_input(torch.from_numpy(middle(faces.crops[:1]).copy()))
    figures: dict[str, Any] = {
        "parameters": parameters(net),
        "macs": multiply_adds(net, example),
        "training_bytes": costs.training_bytes(copy.deepcopy(net), example.repeat(2, 1, 1, 1)),
        "torch_ms": latency_ms(net, example, repeats=30),
    }
    plain = settle(copy.deepcopy(net)).eval()
    figures["resident_bytes"] = costs.resident_bytes(plain)
    if isinstance(plain, BranchyNet):
        answers, extra = _exits(plain, faces)
        figures |= extra
    else:
        answers = logits(plain, faces).numpy()
    pictures = middle(load(packed, "train").crops[:CALIBRATION])
    files = export.write_onnx(plain, out, pictures if method.eight_bits else None)
    figures["onnx_bytes"] = sum(file.stat().st_size for file in files)
    if method.eight_bits:
        answers = costs.onnx_answers(files[0], middle(faces.crops))[0]
        figures |= {"file_bytes": figures["onnx_bytes"], "resident_bytes": figures["onnx_bytes"]}
    np.savez(out / "predictions_val.npz", answers=answers.argmax(axis=1), classes=faces.classes)
    return figures | {"accuracy": accuracy(answers.argmax(axis=1), faces.classes), "faces": len(faces)}


def _exits(net: BranchyNet, faces: Directions) -> tuple[np.ndarray, dict[str, Any]]:
    """Answers, and how many inputs leave where; multiply-adds and the time are means over them."""
    crops = torch.from_numpy(middle(faces.crops).copy())
    with torch.inference_mode():
        parts = [net.chosen(network_input(part)) for part in crops.split(32)]
    number = torch.cat([exits for _, exits in parts]).numpy()
    shares = np.bincount(number, minlength=len(net.branches) + 1) / len(number)
    rows = [int(np.flatnonzero(number == exit)[0]) for exit in np.unique(number)]
    examples = {int(number[row]): network_input(crops[row : row + 1]) for row in rows}
    extra = {
        "exit_shares": shares.tolist(),
        "macs": sum(shares[exit] * multiply_adds(net, each) for exit, each in examples.items()),
        "torch_ms": sum(shares[exit] * latency_ms(net, each, repeats=30) for exit, each in examples.items()),
    }
    with torch.inference_mode():
        whole = torch.cat([net.answers(network_input(part))[-1] for part in crops.split(32)])
    extra["full_accuracy"] = accuracy(whole.argmax(dim=1).numpy(), faces.classes)
    return torch.cat([answers for answers, _ in parts]).numpy(), extra
