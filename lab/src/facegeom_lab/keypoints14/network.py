"""Network of the compact task, plain convolutions and two dense layers, and its files.

The attributes ``body``, ``squeeze`` and ``answer`` name the weights in the files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import torch
from torch import nn

from facegeom.errors import InputError
from facegeom.export.files import write
from facegeom_lab.datasets.published.facepoints14 import POINTS
from facegeom_lab.networks.checkpoint import network_from_checkpoint

SHIPPED = Path(str(files("facegeom_lab.keypoints14") / "facepoints_model.ckpt"))
"""Network in the package; ``manifest.json`` beside it has its hash, training data and licence."""

INPUT_SIDES = range(16, 1025)
"""Allowed input sides of a network, pixels."""

WIDTHS = (24, 48, 96, 160)
DEPTHS = (1, 2, 2, 2)  # convolutions at each resolution, the first of stride 2
GRID = 6  # cells a side before the dense layers
SQUEEZED = 64
HIDDEN = 256


class KeypointNet(nn.Module):
    """14 points of one face from a square image.

    Input side, normalising statistics and label shift (see :func:`.detection.label_shift`) are buffers,
    stored with the weights.

    Args:
        input_px: side of the images.
        dropout: probability of dropping a feature of the dense layers in training.
    """

    mean: torch.Tensor
    std: torch.Tensor
    input_px: torch.Tensor
    shift: torch.Tensor
    margins: tuple[float, ...] | None = None
    """Margins around the points of the training images, see :func:`.views.margins`; None where they vary."""

    def __init__(self, input_px: int = 96, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("input_px", torch.tensor(input_px))
        self.register_buffer("mean", torch.full((3,), 127.5))
        self.register_buffer("std", torch.full((3,), 64.0))
        self.register_buffer("shift", torch.zeros(2))
        self.body = nn.Sequential(*_layers())
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(GRID), nn.Conv2d(WIDTHS[-1], SQUEEZED, 1), nn.ReLU(), nn.Flatten()
        )
        self.answer = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(SQUEEZED * GRID**2, HIDDEN),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(HIDDEN, 2 * POINTS),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Predict points (N, 14, 2), 0 in the centre and ±0.5 at the edges, without the label shift.

        Args:
            images: (N, 3, S, S), RGB in [0, 255].
        """
        x = (images - self.mean[:, None, None]) / self.std[:, None, None]
        return self.answer(self.squeeze(self.body(x))).unflatten(1, (POINTS, 2))


def _layers() -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in zip(WIDTHS, DEPTHS, strict=True):
        for index in range(depth):
            layers += [
                nn.Conv2d(channels, width, 3, 2 if index == 0 else 1, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            channels = width
    return layers


@dataclass(frozen=True)
class TrainingCost:
    """Cost of a training up to the stored weights.

    Attributes:
        epochs: passes over the images.
        samples: number of training samples.
        train_seconds: duration of the training loop with validation.
        val_error: mean squared error on the validation images, scaled to 100 x 100.
    """

    epochs: int
    samples: int
    train_seconds: float
    val_error: float


def save_network(
    path: Path,
    state: Mapping[str, torch.Tensor],
    cost: TrainingCost,
    margins: Sequence[float] | None = None,
) -> None:
    """Write the network's tensors in half precision (names as in ``KeypointNet``), training cost and margins.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {f"net.{name}": _to_half(value) for name, value in state.items()}
    stream = BytesIO()
    known = {} if margins is None else {"margins": [float(each) for each in margins]}
    torch.save({"state_dict": tensors, "effort": vars(cost), **known}, stream)
    write(path, stream.getvalue())


def _to_half(value: torch.Tensor) -> torch.Tensor:
    exact = not value.is_floating_point() or value.numel() <= 3  # counters and channel statistics
    return value.clone() if exact else value.half()


def load_network(path: Path) -> KeypointNet:
    """Load a file of ``train_detector`` in evaluation mode; no pickled code is run.

    Raises:
        InputError: the file is missing, cannot be read, or holds something else.
    """
    net = network_from_checkpoint(path, KeypointNet())
    if int(net.input_px) not in INPUT_SIDES:
        sides = f"{INPUT_SIDES[0]} to {INPUT_SIDES[-1]}"
        raise InputError(f"expected images of {sides} pixels a side in {path}, got {net.input_px}")
    stored = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(stored.get("margins"), list):  # files of earlier versions have none
        net.margins = tuple(stored["margins"])
    return net


def load_training_cost(path: Path) -> TrainingCost:
    """Load the training cost of the network in a file.

    Raises:
        InputError: the file holds no such network, or no training cost.
    """
    load_network(path)
    stored = torch.load(path, map_location="cpu", weights_only=True)
    if "effort" not in stored:
        raise InputError(f"{path} has no training cost; expected a file of `train_detector`")
    return TrainingCost(**stored["effort"])
