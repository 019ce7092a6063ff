"""A body that has learned faces: 478-point meshes by regression, to start other trainings from.

It takes the place of ImageNet's weights where these cannot be had.
"""

from dataclasses import dataclass
from math import cos, pi
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, RandomSampler

from facegeom.errors import InputError
from facegeom_lab.datasets.published.pack import backgrounds
from facegeom_lab.datasets.training.face_crops import (
    FaceCrops,
    FaceCropsPlain,
    close_view,
    frame_view,
    upright_view,
)
from facegeom_lab.datasets.training.faces import read_photos, real_faces
from facegeom_lab.networks.backbones import Regressor
from facegeom_lab.networks.face import CROP_PX, MESH
from facegeom_lab.training.losses import weighted_mean, wing
from facegeom_lab.training.tasks import loop
from facegeom_lab.training.trainers import Inputs

VIEWS = {"close": (close_view, 0.7, upright_view), "frame": (frame_view, 1.0, frame_view)}
"""View in training, strength of its turns and other changes, view in validation."""


@dataclass(frozen=True)
class BodyRecipe:
    """Settings; see ``recipes/body.yaml``."""

    backbone: str
    view: str
    size_px: int
    epochs: int
    samples_per_epoch: int
    batch: int
    learning_rate: float
    weight_decay: float
    warmup_share: float
    statistics_share: float
    precision: str
    seed: int


class BodyTask(L.LightningModule):
    """Wing loss of the mesh's points in pixels of a 128 px crop; cosine schedule by steps.

    After ``statistics_share`` of the steps batch normalisation keeps the statistics that it has and the
    network learns with them. Normalised within their batch, rare pictures (strongly coloured ones) look
    harmless; by the running statistics they grow from block to block of a deep network that has seen little.
    """

    def __init__(self, recipe: BodyRecipe, steps: int) -> None:
        super().__init__()
        self.recipe, self.steps = recipe, steps
        self.net = Regressor(recipe.backbone, MESH, dimensions=3).to(memory_format=torch.channels_last)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Crops (N, 3, 128, 128) uint8 -> meshes (N, 478, 3), 0 in the crop's middle, ±0.5 at its edges."""
        size = self.recipe.size_px
        if size != CROP_PX:
            crops = F.interpolate(crops.float(), size=(size, size), mode="bilinear", antialias=True)
        return self.net(crops).float()

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        error = wing((self(batch["crop"]) - batch["mesh"]).abs() * CROP_PX).mean(dim=(1, 2))
        loss = weighted_mean(error, batch["mesh_weight"])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def on_train_epoch_start(self) -> None:
        if self.global_step >= self.recipe.statistics_share * self.steps:
            for part in self.net.modules():
                if isinstance(part, torch.nn.BatchNorm2d):
                    part.eval()

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        answer = self(batch["crop"])
        eyes = torch.linalg.norm(batch["mesh"][:, 33, :2] - batch["mesh"][:, 263, :2], dim=1)
        error = torch.linalg.norm((answer - batch["mesh"])[..., :2], dim=2).mean(dim=1) / eyes
        self.log("val/nme", error.mean(), prog_bar=True)

    def configure_optimizers(self) -> dict:
        r = self.recipe
        optimizer = torch.optim.AdamW(self.parameters(), r.learning_rate, weight_decay=r.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int) -> float:
        """Share of the full learning rate: a linear start, then half a cosine down to 1/100."""
        start = self.recipe.warmup_share * self.steps
        if step < start:
            return (step + 1) / start
        return 0.01 + 0.99 * (1 + cos(pi * min(1.0, (step - start) / (self.steps - start)))) / 2


class BodyData(L.LightningDataModule):
    """The labelled faces of the data pack, turned, in random light and cover."""

    def __init__(self, data: Path, labels: Path, recipe: BodyRecipe, workers: int) -> None:
        super().__init__()
        self.data, self.labels, self.recipe, self.workers = data, labels, recipe, workers

    def setup(self, stage: str) -> None:
        photos = read_photos(backgrounds(self.data, "train"))
        view, strength, val_view = VIEWS[self.recipe.view]
        self.train = FaceCrops(
            *real_faces(self.data, self.labels, "train"),
            photos,
            negatives=0,
            seed=self.recipe.seed,
            strength=strength,
            view=view,
        )
        self.val = FaceCropsPlain(*real_faces(self.data, self.labels, "val"), photos, view=val_view)

    def train_dataloader(self) -> DataLoader:
        sampler = RandomSampler(self.train, num_samples=self.recipe.samples_per_epoch)
        return DataLoader(
            self.train, self.recipe.batch, sampler=sampler, num_workers=self.workers, drop_last=True
        )

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, 64)


def train(recipe: BodyRecipe, inputs: Inputs) -> Path:
    """Train and return the best checkpoint; its body is under the names ``net.body.…``."""
    if recipe.view not in VIEWS:
        raise InputError(f"expected the view {' or '.join(VIEWS)}, got {recipe.view!r}")
    L.seed_everything(recipe.seed, workers=True)
    steps = recipe.epochs * (recipe.samples_per_epoch // recipe.batch) // inputs.processes
    trainer = loop.trainer(
        inputs.out,
        recipe.precision,
        "val/nme",
        inputs.processes,
        max_epochs=recipe.epochs,
        gradient_clip_val=5.0,
    )
    data = BodyData(inputs.data, inputs.labels, recipe, inputs.workers)
    loop.fit(trainer, BodyTask(recipe, steps), data, inputs.out)
    return inputs.out / loop.BEST
