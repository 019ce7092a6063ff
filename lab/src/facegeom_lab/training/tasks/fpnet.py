"""Training of FPNet, the cascade's third stage, which predicts head rotation: ``facegeom lab train fpnet``.

The network learns a teacher's two raw vectors on windows of R-Net. The loss of a window is the cross-entropy
of its score and, for a face, the squared errors of box and vectors. The loss of a batch is a trimmed mean,
over the whole batch, as published, or over its faces and over its other windows: ``middle_share`` of them
count, 0.6 as published, all at 1.0.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader, WeightedRandomSampler
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.geometry.rotation import angles_from_rotation, geodesic_deg, rotation_from_angles
from facegeom.video.matching import angle_between_deg
from facegeom_lab.datasets.training.pose_windows import PoseWindows
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.networks.cascade import FPNet
from facegeom_lab.networks.checkpoint import initial_network, network_from_checkpoint
from facegeom_lab.teachers.distillation import FACE
from facegeom_lab.teachers.pose import FOREIGN, raw_to_rotation
from facegeom_lab.training import loop
from facegeom_lab.training.losses import trimmed_mean, trimmed_mean_by_class
from facegeom_lab.training.trainers import Inputs

_log = logging.getLogger(__name__)

QUARTER_DEG = 90.0
"""Unit of angles as a training target, degrees."""

COLLAPSED = 0.3
"""Fraction of the targets' standard deviation below which predictions have collapsed to the mean."""

MINING = ("class", "batch")
BANDS = ((0, 30), (30, 60), (60, 90))


@dataclass(frozen=True)
class FPNetRecipe:
    """Settings; see ``recipes/fpnet.yaml``."""

    teacher: str
    target: str
    batch: int
    epochs: int
    learning_rate: float
    rate_factor: float
    dropout: float
    middle_share: float
    mining: str
    others_share: float
    box_weight: float
    rotation_weight: float
    precision: str
    seed: int


class FPNetTask(L.LightningModule):
    """Adam, whose learning rate is multiplied by ``rate_factor`` after every epoch."""

    def __init__(self, recipe: FPNetRecipe, start: Path | None = None) -> None:
        super().__init__()
        self.recipe = recipe
        net = FPNet(values=target_size(recipe.target), dropout=recipe.dropout)
        self.net = initial_network(net, start, folded=False).to(memory_format=torch.channels_last)
        self._faces: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def forward(self, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict logits, offsets and rotation values in float32 from windows (N, 3, 48, 48) uint8."""
        logits, offsets, values = self.net(windows.float().contiguous(memory_format=torch.channels_last))
        return logits.float(), offsets.float(), values.float()

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        losses = self.losses(self(batch["window"]), batch)
        share = self.recipe.middle_share
        if self.recipe.mining == "batch":
            loss = trimmed_mean(losses, share)
        else:
            loss = trimmed_mean_by_class(losses, batch["face"], share)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def losses(self, predicted: tuple[torch.Tensor, ...], batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Compute the loss (N,) of each window from the output of :meth:`forward`."""
        r, face = self.recipe, batch["face"]
        logits, offsets, values = predicted
        score = F.binary_cross_entropy_with_logits(logits, face, reduction="none")
        if self.training:  # undo the subsampling of windows without a face
            score = torch.where(face > 0, score, score / r.others_share)
        box = ((offsets - batch["offsets"]) ** 2).sum(dim=1)
        rotation = ((values - self._target(batch)) ** 2).sum(dim=1)
        return score + face * (r.box_weight * box + r.rotation_weight * rotation)

    def _target(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        target = _targets(self.recipe, batch["raw"].cpu().numpy())
        return torch.as_tensor(target, dtype=torch.float32, device=batch["raw"].device)

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Log the loss and keep the predictions for faces."""
        predicted, face = self(batch["window"]), batch["face"] > 0
        self.log("val/loss", self.losses(predicted, batch).mean(), prog_bar=True)
        self._faces.append((predicted[2][face], self._target(batch)[face], batch["raw"][face]))

    def on_validation_epoch_end(self) -> None:
        """Log angle and spread over all faces: a single batch may hold none."""
        student, target, teacher = (torch.cat(parts) for parts in zip(*self._faces, strict=True))
        self._faces.clear()
        name = self.recipe.teacher
        taught = raw_to_rotation(name, teacher.cpu().numpy())
        error = geodesic_deg(to_rotations(student.cpu().numpy(), name), taught)
        self.log("val/geodesic_deg", float(error.mean()), prog_bar=True)
        spread = student.std(dim=0) / target.std(dim=0).clamp(min=1e-6)
        self.log("val/spread", spread.mean(), prog_bar=True)

    def configure_optimizers(self) -> dict:
        """Return Adam with an exponential schedule by epochs."""
        optimizer = torch.optim.Adam(self.parameters(), self.recipe.learning_rate)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, self.recipe.rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}


class CollapseWarning(Callback):
    """Warn when all predictions are near the mean: the learning rate or the targets are wrong then."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compare the spread of the predictions with the limit."""
        spread = float(trainer.callback_metrics["val/spread"])
        if not trainer.sanity_checking and spread < COLLAPSED:
            _log.warning(
                f"epoch {trainer.current_epoch}: the predictions vary {spread:.0%} as much as the targets: "
                "the network has collapsed to the mean; try a smaller learning_rate or a larger middle_share"
            )


def target_size(target: str) -> int:
    """Return the number of values of a training target.

    Raises:
        InputError: an unknown target.
    """
    if target not in ("vectors", "angles"):
        raise InputError(f"expected the target vectors or angles, got {target!r}")
    return 6 if target == "vectors" else 3


def to_rotations(values: np.ndarray, teacher: str = "") -> np.ndarray:
    """Convert predictions to rotations (N, 3, 3).

    Args:
        values: (N, 6) raw vectors, or (N, 3) angles in quarter turns.
        teacher: whose vectors were learned.
    """
    if values.shape[1] == 6:
        return raw_to_rotation(teacher, values)
    return rotation_from_angles(*(values.T.astype(np.float64) * QUARTER_DEG))


class FPNetData(L.LightningDataModule):
    """Distillation sets ``train`` and ``val`` of a folder."""

    def __init__(self, recipe: FPNetRecipe, inputs: Inputs) -> None:
        super().__init__()
        self.recipe, self.workers = recipe, inputs.workers
        self.train = PoseWindows(inputs.data / "train", recipe.teacher)
        self.val = PoseWindows(inputs.data / "val", recipe.teacher, plain=True)
        loop.expect_batch(len(self.train), recipe.batch, "windows")

    def train_dataloader(self) -> DataLoader:
        """Return the training samples of an epoch."""
        chance = np.where(self.train.kind == FACE, 1.0, self.recipe.others_share)
        sampler = WeightedRandomSampler(chance.tolist(), round(chance.sum()))
        return DataLoader(
            self.train, self.recipe.batch, sampler=sampler, drop_last=True, num_workers=self.workers
        )

    def val_dataloader(self) -> DataLoader:
        """Return the validation samples."""
        return DataLoader(self.val, 256)


def train(recipe: FPNetRecipe, inputs: Inputs) -> dict[str, Path]:
    """Train on ``data/train``, validate on ``data/val``; return the best checkpoint by the network's name.

    A new run starts from the checkpoint ``inputs.start``, or from random weights without one. The runtime
    cannot use a network that predicts angles, or vectors of another convention; those are called
    ``fpnet-angles`` and ``fpnet-TEACHER``.

    Raises:
        InputError: no distillation set there, or none with labels of the recipe's teacher.
    """
    if recipe.mining not in MINING:
        raise InputError(f"expected the mining {' or '.join(MINING)}, got {recipe.mining!r}")
    L.seed_everything(recipe.seed, workers=True)
    task, data = FPNetTask(recipe, inputs.start), FPNetData(recipe, inputs)
    trainer = loop.trainer(
        inputs.out,
        recipe.precision,
        "val/geodesic_deg",
        inputs.processes,
        [CollapseWarning()],
        max_epochs=recipe.epochs,
    )
    loop.fit(trainer, task, data, inputs.out)
    name = "fpnet" if recipe.target == "vectors" else f"fpnet-{recipe.target}"
    if recipe.teacher in FOREIGN and recipe.target == "vectors":
        name = f"fpnet-{recipe.teacher}"
    return {name: inputs.out / loop.BEST}


def evaluate(recipe: FPNetRecipe, inputs: Inputs) -> dict[str, Any]:
    """Return errors of student and teacher on ``data/val`` in degrees, accuracy of the score, and cost."""
    net = network_from_checkpoint(inputs.out / loop.BEST, FPNet(target_size(recipe.target), recipe.dropout))
    windows = PoseWindows(inputs.data / "val", recipe.teacher, plain=True)
    logits, values = predict(net, windows)
    face = windows.kind == FACE
    student = to_rotations(values[face], recipe.teacher)
    teacher = raw_to_rotation(recipe.teacher, windows.raw[face])
    spread = float((values[face].std(axis=0) / _targets(recipe, windows.raw[face]).std(axis=0)).mean())
    known = np.isfinite(windows.rotation[face]).all(axis=(1, 2))
    truth = windows.rotation[face][known].astype(np.float64)
    return {
        "student": errors_deg(student[known], truth),
        "teacher": errors_deg(teacher[known], truth),
        "student_to_teacher_deg": float(geodesic_deg(student, teacher).mean()),
        "spread": spread,
        "collapsed": spread < COLLAPSED,
        "accuracy": float(((logits > 0) == face).mean()),
        **asdict(cost(net, torch.zeros(1, 3, FPNet.WINDOW, FPNet.WINDOW))),
    }


@torch.inference_mode()
def predict(net: torch.nn.Module, windows: PoseWindows) -> tuple[np.ndarray, np.ndarray]:
    """Predict logits (N,) and rotation values (N, 6 or 3) with a network in evaluation mode."""
    parts = [net(batch["window"].float()) for batch in tqdm(DataLoader(windows, 256), desc="predictions")]
    return tuple(torch.cat([part[index] for part in parts]).numpy() for index in (0, 2))


def _targets(recipe: FPNetRecipe, raw: np.ndarray) -> np.ndarray:
    if recipe.target == "vectors":
        return raw
    return angles_from_rotation(raw_to_rotation(recipe.teacher, raw)) / QUARTER_DEG


def errors_deg(predicted: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Compute mean absolute errors of rotations (N, 3, 3) by axis, and the geodesic one by true |yaw| too."""
    angles, known = angles_from_rotation(predicted), angles_from_rotation(truth)
    yaw, pitch, roll = angle_between_deg(angles, known).mean(axis=0).tolist()
    angle, abs_yaw = geodesic_deg(predicted, truth), np.abs(known[:, 0])
    bands = {
        f"{low}-{high}": float(angle[inside].mean())
        for low, high in BANDS
        if (inside := (abs_yaw >= low) & (abs_yaw < high)).any()
    }
    return {"yaw": yaw, "pitch": pitch, "roll": roll, "geodesic": float(angle.mean()), "by_yaw": bands}
