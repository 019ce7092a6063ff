"""Training of the expression network: ``facegeom lab train expression``."""

from dataclasses import asdict, dataclass
from pathlib import Path

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from facegeom.geometry.rotation import rotation_to_6d
from facegeom_lab.datasets.training.expression_samples import ExpressionSamples, read_samples
from facegeom_lab.networks.checkpoint import initial_network
from facegeom_lab.networks.expression import COEFFICIENTS, ExpressionNet
from facegeom_lab.training import loop
from facegeom_lab.training.losses import scale_nll, weighted_mean
from facegeom_lab.training.trainers import Inputs

VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class ExpressionRecipe:
    """Settings of the training; see ``recipes/expression.yaml``."""

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    warmup_epochs: float
    ema_decay: float
    noise_mm: float
    square_weight: float
    gaze_weight: float
    scale_weight: float
    seed: int


def tensors(samples: ExpressionSamples, *others: np.ndarray) -> TensorDataset:
    """Return the network's inputs, the coefficients, directions in the predicted head's frame, and others."""
    gaze = np.einsum("nkd,nde->nke", samples.gaze_seen, samples.rotation)
    inputs = (samples.features, samples.points_mm, rotation_to_6d(samples.rotation))
    arrays = (*inputs, samples.expression[:, :COEFFICIENTS], gaze, *others)
    return TensorDataset(*(torch.from_numpy(np.ascontiguousarray(array, np.float32)) for array in arrays))


class ExpressionTask(L.LightningModule):
    """Losses, optimiser and validation of the expression network."""

    def __init__(self, recipe: ExpressionRecipe, steps: int, start: Path | None = None) -> None:
        super().__init__()
        self.save_hyperparameters(asdict(recipe))
        self.recipe, self.steps = recipe, steps
        self.net = initial_network(ExpressionNet(), start, folded=False)

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch: coefficients, directions, their expected errors."""
        features, points, rotation6d, expression, gaze, trust = batch
        points = points + self.recipe.noise_mm * torch.randn_like(points)
        found, looks, log_error_deg = self.net(features, points, rotation6d)
        angle_deg = angles_deg(looks, gaze)
        losses = {
            # absolute errors alone would answer 0, the median of every coefficient
            "square": self.recipe.square_weight * weighted_mean((found - expression) ** 2, trust),
            "absolute": weighted_mean(
                F.smooth_l1_loss(found, expression, beta=0.05, reduction="none"), trust
            ),
            "gaze": self.recipe.gaze_weight * angle_deg.mean(),
            "scale": self.recipe.scale_weight * scale_nll(angle_deg.detach(), log_error_deg).mean(),
        }
        return loop.log_and_add(self, losses)

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        """Log the mean absolute error of the coefficients, over the mean answer's, and of the gaze."""
        *inputs, expression, gaze = batch
        found, looks, _ = self.net(*inputs)
        error = (found.clamp(0, 1) - expression).abs().mean()
        self.log("val/expression", error, prog_bar=True)
        self.log("val/share", error / (expression - expression.mean(dim=0)).abs().mean(), prog_bar=True)
        self.log("val/gaze_deg", angles_deg(looks, gaze).mean(), prog_bar=True)

    def configure_optimizers(self) -> dict:
        """Return AdamW with a warm-up and half a cosine."""
        r = self.recipe
        warmup = self.steps * r.warmup_epochs / r.epochs
        return loop.adamw_with_cosine(self, r.learning_rate, r.weight_decay, self.steps, warmup, final=0.005)


def angles_deg(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the angles (...) between unit vectors (..., 3), degrees."""
    chord = torch.linalg.norm(found - truth, dim=-1)
    return torch.rad2deg(2 * torch.asin((chord / 2).clamp(max=0.999)))


class ExpressionData(L.LightningDataModule):
    """Rendered heads and real faces; a tenth of the rendered heads for validation."""

    def __init__(self, recipe: ExpressionRecipe, folder: Path) -> None:
        super().__init__()
        known, trust, held_out = read_samples(folder, VALIDATION_SHARE)
        self.training, self.checks = tensors(known, trust[:, :COEFFICIENTS]), tensors(held_out)
        self.batch = recipe.batch

    def train_dataloader(self) -> DataLoader:
        """Return the training samples."""
        return DataLoader(self.training, self.batch, shuffle=True, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """Return the validation samples."""
        return DataLoader(self.checks, 4096)


def train(recipe: ExpressionRecipe, inputs: Inputs) -> Path:
    """Train or resume on ``inputs.rendered``, the folder of ``facegeom lab expressions``: ``out/last.ckpt``.

    Raises:
        InputError: the folder holds no samples.
    """
    L.seed_everything(recipe.seed, workers=True)
    data = ExpressionData(recipe, inputs.rendered or inputs.data)
    steps = recipe.epochs * len(data.train_dataloader())
    task = ExpressionTask(recipe, steps, inputs.start)
    if inputs.start is None:
        task.net.normalise(task.net.joined(*data.training.tensors[:3]))
    trainer = loop.trainer(
        inputs.out, "32-true", "val/expression", ema_decay=recipe.ema_decay, max_epochs=recipe.epochs
    )
    loop.fit(trainer, task, data, inputs.out)
    return loop.save_last(trainer, inputs.out)
