"""Training of FPNet, the cascade's third stage that answers a head's direction: ``facegeom lab train fpnet``.

The network learns a teacher's two raw vectors on windows of R-Net; the loss of a window is the cross-entropy
of its score and, for a face, the squared errors of box and vectors. Of the faces of each batch, and of its
other windows, the recipe's ``middle_share`` by loss counts: the published 0.6 leaves out the easiest and the
most extreme, 1.0 nothing.
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
from facegeom.geometry.rotation import (
    angles_from_rotation,
    geodesic_deg,
    rotation_from_6d,
    rotation_from_angles,
)
from facegeom_lab.datasets.training.pose_windows import PoseWindows
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.networks.cascade import FPNet
from facegeom_lab.networks.checkpoint import first_network, network_from_checkpoint
from facegeom_lab.teachers.distillation import FACE
from facegeom_lab.training.losses import middle_of_each
from facegeom_lab.training.tasks import loop
from facegeom_lab.training.trainers import Inputs

_log = logging.getLogger(__name__)

QUARTER_DEG = 90.0
"""Angles are learned in quarter turns."""

COLLAPSED = 0.3
"""Answers that vary less than this share of the truth say the mean and little else."""

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
    others_share: float
    box_weight: float
    rotation_weight: float
    precision: str
    seed: int


class FPNetTask(L.LightningModule):
    """Adam, whose rate is multiplied by ``rate_factor`` after every epoch."""

    def __init__(self, recipe: FPNetRecipe, start: Path | None = None) -> None:
        super().__init__()
        self.recipe = recipe
        net = FPNet(values=len_of(recipe.target), dropout=recipe.dropout)
        self.net = first_network(net, start, folded=False).to(memory_format=torch.channels_last)
        self._faces: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def forward(self, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Windows (N, 3, 48, 48) uint8 -> logits, offsets, rotation values in float32."""
        logits, offsets, values = self.net(windows.float().contiguous(memory_format=torch.channels_last))
        return logits.float(), offsets.float(), values.float()

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        losses = self.losses(self(batch["window"]), batch)
        loss = middle_of_each(losses, batch["face"], self.recipe.middle_share)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def losses(self, answer: tuple[torch.Tensor, ...], batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """(N,) the loss of each window, from what :meth:`forward` answers."""
        r, face = self.recipe, batch["face"]
        logits, offsets, values = answer
        score = F.binary_cross_entropy_with_logits(logits, face, reduction="none")
        if self.training:  # the windows without a face that are drawn stand for all of them
            score = torch.where(face > 0, score, score / r.others_share)
        box = ((offsets - batch["offsets"]) ** 2).sum(dim=1)
        turn = ((values - self._target(batch)) ** 2).sum(dim=1)
        return score + face * (r.box_weight * box + r.rotation_weight * turn)

    def _target(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        wanted = _targets(self.recipe, batch["raw"].cpu().numpy())
        return torch.as_tensor(wanted, dtype=torch.float32, device=batch["raw"].device)

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        answer, face = self(batch["window"]), batch["face"] > 0
        self.log("val/loss", self.losses(answer, batch).mean(), prog_bar=True)
        self._faces.append((answer[2][face], self._target(batch)[face], batch["raw"][face]))

    def on_validation_epoch_end(self) -> None:
        """Over all faces: a batch alone may hold none."""
        said, wanted, taught = (torch.cat(parts) for parts in zip(*self._faces, strict=True))
        self._faces.clear()
        error = geodesic_deg(rotations(said.cpu().numpy()), rotation_from_6d(taught.cpu().numpy()))
        self.log("val/geodesic_deg", float(error.mean()), prog_bar=True)
        spread = said.std(dim=0) / wanted.std(dim=0).clamp(min=1e-6)
        self.log("val/spread", spread.mean(), prog_bar=True)

    def configure_optimizers(self) -> dict:
        optimizer = torch.optim.Adam(self.parameters(), self.recipe.learning_rate)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, self.recipe.rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}


class CollapseWarning(Callback):
    """Says so when the answers are the mean: then the rate or the targets are wrong, not the length."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        spread = float(trainer.callback_metrics["val/spread"])
        if not trainer.sanity_checking and spread < COLLAPSED:
            _log.warning(
                f"epoch {trainer.current_epoch}: the answers vary {spread:.0%} as much as the truth: "
                "the network has collapsed to the mean; try a smaller learning_rate or a larger middle_share"
            )


def len_of(target: str) -> int:
    """Values of a rotation as it is learned.

    Raises:
        InputError: an unknown target.
    """
    if target not in ("vectors", "angles"):
        raise InputError(f"expected the target vectors or angles, got {target!r}")
    return 6 if target == "vectors" else 3


def rotations(values: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3) of what the network answers, (N, 6) vectors or (N, 3) angles in quarter turns."""
    if values.shape[1] == 6:
        return rotation_from_6d(values.astype(np.float64))
    return rotation_from_angles(*(values.T.astype(np.float64) * QUARTER_DEG))


class FPNetData(L.LightningDataModule):
    """The distillation sets ``train`` and ``val`` of a folder."""

    def __init__(self, recipe: FPNetRecipe, inputs: Inputs) -> None:
        super().__init__()
        self.recipe, self.workers = recipe, inputs.workers
        self.train = PoseWindows(inputs.data / "train", recipe.teacher)
        self.val = PoseWindows(inputs.data / "val", recipe.teacher, plain=True)

    def train_dataloader(self) -> DataLoader:
        chance = np.where(self.train.kind == FACE, 1.0, self.recipe.others_share)
        sampler = WeightedRandomSampler(chance.tolist(), round(chance.sum()))
        return DataLoader(
            self.train, self.recipe.batch, sampler=sampler, drop_last=True, num_workers=self.workers
        )

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, 256)


def train(recipe: FPNetRecipe, inputs: Inputs) -> dict[str, Path]:
    """Train on ``data/train``, validate on ``data/val``; the best checkpoint by the network's name.

    A new run begins with the weights of the checkpoint ``inputs.start``, or at random without one. A
    network that answers angles is none that the runtime reads: it is called ``fpnet-angles``.

    Raises:
        InputError: no distillation set there, or without answers of the recipe's teacher.
    """
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
    return {name: inputs.out / loop.BEST}


def evaluate(recipe: FPNetRecipe, inputs: Inputs) -> dict[str, Any]:
    """Errors of student and teacher on ``data/val`` in degrees, share of windows told right, cost of one."""
    net = network_from_checkpoint(inputs.out / loop.BEST, FPNet(len_of(recipe.target), recipe.dropout))
    windows = PoseWindows(inputs.data / "val", recipe.teacher, plain=True)
    logits, values = answers(net, windows)
    face = windows.kind == FACE
    said, taught = rotations(values[face]), rotation_from_6d(windows.raw[face].astype(np.float64))
    spread = float((values[face].std(axis=0) / _targets(recipe, windows.raw[face]).std(axis=0)).mean())
    known = np.isfinite(windows.rotation[face]).all(axis=(1, 2))
    truth = windows.rotation[face][known].astype(np.float64)
    return {
        "student": errors_deg(said[known], truth),
        "teacher": errors_deg(taught[known], truth),
        "student_to_teacher_deg": float(geodesic_deg(said, taught).mean()),
        "spread": spread,
        "collapsed": spread < COLLAPSED,
        "accuracy": float(((logits > 0) == face).mean()),
        **asdict(cost(net, torch.zeros(1, 3, FPNet.WINDOW, FPNet.WINDOW))),
    }


@torch.inference_mode()
def answers(net: torch.nn.Module, windows: PoseWindows) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N,) and rotation values (N, 6 or 3) of a network in evaluation mode."""
    parts = [net(batch["window"].float()) for batch in tqdm(DataLoader(windows, 256), desc="answers")]
    return tuple(torch.cat([part[index] for part in parts]).numpy() for index in (0, 2))


def _targets(recipe: FPNetRecipe, raw: np.ndarray) -> np.ndarray:
    if recipe.target == "vectors":
        return raw
    return angles_from_rotation(rotation_from_6d(raw.astype(np.float64))) / QUARTER_DEG


def errors_deg(said: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Mean absolute errors of rotations (N, 3, 3), the geodesic one in all and by the true yaw's size."""
    angles, known = angles_from_rotation(said), angles_from_rotation(truth)
    yaw, pitch, roll = np.abs((angles - known + 180) % 360 - 180).mean(axis=0).tolist()
    angle, turned = geodesic_deg(said, truth), np.abs(known[:, 0])
    bands = {
        f"{low}-{high}": float(angle[inside].mean())
        for low, high in BANDS
        if (inside := (turned >= low) & (turned < high)).any()
    }
    return {"yaw": yaw, "pitch": pitch, "roll": roll, "geodesic": float(angle.mean()), "by_yaw": bands}
