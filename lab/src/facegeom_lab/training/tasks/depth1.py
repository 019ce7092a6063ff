"""Stage I of depth, quantised depth as semantic segmentation: ``facegeom lab train depth1``."""

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
from facegeom_lab.networks.checkpoint import initial_network, network_from_checkpoint
from facegeom_lab.networks.depth import DepthClasses, mean_depth
from facegeom_lab.training import loop
from facegeom_lab.training.tasks import depth
from facegeom_lab.training.trainers import Inputs

STRIDE = 2
"""Step between the pixels of a training loss on each axis: the softmax costs more than the network."""


@dataclass(frozen=True)
class Depth1Recipe(depth.DepthSettings):
    """Settings; see ``recipes/depth1.yaml``."""

    head: int
    folded: bool
    background_weight: float
    answer_weight: float


def network(recipe: Depth1Recipe) -> DepthClasses:
    """Build the network of a recipe."""
    return DepthClasses(tuple(recipe.widths), recipe.head)


class Depth1Task(L.LightningModule):
    """Cross-entropy over the classes at half the crop's size, plus the error of the mean depth in mm.

    The second term, weighted by ``answer_weight``, uses the order of the classes.
    """

    def __init__(self, recipe: Depth1Recipe, start: Path | None = None) -> None:
        super().__init__()
        self.save_hyperparameters(asdict(recipe))
        self.recipe = recipe
        net = initial_network(network(recipe), start, recipe.folded)
        self.net = net.to(memory_format=torch.channels_last)
        weights = torch.ones(CLASSES)
        weights[0] = recipe.background_weight
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Predict logits (N, CLASSES, 80, 80) from crops (N, 3, 160, 160) uint8."""
        return self.net(depth.to_float(crops))

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        row, column = torch.randint(0, STRIDE, (2,)).tolist()  # all pixels count over time
        features = self.net.features(depth.to_float(batch["crop"]))[..., row::STRIDE, column::STRIDE]
        logits = self.net.classify(features).float()
        loss = self._loss(logits, batch["depth"][:, row::STRIDE, column::STRIDE])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def _loss(self, logits: torch.Tensor, depth_mm: torch.Tensor) -> torch.Tensor:
        predicted, truth = logits.movedim(1, -1).reshape(-1, CLASSES), depth_mm.reshape(-1)
        entropy = F.cross_entropy(predicted, depth_to_class(truth), self.weights)
        face = ~truth.isnan()
        error = (mean_depth(predicted[face]) - truth[face]).abs().mean() if face.any() else 0.0
        return entropy + self.recipe.answer_weight * error

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Log loss, accuracies and the error of the mean depth."""
        logits = self(batch["crop"]).float()
        self.log("val/loss", self._loss(logits, batch["depth"]), prog_bar=True)
        top1, top3 = top_accuracies(logits, depth_to_class(batch["depth"]))
        self.log("val/top1", top1.nanmean(), prog_bar=True)
        self.log("val/top3", top3.nanmean(), prog_bar=True)
        self.log("val/mae_mm", depth.mean_error(mean_depth(logits), batch["depth"], True).mean())

    def configure_optimizers(self) -> dict:
        """Return AdamW with its schedule."""
        return depth.configure_adamw(self.recipe, self)


def depth_to_class(depth_mm: torch.Tensor) -> torch.Tensor:
    """Convert depths behind the nose tip (...,) in mm to classes (...,), 0 where NaN."""
    steps = torch.floor((depth_mm.nan_to_num(0.0) - NEAREST_MM) / STEP_MM).clamp(0, CLASSES - 2)
    return torch.where(depth_mm.isnan(), 0, steps.long() + 1)


def top_accuracies(logits: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the top-1 and the top-3 accuracy (N,) over each face's pixels."""
    best = logits.topk(3, dim=1).indices == truth[:, None]
    face = (truth > 0).float()
    count = face.sum(dim=(1, 2))
    first, three = ((hit * face).sum(dim=(1, 2)) / count for hit in (best[:, 0], best.any(dim=1)))
    return first, three


def train(recipe: Depth1Recipe, inputs: Inputs) -> Path:
    """Train, from ``inputs.start`` if given, on ``rendered/train`` or a published set; return checkpoint."""
    L.seed_everything(recipe.seed, workers=True)
    return depth.fit(Depth1Task(recipe, inputs.start), recipe, inputs, "val/loss")


def evaluate(recipe: Depth1Recipe, inputs: Inputs) -> dict[str, Any]:
    """Evaluate the last checkpoint on the crops of ``rendered/val``, or of a published set."""
    net = network_from_checkpoint(inputs.out / loop.LAST, network(recipe))
    loader = DataLoader(depth.val_crops_of(inputs), 32)
    parts: list[tuple[np.ndarray, ...]] = []
    with torch.inference_mode():
        for batch in loader:
            logits = net(depth.to_float(batch["crop"]))
            error = depth.mean_error(mean_depth(logits), batch["depth"], aligned=True)
            parts.append(
                tuple(
                    each.numpy() for each in (*top_accuracies(logits, depth_to_class(batch["depth"])), error)
                )
            )
    top1, top3, error_mm = (np.concatenate(column) for column in zip(*parts, strict=True))
    figures = depth.describe({"top1": top1, "top3": top3, "mae_mm_aligned": error_mm})
    return figures | asdict(cost(net, torch.zeros(1, 3, 160, 160)))
