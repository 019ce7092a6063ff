"""Training of the regions' networks: ``facegeom lab train eyes`` and ``facegeom lab train mouth``."""

from dataclasses import asdict, dataclass
from pathlib import Path

import lightning as L
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from facegeom.geometry.schemes import MESH478_EYE_ENDS, MESH478_IRISES, MESH478_LIDS
from facegeom.models.regions import CROP_PX, FEATURES, REGIONS, Region
from facegeom_lab.datasets.published.pack import background_files, read_images
from facegeom_lab.datasets.training.face_labels import FaceLabels, real_faces, synthetic_faces
from facegeom_lab.datasets.training.region_samples import (
    SHAPES,
    Jitter,
    RegionCrops,
    RegionTargets,
    collate,
    first_looks,
    sampling_frequency,
)
from facegeom_lab.measures.motion import LIP_PAIRS, MOUTH_CORNERS
from facegeom_lab.networks.checkpoint import initial_network
from facegeom_lab.networks.regions import RegionNet
from facegeom_lab.training import loop
from facegeom_lab.training.losses import scale_nll, weighted_mean, wing
from facegeom_lab.training.trainers import Inputs

RENDERED_WEIGHT = 0.6

SHAPES_HIDDEN = 128

PAIRS = {
    "eyes": (*MESH478_LIDS[0], *((MESH478_IRISES[0][0], corner) for corner in MESH478_EYE_ENDS[0])),
    "mouth": (*LIP_PAIRS, MOUTH_CORNERS),
}
"""Pairs of mesh points whose difference says what the region does."""


@dataclass(frozen=True)
class RegionRecipe:
    """Settings of the training; see ``recipes/eyes.yaml``."""

    region: str
    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    ema_decay: float
    steps_per_epoch: int
    views: int
    evenness: float
    pairs_weight: float
    scale_weight: float
    shapes_weight: float
    seed: int


def region_of(name: str) -> Region:
    """Return the region of a name."""
    return {region.name: region for region in REGIONS}[name]


class RegionTask(L.LightningModule):
    """Losses, optimiser and validation of a region's network."""

    def __init__(self, recipe: RegionRecipe, start: Path | None = None) -> None:
        super().__init__()
        self.save_hyperparameters(asdict(recipe))
        self.recipe, region = recipe, region_of(recipe.region)
        net = initial_network(RegionNet(region), start, folded=False)
        self.net = net.to(memory_format=torch.channels_last)
        places = {int(point): place for place, point in enumerate(region.mesh_indices[0])}
        self.first, self.second = ([places[pair[end]] for pair in PAIRS[region.name]] for end in (0, 1))
        self.shapes = nn.Sequential(
            nn.Linear(FEATURES // 3, SHAPES_HIDDEN),
            nn.ReLU(),
            nn.Linear(SHAPES_HIDDEN, len(SHAPES[region.name])),
        )
        self.span = [places[point] for point in region.spans[0]]
        self.checked: list[torch.Tensor] = []

    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict points, log scales and shapes from crops (N, 3, 64, 64) uint8 and first looks."""
        crops = batch["crop"].float().contiguous(memory_format=torch.channels_last)
        points, log_scale, features = self.net(crops, batch["first"])
        return points, log_scale, self.shapes(features)

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch: points, differences of the pairs, scales, known shapes."""
        r, truth, weight = self.recipe, batch["points"], batch["weight"]
        points, log_scale, shapes = self(batch)
        known = batch["shapes"].isfinite()
        missed = shapes[known] - batch["shapes"][known]
        error = wing((points - truth).abs() * CROP_PX).mean(dim=2)
        distance = torch.linalg.norm((points - truth).detach(), dim=2)
        pairs = wing((self._pairs(points) - self._pairs(truth)).abs() * CROP_PX).mean(dim=(1, 2))
        losses = {
            "points": weighted_mean(error, weight),
            "pairs": r.pairs_weight * weighted_mean(pairs, weight[:, 0]),
            "shapes": r.shapes_weight * (missed**2).sum() / max(int(known.sum()), 1),
            "scale": r.scale_weight * weighted_mean(scale_nll(distance, log_scale), weight),
        }
        return loop.log_and_add(self, losses)

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Collect errors and differences, in sizes of the part."""
        points, truth = self(batch)[0], batch["points"]
        size = torch.linalg.norm(truth[:, self.span[0]] - truth[:, self.span[1]], dim=1)
        error = torch.linalg.norm(points - truth, dim=2).mean(dim=1) / size
        moved = [(self._pairs(each) / size[:, None, None]).flatten(1).T for each in (points, truth)]
        self.checked.append(torch.cat([error[None], *moved]))

    def on_validation_epoch_end(self) -> None:
        """Log the error in % of the part's size, slope and correlation of the pairs' differences."""
        error, *moved = torch.cat(self.checked, dim=1).double()
        self.checked.clear()
        self.log("val/error", 100 * error.mean(), prog_bar=True)
        found, truth = torch.stack(moved).chunk(2)
        for number, pair in enumerate(PAIRS[self.recipe.region]):
            for axis, each in zip("xy", (2 * number, 2 * number + 1), strict=True):
                both = torch.cov(torch.stack([found[each], truth[each]]))
                name = f"val/{pair[0]}-{pair[1]}{axis}"
                self.log(f"{name}/slope", both[0, 1] / both[1, 1])
                self.log(f"{name}/correlation", both[0, 1] / (both[0, 0] * both[1, 1]).sqrt())

    def _pairs(self, points: torch.Tensor) -> torch.Tensor:
        return points[:, self.first] - points[:, self.second]

    def configure_optimizers(self) -> dict:
        """Return AdamW with a warm-up and half a cosine down to 1/200 of the learning rate."""
        r = self.recipe
        return loop.adamw_with_cosine(
            self, r.learning_rate, r.weight_decay, r.steps, r.warmup_steps, final=0.005
        )


class RegionData(L.LightningDataModule):
    """Crops of a region from real, profiled and rendered faces."""

    weights_set = "int8"
    """Set of the face network whose points the region's network sees."""

    def __init__(self, recipe: RegionRecipe, inputs: Inputs) -> None:
        super().__init__()
        self.recipe, self.inputs, self.region = recipe, inputs, region_of(recipe.region)

    def backgrounds(self) -> list[np.ndarray]:
        """Return photos without a face."""
        return read_images(background_files(self.inputs.data, "train"))

    def training_faces(self) -> tuple[list[np.ndarray], FaceLabels, np.ndarray]:
        """Return images, labels, and how often (N, S) each side of them is drawn."""
        images, table = real_faces(self.inputs.data, self.inputs.labels, "train")
        often = self.frequency(table)
        drawn, exact = synthetic_faces(self.inputs.rendered)
        if exact:
            images, table = images + drawn, FaceLabels.concatenate([table, exact])
            often = np.concatenate([often, RENDERED_WEIGHT * self.frequency(exact)])
        return images, table, often

    def validation_faces(self) -> tuple[list[np.ndarray], FaceLabels]:
        """Return images and labels that training does not see."""
        return real_faces(self.inputs.data, self.inputs.labels, "val")

    def frequency(self, table: FaceLabels) -> np.ndarray:
        """Return how often to draw each of N faces, (N, S): rare states of the region more often."""
        return sampling_frequency(self.region, table, self.recipe.evenness)

    def setup(self, stage: str) -> None:
        """Read the data."""
        r, region, photos, chosen = self.recipe, self.region, self.backgrounds(), self.weights_set
        images, table, often = self.training_faces()
        looks = first_looks(images, table, photos, r.views, r.seed, weights_set=chosen)
        self.train = RegionCrops(region, images, table, looks, often, photos, r.batch, r.seed)
        images, table = self.validation_faces()
        looks = first_looks(images, table, photos, 1, strength=0, weights_set=chosen)
        targets = RegionTargets(region, table, looks)
        black = np.zeros((CROP_PX, CROP_PX, 3), np.uint8)
        samples = [
            targets.cut(image, index, 0, side, Jitter(mirrored=bool(side)), black.copy())
            for index, image in enumerate(images)
            for side in range(often.shape[1])
        ]
        self.val = [collate(samples[start : start + 256]) for start in range(0, len(samples), 256)]

    def train_dataloader(self) -> DataLoader:
        """Return the training samples."""
        workers = self.inputs.workers
        return DataLoader(self.train, None, num_workers=workers, persistent_workers=workers > 0)

    def val_dataloader(self) -> DataLoader:
        """Return the validation samples."""
        return DataLoader(self.val, None)


def train(recipe: RegionRecipe, inputs: Inputs) -> Path:
    """Train or resume: ``out/last.ckpt``, the averaged weights."""
    return fit_region(recipe, inputs, RegionData(recipe, inputs))


def fit_region(recipe: RegionRecipe, inputs: Inputs, data: RegionData) -> Path:
    """Train or resume on the data: ``out/last.ckpt``, the averaged weights."""
    L.seed_everything(recipe.seed, workers=True)
    trainer = loop.trainer(
        inputs.out,
        "bf16-mixed",
        "val/error",
        inputs.processes,
        ema_decay=recipe.ema_decay,
        max_steps=recipe.steps,
        limit_train_batches=recipe.steps_per_epoch,
        gradient_clip_val=5.0,
    )
    loop.fit(trainer, RegionTask(recipe, inputs.start), data, inputs.out)
    return loop.save_last(trainer, inputs.out)
