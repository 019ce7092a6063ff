"""Stage I of depth: quantised depth as semantic segmentation: ``facegeom lab train depth1``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from facegeom_lab.datasets.depth_classes import CLASSES, NEAREST_MM, STEP_MM
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.networks.checkpoint import first_network, network_from_checkpoint
from facegeom_lab.networks.depth import DepthClasses, mean_depth
from facegeom_lab.training.tasks import depth, loop
from facegeom_lab.training.trainers import Inputs

EVERY = 2
"""A training step looks at every so many pixels on each axis: the softmax costs more than the network."""


@dataclass(frozen=True)
class Depth1Recipe(depth.DepthSettings):
    """Settings; see ``recipes/depth1.yaml``."""

    head: int
    folded: bool
    background_weight: float
    answer_weight: float


def network(recipe: Depth1Recipe) -> DepthClasses:
    """The network of a recipe."""
    return DepthClasses(tuple(recipe.widths), recipe.head)


class Depth1Task(L.LightningModule):
    """Cross-entropy over the classes at half the crop's size, and the error of their mean, in millimetres.

    The classes are ordered, which the cross-entropy does not see; with ``answer_weight`` 0 it is alone.
    """

    def __init__(self, recipe: Depth1Recipe, start: Path | None = None) -> None:
        super().__init__()
        self.save_hyperparameters(asdict(recipe))
        self.recipe = recipe
        net = first_network(network(recipe), start, recipe.folded)
        self.net = net.to(memory_format=torch.channels_last)
        weights = torch.ones(CLASSES)
        weights[0] = recipe.background_weight
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Crops (N, 3, 160, 160) uint8 -> logits (N, CLASSES, 80, 80)."""
        return self.net(depth.pixels(crops))

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        row, column = torch.randint(0, EVERY, (2,)).tolist()  # all pixels have their turn
        features = self.net.features(depth.pixels(batch["crop"]))[..., row::EVERY, column::EVERY]
        logits = self.net.classify(features).float()
        loss = self._loss(logits, batch["depth"][:, row::EVERY, column::EVERY])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def _loss(self, logits: torch.Tensor, depth_mm: torch.Tensor) -> torch.Tensor:
        told, truth = logits.movedim(1, -1).reshape(-1, CLASSES), depth_mm.reshape(-1)
        entropy = F.cross_entropy(told, classes_of(truth), self.weights)
        face = ~truth.isnan()
        error = (mean_depth(told[face]) - truth[face]).abs().mean() if face.any() else 0.0
        return entropy + self.recipe.answer_weight * error

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        logits = self(batch["crop"]).float()
        self.log("val/loss", self._loss(logits, batch["depth"]), prog_bar=True)
        top1, top3 = shares_right(logits, classes_of(batch["depth"]))
        self.log("val/top1", top1.nanmean(), prog_bar=True)
        self.log("val/top3", top3.nanmean(), prog_bar=True)
        self.log("val/mae_mm", depth.mean_error(mean_depth(logits), batch["depth"], True).mean())

    def configure_optimizers(self) -> dict:
        return depth.optimiser(self.recipe, self)


def classes_of(depth_mm: torch.Tensor) -> torch.Tensor:
    """Classes (...,) of depths behind the nose tip (...,), 0 where they are NaN; see ``depth.classes``."""
    steps = torch.floor((depth_mm.nan_to_num(0.0) - NEAREST_MM) / STEP_MM).clamp(0, CLASSES - 2)
    return torch.where(depth_mm.isnan(), 0, steps.long() + 1)


def shares_right(logits: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N,) of each face's pixels: where the first answer is right, and where one of the first three is."""
    best = logits.topk(3, dim=1).indices == truth[:, None]
    face = (truth > 0).float()
    count = face.sum(dim=(1, 2))
    first, three = ((hit * face).sum(dim=(1, 2)) / count for hit in (best[:, 0], best.any(dim=1)))
    return first, three


def train(recipe: Depth1Recipe, inputs: Inputs) -> Path:
    """Train on ``rendered/train``, from the weights of ``inputs.start`` if given; the last checkpoint."""
    L.seed_everything(recipe.seed, workers=True)
    return depth.fit(Depth1Task(recipe, inputs.start), recipe, inputs, "val/loss")


def evaluate(recipe: Depth1Recipe, inputs: Inputs) -> dict[str, Any]:
    """Measure the last checkpoint on all crops of ``rendered/val``."""
    net = network_from_checkpoint(inputs.out / loop.LAST, network(recipe))
    loader = DataLoader(depth.val_crops(inputs.rendered or inputs.data), 32)
    told: list[tuple[np.ndarray, ...]] = []
    with torch.inference_mode():
        for batch in loader:
            logits = net(depth.pixels(batch["crop"]))
            error = depth.mean_error(mean_depth(logits), batch["depth"], aligned=True)
            told.append(
                tuple(each.numpy() for each in (*shares_right(logits, classes_of(batch["depth"])), error))
            )
    top1, top3, error_mm = (np.concatenate(column) for column in zip(*told, strict=True))
    figures = depth.described({"top1": top1, "top3": top3, "mae_mm_aligned": error_mm})
    return figures | asdict(cost(net, torch.zeros(1, 3, 160, 160)))
