"""2D keypoints by regression: ``facegeom lab train landmarks106-…``.

After A. V. Tyletsky, "2D face landmark regression with neural networks" (course work,
Belarusian State University, Minsk 2023, chapter 3).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, WeightedRandomSampler
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom_lab.datasets import registry
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.datasets.training.face_labels import MESH_SOURCE, faces_of_meshes
from facegeom_lab.datasets.training.landmark_crops import (
    CropChanges,
    LandmarkCrops,
    detected_boxes,
    points_to_photo,
)
from facegeom_lab.evaluation import run
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.networks.backbones import Regressor
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.training import loop
from facegeom_lab.training.losses import weighted_mean, wing
from facegeom_lab.training.trainers import PACK, Inputs

LOSSES = ("mse", "wing", "wing-unit")
"""Squared error; Wing of pixels; Wing of coordinates from -1 to 1, as the published text's formulas read."""

WING_CROP_PX = 224
"""Wing's width and curvature are in pixels of a crop of this side, whatever the network's input size."""


@dataclass(frozen=True)
class LandmarksRecipe:
    """Settings; see ``recipes/landmarks106-resnet18-mse.yaml``."""

    backbone: str
    pretrained: str
    frozen_blocks: int
    live_statistics: bool
    statistics_epochs: int
    loss: str
    wing_width: float
    wing_curvature: float
    size_px: int
    margin: float
    truth_share: float
    jitter: float
    turn_deg: float
    colour: float
    detector: str
    mesh_faces: bool
    samples_per_epoch: int
    batch: int
    learning_rate: float
    warmup_from: float
    warmup_epochs: int
    patience: int
    factor: float
    stop_at_rate: float
    max_epochs: int
    precision: str
    seed: int


class LandmarksTask(L.LightningModule):
    """Squared error or Wing, Adam, linear warm-up, smaller learning rate whenever validation stalls.

    After ``statistics_epochs`` batch normalisation is frozen, for the reason in ``tasks/backbone.py``:
    with live statistics the validation loss jumps, which the smaller rates would take for stalls.
    """

    def __init__(self, recipe: LandmarksRecipe, scheme: str) -> None:
        super().__init__()
        self.recipe = recipe
        self.pupils = SCHEMES[scheme].pupils
        self.net = Regressor(
            recipe.backbone,
            SCHEMES[scheme].count,
            pretrained=recipe.pretrained,
            frozen_blocks=recipe.frozen_blocks,
            live_statistics=recipe.live_statistics,
        ).to(memory_format=torch.channels_last)

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        loss = self.loss(self.net(batch["crop"]).float(), batch)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def loss(self, predicted: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Average over the annotated points: squared error, Wing in half crops or in pixels of 224."""
        distance = (predicted - batch["points"]).abs()
        r = self.recipe
        each = distance**2
        if r.loss in ("wing", "wing-unit"):
            unit = WING_CROP_PX / 2 if r.loss == "wing" else 1.0
            each = wing(distance * unit, r.wing_width, r.wing_curvature)
        return weighted_mean(each.mean(dim=2), batch["weight"])

    def on_train_epoch_start(self) -> None:
        """Freeze batch normalisation after ``statistics_epochs``."""
        if self.current_epoch >= self.recipe.statistics_epochs:
            self.net.keep_statistics()

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Log the loss and the NME."""
        predicted = self.net(batch["crop"]).float()
        self.log("val/loss", self.loss(predicted, batch), prog_bar=True)
        self.log("val/nme", self._error(predicted, batch), prog_bar=True)

    def _error(self, predicted: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Compute the NME in the photo by the pupils' distance, over faces with both pupils annotated.

        Schemes without pupils are normalised by half the crop's diagonal.
        """
        half, weight = batch["half_px"][:, None], batch["weight"]
        truth = batch["points"] * half
        distance = torch.linalg.norm((predicted * half) - truth, dim=2)
        size = torch.linalg.norm(batch["half_px"], dim=1)
        if self.pupils is not None:
            right, left = (truth[:, list(eye)].mean(dim=1) for eye in self.pupils)
            size = torch.linalg.norm(right - left, dim=1).clamp(min=1e-6)
            weight = weight * weight[:, [*self.pupils[0], *self.pupils[1]]].amin(dim=1, keepdim=True)
        return weighted_mean(distance / size[:, None], weight)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam on the parameters that are not frozen."""
        learned = [p for p in self.parameters() if p.requires_grad]
        return torch.optim.Adam(learned, self.recipe.learning_rate)

    def on_train_batch_start(self, *_: object) -> None:
        """Set the learning rate during the linear warm-up."""
        warmup = self.recipe.warmup_epochs * self.trainer.num_training_batches
        if self.trainer.global_step > warmup:
            return
        done = self.trainer.global_step / warmup if warmup else 1.0
        start, full = self.recipe.warmup_from, self.recipe.learning_rate
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = start + (full - start) * done


class LandmarksData(L.LightningDataModule):
    """The splits train, val and, for the evaluation, test of any data set with points."""

    def __init__(self, recipe: LandmarksRecipe, inputs: Inputs) -> None:
        super().__init__()
        self.recipe, self.inputs = recipe, inputs
        self.scheme = registry.info(inputs.dataset).scheme

    def train_dataloader(self) -> DataLoader:
        """Return the training samples of an epoch."""
        r = self.recipe
        crops = self.crops("train", CropChanges(r.truth_share, r.jitter, r.turn_deg, r.colour))
        samples = (
            {"shuffle": True} if not r.samples_per_epoch else {"sampler": drawn(crops, r.samples_per_epoch)}
        )
        return DataLoader(crops, r.batch, drop_last=True, num_workers=self.inputs.workers, **samples)

    def val_dataloader(self) -> DataLoader:
        """Return the validation samples."""
        return DataLoader(self.crops("val"), 64, num_workers=min(1, self.inputs.workers))

    def crops(self, split: str, changes: CropChanges | None = None) -> LandmarkCrops:
        """Return the crops of a split; without ``changes`` from detected boxes only, as in use."""
        inputs = self.inputs
        records = with_points(registry.load(inputs.dataset, inputs.data, split), split)
        if self.recipe.mesh_faces and split == "train":
            records = [*records, *faces_of_meshes(inputs.data, inputs.labels, split)]
        if changes and not self.recipe.samples_per_epoch:
            loop.expect_batch(len(records), self.recipe.batch, "faces")
        boxes = detected_boxes(records, inputs.out.parent / "boxes", self.recipe.detector)
        return LandmarkCrops(records, boxes, self.recipe.size_px, self.recipe.margin, changes)


def drawn(crops: LandmarkCrops, count: int) -> WeightedRandomSampler:
    """Draw ``count`` faces of an epoch, half of them with people's points where both kinds are."""
    people = np.array([record.source != MESH_SOURCE for record in crops.records])
    weights = np.where(people, 0.5 / max(1, people.sum()), 0.5 / max(1, (~people).sum()))
    return WeightedRandomSampler(weights.tolist(), count)


def with_points(records: list[FaceRecord], split: str) -> list[FaceRecord]:
    """Keep the records that have points.

    Raises:
        InputError: there are none.
    """
    chosen = [record for record in records if record.points is not None]
    if not chosen:
        raise InputError(
            f"expected faces with points in the split {split}, got none; see `facegeom lab inspect`"
        )
    return chosen


def train(recipe: LandmarksRecipe, inputs: Inputs) -> Path:
    """Train until the rate falls to ``stop_at_rate``; return the best checkpoint by validation loss."""
    if recipe.loss not in LOSSES:
        raise InputError(f"expected the loss {', '.join(LOSSES)}, got {recipe.loss!r}")
    if recipe.mesh_faces and inputs.dataset != PACK:
        raise InputError(f"mesh_faces adds faces of the data pack, got the data set {inputs.dataset}")
    L.seed_everything(recipe.seed, workers=True)
    data = LandmarksData(recipe, inputs)
    trainer = loop.trainer(
        inputs.out,
        recipe.precision,
        processes=inputs.processes,
        max_epochs=recipe.max_epochs,
        callbacks=[
            loop.LowerOnPlateau(recipe.factor, recipe.patience),
            loop.StopAtRate(recipe.stop_at_rate, recipe.warmup_epochs),
        ],
    )
    loop.fit(trainer, LandmarksTask(recipe, data.scheme), data, inputs.out)
    return inputs.out / loop.BEST


def evaluate(recipe: LandmarksRecipe, inputs: Inputs) -> dict[str, Any]:
    """Evaluate the best checkpoint on val and test with detected boxes; write the predictions."""
    data = LandmarksData(recipe, inputs)
    net = Regressor(recipe.backbone, SCHEMES[data.scheme].count)
    network_from_checkpoint(inputs.out / loop.BEST, net)
    figures: dict[str, Any] = {}
    for split in registry.measured_splits(inputs.dataset):
        crops = data.crops(split)
        predictions = predict(net, crops, data.scheme)
        run.write_predictions(inputs.out, split, predictions)
        figures[split] = predictions.measure()
        figures[split]["undetected"] = int(np.isnan(crops.detected).any(axis=1).sum())
    example = torch.zeros(1, 3, recipe.size_px, recipe.size_px)
    about = {"size_px": recipe.size_px, "mesh_faces": recipe.mesh_faces, "detector": recipe.detector}
    return figures | asdict(cost(net, example)) | about


@torch.inference_mode()
def predict(net: nn.Module, crops: LandmarkCrops, scheme: str) -> run.Predictions:
    """Predict the points of every record, in pixels of the photos."""
    outputs = [net(batch["crop"]).numpy() for batch in tqdm(DataLoader(crops, 32), desc="predictions")]
    predicted = [
        points_to_photo(output, crops.matrix(index), crops.size_px)
        for index, output in enumerate(np.concatenate(outputs))
    ]
    shapes = [record.read().shape for record in crops.records]
    return run.Predictions(
        files=np.array([record.name for record in crops.records]),
        predicted=np.stack(predicted),
        truth=np.stack([crops.points(index) for index in range(len(crops))]),
        sizes_wh=np.array([(shape[1], shape[0]) for shape in shapes]),
        scheme=scheme,
    )
