"""Pre-training of a backbone on faces, by regression of 478-point meshes: ``facegeom lab train body``.

Replaces ImageNet's weights where these are not available. On disk the task is called ``body``.
"""

from dataclasses import dataclass
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, RandomSampler

from facegeom.errors import InputError
from facegeom_lab.datasets.published.pack import background_files, read_images
from facegeom_lab.datasets.training.face_labels import real_faces
from facegeom_lab.datasets.training.face_samples import (
    FaceCrops,
    FaceCropsPlain,
    close_view,
    frame_view,
    upright_view,
)
from facegeom_lab.networks.backbones import Regressor
from facegeom_lab.networks.face import CROP_PX, MESH
from facegeom_lab.training import loop
from facegeom_lab.training.losses import weighted_mean, wing
from facegeom_lab.training.trainers import Inputs

VIEWS = {"close": (close_view, 0.7, upright_view), "frame": (frame_view, 1.0, frame_view)}
"""View in training, strength of its rotations and other augmentations, view in validation."""


@dataclass(frozen=True)
class BackboneRecipe:
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


class BackboneTask(L.LightningModule):
    """Wing loss of the mesh's points in pixels of a 128 px crop, AdamW, cosine schedule.

    After ``statistics_share`` of the steps batch normalisation is frozen: the network learns with the running
    statistics that inference uses. Batch statistics hide that the activations of rare images, such as
    strongly coloured ones, grow from block to block.
    """

    def __init__(self, recipe: BackboneRecipe, steps: int) -> None:
        super().__init__()
        self.recipe, self.steps = recipe, steps
        self.net = Regressor(recipe.backbone, MESH, dimensions=3).to(memory_format=torch.channels_last)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Predict meshes (N, 478, 3) in crop units, ±0.5 at the edges, from crops (N, 3, 128, 128) uint8."""
        size = self.recipe.size_px
        if size != CROP_PX:
            crops = F.interpolate(crops.float(), size=(size, size), mode="bilinear", antialias=True)
        return self.net(crops).float()

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        error = wing((self(batch["crop"]) - batch["mesh"]).abs() * CROP_PX).mean(dim=2)
        loss = weighted_mean(error, batch["mesh_weight"])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def on_train_epoch_start(self) -> None:
        """Freeze batch normalisation after ``statistics_share`` of the steps."""
        if self.global_step >= self.recipe.statistics_share * self.steps:
            for part in self.net.modules():
                if isinstance(part, torch.nn.BatchNorm2d):
                    part.eval()

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Log the 2D error, normalised by the distance of the outer eye corners."""
        predicted = self(batch["crop"])
        eyes = torch.linalg.norm(batch["mesh"][:, 33, :2] - batch["mesh"][:, 263, :2], dim=1)
        error = torch.linalg.norm((predicted - batch["mesh"])[..., :2], dim=2).mean(dim=1) / eyes
        self.log("val/nme", error.mean(), prog_bar=True)

    def configure_optimizers(self) -> dict:
        """Return AdamW with a warm-up and half a cosine down to 1/100 of the learning rate."""
        r = self.recipe
        warmup = r.warmup_share * self.steps
        return loop.adamw_with_cosine(self, r.learning_rate, r.weight_decay, self.steps, warmup, final=0.01)


class BackboneData(L.LightningDataModule):
    """Labelled faces of the data pack with random rotation, light and occlusion."""

    def __init__(self, data: Path, labels: Path, recipe: BackboneRecipe, workers: int) -> None:
        super().__init__()
        self.data, self.labels, self.recipe, self.workers = data, labels, recipe, workers

    def setup(self, stage: str) -> None:
        """Read the data."""
        photos = read_images(background_files(self.data, "train"))
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
        """Return the training samples of an epoch."""
        sampler = RandomSampler(self.train, num_samples=self.recipe.samples_per_epoch)
        return DataLoader(
            self.train, self.recipe.batch, sampler=sampler, num_workers=self.workers, drop_last=True
        )

    def val_dataloader(self) -> DataLoader:
        """Return the validation samples."""
        return DataLoader(self.val, 64)


def train(recipe: BackboneRecipe, inputs: Inputs) -> Path:
    """Train and return the best checkpoint; the backbone's weights are called ``net.body.…``."""
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
    data = BackboneData(inputs.data, inputs.labels, recipe, inputs.workers)
    loop.fit(trainer, BackboneTask(recipe, steps), data, inputs.out)
    return inputs.out / loop.BEST
