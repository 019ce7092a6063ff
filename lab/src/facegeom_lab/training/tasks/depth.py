"""What the trainings of the two depth networks share: data, optimiser, loop."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.utils.data import DataLoader, RandomSampler

from facegeom.errors import InputError
from facegeom_lab.datasets.published.pack import backgrounds
from facegeom_lab.datasets.training.depth_crops import DepthCrops, read_tables
from facegeom_lab.datasets.training.faces import read_photos
from facegeom_lab.training.tasks import loop
from facegeom_lab.training.trainers import Inputs

VAL_EVERY = 4
"""Validation after each epoch takes every so many crops."""


@dataclass(frozen=True)
class DepthSettings:
    """What both recipes state; ``widths`` are those of the U-Net."""

    widths: list
    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    ema_decay: float
    samples_per_epoch: int
    precision: str
    seed: int


class DepthData(L.LightningDataModule):
    """The shards of ``rendered/train`` and ``rendered/val``."""

    def __init__(self, recipe: DepthSettings, inputs: Inputs) -> None:
        super().__init__()
        if inputs.rendered is None:
            raise InputError("expected --rendered with the folders train and val of depth shards, got none")
        self.recipe, self.workers = recipe, inputs.workers
        photos = read_photos(backgrounds(inputs.data, "train"))
        self.train = DepthCrops(
            read_tables(inputs.rendered / "train"), photos, changed=True, seed=recipe.seed
        )
        self.val = val_crops(inputs.rendered)

    def train_dataloader(self) -> DataLoader:
        sampler = RandomSampler(self.train, num_samples=self.recipe.samples_per_epoch)
        return DataLoader(
            self.train, self.recipe.batch, sampler=sampler, num_workers=self.workers, drop_last=True
        )

    def val_dataloader(self) -> DataLoader:
        some = torch.utils.data.Subset(self.val, range(0, len(self.val), VAL_EVERY))
        return DataLoader(some, 64)


def val_crops(rendered: Path) -> DepthCrops:
    """The crops of ``rendered/val``, as they are."""
    return DepthCrops(read_tables(rendered / "val"))


@dataclass(frozen=True)
class Schedule:
    """AdamW's rate: a linear start, then half a cosine down to 1/200."""

    steps: int
    warmup_steps: int

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps))
        return 0.005 + 0.995 * (1 + cos(pi * progress)) / 2


def optimiser(recipe: DepthSettings, net: torch.nn.Module) -> dict:
    """AdamW with :class:`Schedule`, as Lightning wants it."""
    chosen = torch.optim.AdamW(net.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(chosen, Schedule(recipe.steps, recipe.warmup_steps))
    return {"optimizer": chosen, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def fit(task: L.LightningModule, recipe: DepthSettings, inputs: Inputs, monitor: str) -> Path:
    """Train, going on from ``out/last.ckpt``; the last checkpoint, whose weights are the running average."""
    trainer = loop.trainer(
        inputs.out,
        recipe.precision,
        monitor,
        inputs.processes,
        [EMAWeightAveraging(decay=recipe.ema_decay)],
        max_steps=recipe.steps,
        gradient_clip_val=5.0,
    )
    loop.fit(trainer, task, DepthData(recipe, inputs), inputs.out)
    trainer.save_checkpoint(inputs.out / loop.LAST)
    if not trainer.is_global_zero:
        raise SystemExit(0)  # the first process finishes the work alone
    return inputs.out / loop.LAST


def pixels(crops: torch.Tensor) -> torch.Tensor:
    """Crops (N, 3, 160, 160) uint8 as float32, channels last."""
    return crops.float().contiguous(memory_format=torch.channels_last)


def mean_error(depth_mm: torch.Tensor, truth_mm: torch.Tensor, aligned: bool) -> torch.Tensor:
    """(N,) mean absolute difference over the face; the truth is NaN elsewhere.

    ``aligned``: after the means over the face are laid over each other.
    """
    known = ~truth_mm.isnan()
    count = known.sum(dim=(1, 2)).clamp(min=1)
    error = torch.where(known, depth_mm - truth_mm.nan_to_num(0.0), 0)
    if aligned:
        error = torch.where(known, error - (error.sum(dim=(1, 2)) / count)[:, None, None], 0)
    return error.abs().sum(dim=(1, 2)) / count


def histogram(values: np.ndarray) -> dict[str, Any]:
    """Mean, median and 90th percentile of per-face figures."""
    kept = values[np.isfinite(values)]
    return {
        "mean": float(kept.mean()),
        "median": float(np.median(kept)),
        "p90": float(np.percentile(kept, 90)),
        "faces": len(kept),
    }


def described(figures: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """:func:`histogram` of each."""
    return {name: histogram(values) for name, values in figures.items()}
