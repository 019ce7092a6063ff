"""Training of the heat-map network, a teacher of 2D points: ``facegeom lab train heatmap68``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import lightning as L
import numpy as np
import torch

from facegeom.errors import InputError
from facegeom_lab.datasets import registry
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.evaluation import points, run
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.heatmap import HeatmapNet, distribution, expectation, gaussians
from facegeom_lab.training import loop
from facegeom_lab.training.losses import weighted_mean
from facegeom_lab.training.tasks.landmarks import LandmarksData, predict
from facegeom_lab.training.trainers import Inputs


@dataclass(frozen=True)
class HeatmapRecipe:
    """Settings; see ``recipes/heatmap68.yaml``."""

    scheme: str
    backbone: str
    pretrained: str
    size_px: int
    margin: float
    truth_share: float
    jitter: float
    turn_deg: float
    colour: float
    detector: str
    mesh_faces: bool
    samples_per_epoch: int
    spread_weight: float
    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    warmup_share: float
    precision: str
    seed: int


class HeatmapTask(L.LightningModule):
    """Loss of the maps' expectations and of their divergence from Gaussians; half the crops are mirrored."""

    def __init__(self, recipe: HeatmapRecipe) -> None:
        super().__init__()
        self.recipe, self.scheme = recipe, SCHEMES[recipe.scheme]
        self.net = HeatmapNet(recipe.backbone, self.scheme.count, recipe.pretrained)
        self.net.to(memory_format=torch.channels_last)

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        chosen = torch.rand(len(batch["crop"]), device=self.device) < 0.5
        crops, truth, weight = self.mirrored(batch, chosen)
        loss = heatmap_loss(self.net.maps(crops), truth, weight, self.recipe.spread_weight)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def mirrored(
        self, batch: dict[str, torch.Tensor], chosen: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return crops, points and weights of a batch, the samples ``chosen`` (N,) bool mirrored."""
        crops, truth, weight = (batch[name].clone() for name in ("crop", "points", "weight"))
        image = torch.as_tensor(np.array(self.scheme.mirror), device=truth.device)
        crops[chosen] = crops[chosen].flip(-1)
        truth[chosen] = truth[chosen][:, image] * truth.new_tensor([-1.0, 1.0])
        weight[chosen] = weight[chosen][:, image]
        return crops, truth, weight

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Log the loss and the NME."""
        maps = self.net.maps(batch["crop"])
        loss = heatmap_loss(maps, batch["points"], batch["weight"], self.recipe.spread_weight)
        self.log("val/loss", loss)
        self.log("val/nme", self._error(expectation(distribution(maps)), batch), prog_bar=True)

    def _error(self, predicted: torch.Tensor, batch: dict[str, torch.Tensor]) -> float:
        """Compute the NME in the photo, by the first normalising length that the scheme has."""
        half = batch["half_px"][:, None]
        unknown = batch["weight"][..., None] == 0
        truth = (batch["points"] * half).masked_fill(unknown, torch.nan).double().cpu().numpy()
        size = next(iter(points.scales(truth, self.scheme).values()))
        errors = points.face_errors((predicted * half).double().cpu().numpy(), truth, size)
        return float(np.nanmean(errors))

    def configure_optimizers(self) -> dict:
        """Return AdamW with a warm-up and half a cosine down to 1/100 of the learning rate."""
        r, steps = self.recipe, int(self.trainer.estimated_stepping_batches)
        optimizer = torch.optim.AdamW(self.parameters(), r.learning_rate, weight_decay=r.weight_decay)
        schedule = loop.cosine_schedule(optimizer, steps, r.warmup_share * steps, final=0.01)
        return loop.every_step(optimizer, schedule)


def heatmap_loss(
    maps: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor, spread_weight: float
) -> torch.Tensor:
    """Compute the loss of Nibali et al. (2018): Euclidean distance + λ · Jensen-Shannon divergence.

    The distance is that of the map's expectation, the divergence that from a Gaussian; mean over the points.

    Args:
        maps: (N, K, H, W) logits.
        truth: (N, K, 2) in units of half the crop; points outside the crop have no map and do not count.
        weight: (N, K).
        spread_weight: λ.
    """
    probability = distribution(maps)
    inside = (truth.abs() <= 1).all(dim=2)
    away = torch.linalg.norm(expectation(probability) - truth, dim=2)
    target = gaussians(truth.clamp(-1, 1), (maps.shape[2], maps.shape[3]))
    return weighted_mean(away + spread_weight * divergence(probability, target), weight * inside)


def divergence(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Compute the Jensen-Shannon divergence (N, K) of normalised maps (N, K, H, W), in nats: [0, ln 2]."""
    first, second = first.flatten(2), second.flatten(2)
    middle = (first + second) / 2
    return (_relative_entropy(first, middle) + _relative_entropy(second, middle)) / 2


def _relative_entropy(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    tiny = torch.finfo(first.dtype).tiny
    return (first * (first.clamp(min=tiny).log() - second.clamp(min=tiny).log())).sum(dim=2)


def _data(recipe: HeatmapRecipe, inputs: Inputs) -> LandmarksData:
    """Return the crops that the regression of points uses too; they read only the settings of crops.

    Raises:
        InputError: the data set has points of another scheme than the recipe.
    """
    data = LandmarksData(cast(Any, recipe), inputs)
    if data.scheme != recipe.scheme:
        raise InputError(
            f"expected a data set with points of {recipe.scheme}, got {inputs.dataset} with {data.scheme};"
            f" set scheme={data.scheme}"
        )
    return data


def train(recipe: HeatmapRecipe, inputs: Inputs) -> Path:
    """Train and return the best checkpoint by validation error."""
    L.seed_everything(recipe.seed, workers=True)
    data = _data(recipe, inputs)
    trainer = loop.trainer(
        inputs.out,
        recipe.precision,
        "val/nme",
        inputs.processes,
        max_epochs=recipe.epochs,
        gradient_clip_val=5.0,
    )
    loop.fit(trainer, HeatmapTask(recipe), data, inputs.out)
    return inputs.out / loop.BEST


def evaluate(recipe: HeatmapRecipe, inputs: Inputs) -> dict[str, Any]:
    """Evaluate the best checkpoint on val and test with detected boxes; write the predictions."""
    data = _data(recipe, inputs)
    net = HeatmapNet(recipe.backbone, SCHEMES[recipe.scheme].count)
    network_from_checkpoint(inputs.out / loop.BEST, net)
    figures: dict[str, Any] = {}
    for split in registry.measured_splits(inputs.dataset):
        predictions = predict(net, data.crops(split), recipe.scheme)
        run.write_predictions(inputs.out, split, predictions)
        figures[split] = predictions.measure()
    example = torch.zeros(1, 3, recipe.size_px, recipe.size_px)
    return figures | asdict(cost(net, example)) | {"size_px": recipe.size_px}
