"""The file of a trained network: tensors alone, small enough to be handed on."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import torch

from facegeom.errors import InputError
from facegeom.export.files import write
from facegeom_lab.keypoints14.network import KeypointNet
from facegeom_lab.networks.checkpoint import network_from_checkpoint

SHIPPED = Path(str(files("facegeom_lab.keypoints14") / "facepoints_model.ckpt"))
"""The network that comes with the package."""

SIDES = range(16, 1025)
"""Sides of pictures that a network may ask for."""


@dataclass(frozen=True)
class Effort:
    """What a network has cost to train.

    Attributes:
        epochs: passes over the pictures until its weights.
        samples: pictures seen until then.
        train_seconds: of the training loop until then, validation included.
        val_error: mean squared error on the pictures kept out, scaled to 100 x 100.
    """

    epochs: int
    samples: int
    train_seconds: float
    val_error: float


def save_network(path: Path, state: Mapping[str, torch.Tensor], effort: Effort) -> None:
    """Write the network's tensors (names as in ``KeypointNet``), half precision, with what they have cost.

    Raises:
        OutputError: the place cannot be written.
    """
    tensors = {f"net.{name}": _short(name, value) for name, value in state.items()}
    stream = BytesIO()
    torch.save({"state_dict": tensors, "effort": vars(effort)}, stream)
    write(path, stream.getvalue())


def _short(name: str, value: torch.Tensor) -> torch.Tensor:
    exact = not value.is_floating_point() or value.numel() <= 3  # counters; the statistics of the channels
    return value.clone() if exact else value.half()


def load_network(path: Path) -> KeypointNet:
    """The network of a file of ``train_detector``, ready for use; no pickled code is run.

    Raises:
        InputError: the file is missing, cannot be read, or holds something else.
    """
    net = network_from_checkpoint(path, KeypointNet())
    if int(net.input_px) not in SIDES:
        raise InputError(
            f"expected pictures of {SIDES[0]} to {SIDES[-1]} pixels a side in {path}, got {net.input_px}"
        )
    return net


def load_effort(path: Path) -> Effort:
    """What the network of a file has cost to train.

    Raises:
        InputError: the file holds no such network, or not what it has cost.
    """
    load_network(path)
    stored = torch.load(path, map_location="cpu", weights_only=True)
    if "effort" not in stored:
        raise InputError(f"{path} says nothing of its training; expected a file of `train_detector`")
    return Effort(**stored["effort"])
