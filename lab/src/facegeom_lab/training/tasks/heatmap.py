"""Training of the heat-map network, for the semi-automatic labelling of 2D points."""

from dataclasses import asdict, dataclass
from functools import partial
from math import cos, pi
from pathlib import Path
from typing import Any, cast

import lightning as L
import numpy as np
import torch

from facegeom.errors import InputError
from facegeom.geometry.schemes import SCHEMES
from facegeom_lab.evaluation import points, run
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.heatmap import HeatmapNet, distribution, expectation, gaussians
from facegeom_lab.training.losses import weighted_mean
from facegeom_lab.training.tasks import loop
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
    spread_weight: float
    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    warmup_share: float
    precision: str
    seed: int


class HeatmapTask(L.LightningModule):
    """Learns where the maps' expectations lie and that maps are Gaussians; half the crops are mirrored."""

    def __init__(self, recipe: HeatmapRecipe) -> None:
        super().__init__()
        self.recipe, self.scheme = recipe, SCHEMES[recipe.scheme]
        self.net = HeatmapNet(recipe.backbone, self.scheme.count, recipe.pretrained)
        self.net.to(memory_format=torch.channels_last)

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        chosen = torch.rand(len(batch["crop"]), device=self.device) < 0.5
        crops, truth, weight = self.mirrored(batch, chosen)
        loss = heatmap_loss(self.net.maps(crops), truth, weight, self.recipe.spread_weight)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def mirrored(
        self, batch: dict[str, torch.Tensor], chosen: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Crops, points and weights of a batch, the samples ``chosen`` (N,) bool mirrored."""
        crops, truth, weight = (batch[name].clone() for name in ("crop", "points", "weight"))
        image = torch.as_tensor(np.array(self.scheme.mirror), device=truth.device)
        crops[chosen] = crops[chosen].flip(-1)
        truth[chosen] = truth[chosen][:, image] * truth.new_tensor([-1.0, 1.0])
        weight[chosen] = weight[chosen][:, image]
        return crops, truth, weight

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        maps = self.net.maps(batch["crop"])
        loss = heatmap_loss(maps, batch["points"], batch["weight"], self.recipe.spread_weight)
        self.log("val/loss", loss)
        self.log("val/nme", self._error(expectation(distribution(maps)), batch), prog_bar=True)

    def _error(self, answer: torch.Tensor, batch: dict[str, torch.Tensor]) -> float:
        """Mean distance in the photo as a share of the first length that the scheme has."""
        half = batch["half_px"][:, None]
        unknown = batch["weight"][..., None] == 0
        truth = (batch["points"] * half).masked_fill(unknown, torch.nan).double().cpu().numpy()
        size = next(iter(points.scales(truth, self.scheme).values()))
        errors = points.face_errors((answer * half).double().cpu().numpy(), truth, size)
        return float(np.nanmean(errors))

    def configure_optimizers(self) -> dict:
        r = self.recipe
        optimizer = torch.optim.AdamW(self.parameters(), r.learning_rate, weight_decay=r.weight_decay)
        rate = partial(self._rate, int(self.trainer.estimated_stepping_batches))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, steps: int, step: int) -> float:
        """Share of the full learning rate: a linear start, then half a cosine down to 1/100."""
        start = self.recipe.warmup_share * steps
        if step < start:
            return (step + 1) / start
        return 0.01 + 0.99 * (1 + cos(pi * min(1.0, (step - start) / (steps - start)))) / 2


def heatmap_loss(
    maps: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor, spread_weight: float
) -> torch.Tensor:
    """Mean over the points of the expectation's distance and the map's divergence from a Gaussian.

    The loss of Nibali et al. (2018): Euclidean distance + λ · Jensen-Shannon divergence.

    Args:
        maps: (N, K, H, W) logits.
        truth: (N, K, 2) in units of half the crop; points outside the crop do not count, no map can say them.
        weight: (N, K).
        spread_weight: λ.
    """
    probability = distribution(maps)
    inside = (truth.abs() <= 1).all(dim=2)
    away = torch.linalg.norm(expectation(probability) - truth, dim=2)
    target = gaussians(truth.clamp(-1, 1), (maps.shape[2], maps.shape[3]))
    return weighted_mean(away + spread_weight * divergence(probability, target), weight * inside)


def divergence(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence (N, K) of maps (N, K, H, W) that add up to 1, in nats: [0, ln 2]."""
    first, second = first.flatten(2), second.flatten(2)
    middle = (first + second) / 2
    return (_relative_entropy(first, middle) + _relative_entropy(second, middle)) / 2


def _relative_entropy(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    tiny = torch.finfo(first.dtype).tiny
    return (first * (first.clamp(min=tiny).log() - second.clamp(min=tiny).log())).sum(dim=2)


def _data(recipe: HeatmapRecipe, inputs: Inputs) -> LandmarksData:
    """The same crops as for networks that regress points; they read the recipe's settings of crops alone.

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
    """Train and return the best checkpoint by the error of validation."""
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
    """Measure the best checkpoint on val and test, boxes of the detector alone; keeps the predictions."""
    data = _data(recipe, inputs)
    net = HeatmapNet(recipe.backbone, SCHEMES[recipe.scheme].count)
    network_from_checkpoint(inputs.out / loop.BEST, net)
    figures: dict[str, Any] = {}
    for split in ("val", "test"):
        told = predict(net, data.crops(split), recipe.scheme)
        run.write_predictions(inputs.out, split, told)
        figures[split] = points.measure(told.predicted, told.truth, told.scheme, told.sizes_wh)
    example = torch.zeros(1, 3, recipe.size_px, recipe.size_px)
    return figures | asdict(cost(net, example)) | {"size_px": recipe.size_px}
