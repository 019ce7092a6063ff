"""Data, optimiser, training loop and metrics that both depth networks share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader, RandomSampler

from facegeom.errors import InputError
from facegeom_lab.datasets.published.pack import background_files, read_images
from facegeom_lab.datasets.training.depth_crops import CropsOfDepth, DepthCrops, read_tables
from facegeom_lab.datasets.training.depth_scans import load_scans
from facegeom_lab.training import loop
from facegeom_lab.training.trainers import PACK, Inputs

VAL_EVERY = 4
"""Step between the crops that validation uses after each epoch."""


@dataclass(frozen=True)
class DepthSettings:
    """Settings of both recipes; ``widths`` are those of the U-Net."""

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
    """The shards of ``rendered/train`` and ``rendered/val``, or a published set with measured depth."""

    def __init__(self, recipe: DepthSettings, inputs: Inputs) -> None:
        super().__init__()
        self.recipe, self.workers = recipe, inputs.workers
        self.train, self.val = train_crops(recipe, inputs), val_crops_of(inputs)

    def train_dataloader(self) -> DataLoader:
        """Return the training samples of an epoch."""
        sampler = RandomSampler(self.train, num_samples=self.recipe.samples_per_epoch)
        return DataLoader(
            self.train, self.recipe.batch, sampler=sampler, num_workers=self.workers, drop_last=True
        )

    def val_dataloader(self) -> DataLoader:
        """Return the validation samples."""
        some = torch.utils.data.Subset(self.val, range(0, len(self.val), VAL_EVERY))
        return DataLoader(some, 64)


def train_crops(recipe: DepthSettings, inputs: Inputs) -> CropsOfDepth:
    """Return the training crops of a run.

    Raises:
        InputError: no shards are given, or both shards and a published set.
    """
    if inputs.dataset != PACK:
        if inputs.rendered is not None:
            raise InputError(
                f"expected --rendered or --dataset {inputs.dataset}, got both; leave one of them out"
            )
        return load_scans(inputs.dataset, inputs.data, "train", _scans(inputs), augment=True)
    if inputs.rendered is None:
        raise InputError("expected --rendered with the folders train and val of depth shards, got none")
    photos = read_images(background_files(inputs.data, "train"))
    return DepthCrops(read_tables(inputs.rendered / "train"), photos, augment=True, seed=recipe.seed)


def val_crops_of(inputs: Inputs) -> CropsOfDepth:
    """Return the validation crops of a run."""
    if inputs.dataset != PACK:
        return load_scans(inputs.dataset, inputs.data, "val", _scans(inputs))
    return val_crops(inputs.rendered or inputs.data)


def _scans(inputs: Inputs) -> Path:
    return inputs.out.parent / "scans"


def val_crops(rendered: Path) -> DepthCrops:
    """Return the crops of ``rendered/val`` without augmentation."""
    return DepthCrops(read_tables(rendered / "val"))


def configure_adamw(recipe: DepthSettings, net: torch.nn.Module) -> dict:
    """Return AdamW with a warm-up and half a cosine down to 1/200 of the learning rate."""
    optimizer = torch.optim.AdamW(net.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = loop.cosine_schedule(optimizer, recipe.steps, recipe.warmup_steps, final=0.005)
    return loop.every_step(optimizer, schedule)


def fit(task: L.LightningModule, recipe: DepthSettings, inputs: Inputs, monitor: str) -> Path:
    """Train or resume; return the last checkpoint, whose weights are the moving average."""
    trainer = loop.trainer(
        inputs.out,
        recipe.precision,
        monitor,
        inputs.processes,
        ema_decay=recipe.ema_decay,
        max_steps=recipe.steps,
        gradient_clip_val=5.0,
    )
    loop.fit(trainer, task, DepthData(recipe, inputs), inputs.out)
    return loop.save_last(trainer, inputs.out)


def to_float(crops: torch.Tensor) -> torch.Tensor:
    """Convert crops (N, 3, 160, 160) uint8 to float32, channels last."""
    return crops.float().contiguous(memory_format=torch.channels_last)


def mean_error(depth_mm: torch.Tensor, truth_mm: torch.Tensor, aligned: bool) -> torch.Tensor:
    """Compute the mean absolute error (N,) over each face; the truth is NaN elsewhere.

    ``aligned``: subtract the mean error of each face first.
    """
    known = ~truth_mm.isnan()
    count = known.sum(dim=(1, 2)).clamp(min=1)
    error = torch.where(known, depth_mm - truth_mm.nan_to_num(0.0), 0)
    if aligned:
        error = torch.where(known, error - (error.sum(dim=(1, 2)) / count)[:, None, None], 0)
    return error.abs().sum(dim=(1, 2)) / count


def describe_one(values: np.ndarray) -> dict[str, Any]:
    """Return mean, median and 90th percentile of per-face figures."""
    kept = values[np.isfinite(values)]
    return {
        "mean": float(kept.mean()),
        "median": float(np.median(kept)),
        "p90": float(np.percentile(kept, 90)),
        "faces": len(kept),
    }


def describe(figures: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return mean, median and 90th percentile of each array of per-face figures."""
    return {name: describe_one(values) for name, values in figures.items()}
