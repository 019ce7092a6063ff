"""Pre-training of a backbone on faces, by regression of 478-point meshes: ``facegeom lab train body``.

Replaces ImageNet's weights where these are not available. On disk the task is called ``body``.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, RandomSampler

from facegeom.errors import InputError
from facegeom.geometry.schemes import MESH478_EYE_CORNERS
from facegeom.models.face import CROP_PX
from facegeom_lab.datasets.published.pack import background_files, read_images
from facegeom_lab.datasets.training.face_labels import real_faces
from facegeom_lab.datasets.training.face_samples import (
    Augmentation,
    FaceCrops,
    FaceCropsPlain,
    close_view,
    frame_view,
    upright_view,
)
from facegeom_lab.datasets.training.frames import aligned_view
from facegeom_lab.evaluation import run
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.networks.backbones import Regressor
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.face import MESH
from facegeom_lab.training import loop
from facegeom_lab.training.losses import eye_distance, weighted_mean, wing
from facegeom_lab.training.trainers import Inputs

VIEWS = {
    "close": (close_view, 0.7, upright_view, 1.0),
    "frame": (frame_view, 1.0, frame_view, 1.0),
    "aligned": (aligned_view, 1.0, aligned_view, 0.0),
}
"""View in training, strength of its rotations and other augmentations; view and strength in validation."""


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
        """Predict meshes (N, 478, 3) in crop units, ±0.5 at the edges, from crops (N, 3, H, H) uint8."""
        size = self.recipe.size_px
        if size != crops.shape[-1]:
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
            self.net.keep_statistics()

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Log the 2D error, normalised by the distance of the outer eye corners."""
        predicted = self(batch["crop"])
        eyes = eye_distance(batch["mesh"], MESH478_EYE_CORNERS)
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

    def backgrounds(self) -> list[np.ndarray]:
        """Read the photos without a face."""
        return read_images(background_files(self.data, "train"))

    def setup(self, stage: str) -> None:
        """Read the data."""
        photos = self.backgrounds()
        view, strength, _, _ = VIEWS[self.recipe.view]
        size_px = max(CROP_PX, self.recipe.size_px)
        self.train = FaceCrops(
            *real_faces(self.data, self.labels, "train"),
            photos,
            negatives=0,
            seed=self.recipe.seed,
            augmentation=Augmentation(strength),
            size_px=size_px,
            view=view,
        )
        self.val = self.plain("val", photos)

    def plain(self, split: str, photos: list[np.ndarray]) -> FaceCropsPlain:
        """Return the faces of a split in the view of the validation."""
        _, _, view, strength = VIEWS[self.recipe.view]
        size_px = max(CROP_PX, self.recipe.size_px)
        faces = real_faces(self.data, self.labels, split)
        return FaceCropsPlain(*faces, photos, augmentation=Augmentation(strength), size_px=size_px, view=view)

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


@torch.inference_mode()
def evaluate(recipe: BackboneRecipe, inputs: Inputs) -> dict[str, Any]:
    """Measure what the backbone learned: its own meshes of val's faces, beside the mean mesh of val's faces.

    ``mse`` is that of coordinates in crop units, as the dense mesh's; ``nme_interocular`` is in the plane.
    """
    net = Regressor(recipe.backbone, MESH, dimensions=3)
    task = BackboneTask(recipe, 1)
    task.net = network_from_checkpoint(inputs.out / loop.BEST, net)
    data = BackboneData(inputs.data, inputs.labels, recipe, inputs.workers)
    loader = DataLoader(data.plain("val", data.backgrounds()), 64, num_workers=inputs.workers)
    parts = [(task(batch["crop"]), batch["mesh"]) for batch in loader]
    predicted, truth = (torch.cat(each) for each in zip(*parts, strict=True))
    mean = truth.mean(dim=0).expand_as(truth)
    side = recipe.size_px
    figures = {
        name: run.Predictions(
            files=np.arange(len(truth)).astype(str),
            predicted=each.numpy() * side + side / 2,
            truth=truth.numpy() * side + side / 2,
            sizes_wh=np.full((len(truth), 2), side),
            scheme="mesh478",
        ).measure()
        for name, each in (("val", predicted), ("constant", mean))
    }
    about = {"backbone": recipe.backbone, "view": recipe.view, "size_px": side}
    return figures | about | asdict(cost(net, torch.zeros(1, 3, side, side)))
