"""Training of 6DRepNet, the teacher of head directions: ``facegeom lab train 6drepnet``.

Hempel, Abdelrahman, Al-Hamadi, "6D rotation representation for unconstrained head pose estimation", ICIP
2022. In place of 300W-LP it learns rendered heads, whose rotations are exact, and real faces, under whose
points the canonical head is laid.
"""

from dataclasses import dataclass
from math import cos, pi
from pathlib import Path

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, WeightedRandomSampler

from facegeom.errors import InputError
from facegeom_lab.datasets.published.pack import backgrounds
from facegeom_lab.datasets.training.face_crops import FaceCrops, FaceCropsPlain, upright_view
from facegeom_lab.datasets.training.faces import FaceLabels, made_faces, read_photos, real_faces
from facegeom_lab.networks.sixdrepnet import SixDRepNet
from facegeom_lab.training.losses import geodesic, weighted_mean
from facegeom_lab.training.tasks import loop
from facegeom_lab.training.trainers import Inputs


@dataclass(frozen=True)
class SixDRepNetRecipe:
    """Settings; see ``recipes/6drepnet.yaml``."""

    body: str
    size_px: int
    epochs: int
    samples_per_epoch: int
    batch: int
    learning_rate: float
    weight_decay: float
    rendered_share: float
    strength: float
    precision: str
    seed: int


class SixDRepNetTask(L.LightningModule):
    """Geodesic loss, AdamW, half a cosine down to 1/100 of the learning rate."""

    def __init__(self, recipe: SixDRepNetRecipe, steps: int) -> None:
        super().__init__()
        self.recipe, self.steps = recipe, steps
        self.net = SixDRepNet(recipe.body).to(memory_format=torch.channels_last)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Crops (N, 3, S, S) uint8 of any side -> raw vectors (N, 6)."""
        return self.net(resized(crops, self.recipe.size_px)).float()

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        loss = weighted_mean(geodesic(self(batch["crop"]), batch["rotation"]), batch["rotation_weight"])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        angle = geodesic(self(batch["crop"]), batch["rotation"])
        self.log("val/geodesic_deg", torch.rad2deg(angle).mean(), prog_bar=True)

    def configure_optimizers(self) -> dict:
        r = self.recipe
        optimizer = torch.optim.AdamW(self.parameters(), r.learning_rate, weight_decay=r.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: 0.01 + 0.99 * (1 + cos(pi * min(1, step / self.steps))) / 2
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def resized(crops: torch.Tensor, size_px: int) -> torch.Tensor:
    """Crops (N, 3, S, S) at another side, antialiased, float in [0, 255]."""
    size = (size_px, size_px)
    return F.interpolate(crops.float(), size=size, mode="bilinear", antialias=True, align_corners=False)


class SixDRepNetData(L.LightningDataModule):
    """Real faces, and rendered or profiled ones as a fixed share of the samples."""

    def __init__(self, recipe: SixDRepNetRecipe, inputs: Inputs) -> None:
        super().__init__()
        self.recipe, self.inputs = recipe, inputs

    def setup(self, stage: str) -> None:
        data, labels, r = self.inputs.data, self.inputs.labels, self.recipe
        photos = read_photos(backgrounds(data, "train"))
        pictures, table = real_faces(data, labels, "train")
        drawn, exact = made_faces(self.inputs.rendered)
        if exact is None:
            raise InputError(
                "6drepnet learns from rendered heads too: give the folder of `facegeom lab synth`"
            )
        shares = (1 - r.rendered_share) / len(pictures), r.rendered_share / len(drawn)
        self.weights = np.repeat(shares, (len(pictures), len(drawn)))
        self.train = FaceCrops(
            pictures + drawn,
            FaceLabels.concatenate([table, exact]),
            photos,
            negatives=0,
            seed=r.seed,
            strength=r.strength,
        )
        self.val = FaceCropsPlain(*real_faces(data, labels, "val"), photos, view=upright_view)

    def train_dataloader(self) -> DataLoader:
        sampler = WeightedRandomSampler(self.weights.tolist(), self.recipe.samples_per_epoch)
        workers = self.inputs.workers
        return DataLoader(self.train, self.recipe.batch, sampler=sampler, num_workers=workers, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, 64)


def train(recipe: SixDRepNetRecipe, inputs: Inputs) -> Path:
    """Train and return the best checkpoint.

    Raises:
        InputError: no rendered heads are given; an unknown body.
    """
    L.seed_everything(recipe.seed, workers=True)
    steps = recipe.epochs * (recipe.samples_per_epoch // recipe.batch) // inputs.processes
    trainer = loop.trainer(
        inputs.out,
        recipe.precision,
        "val/geodesic_deg",
        inputs.processes,
        max_epochs=recipe.epochs,
        gradient_clip_val=5.0,
    )
    loop.fit(trainer, SixDRepNetTask(recipe, steps), SixDRepNetData(recipe, inputs), inputs.out)
    return inputs.out / loop.BEST
