"""Predictions of trained depth networks for crops with known depth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from facegeom.errors import InputError
from facegeom_lab.evaluation.run import read_recipe
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.depth import (
    DepthClasses,
    DepthMillimetres,
    full_size_depth,
    mean_depth,
    stage_two_input,
)
from facegeom_lab.training import loop, recipes
from facegeom_lab.training.tasks import depth, depth1, depth2


@dataclass(frozen=True, eq=False)
class DepthPredictions:
    """Predictions and truth of N crops; depths in mm behind the nose tip.

    Attributes:
        crops: (N, 160, 160, 3) uint8 RGB.
        truth_mm: (N, 80, 80), NaN where no face is.
        first_mm: (N, 80, 80) stage I's depth.
        classes: (N, 80, 80) stage I's most likely class.
        top1: (N,) fraction of the face's pixels whose class is right.
        top3: (N,) fraction whose class is among the three most likely.
        second_mm: (N, 80, 80) stage II's depth.
    """

    crops: np.ndarray
    truth_mm: np.ndarray
    first_mm: np.ndarray
    classes: np.ndarray
    top1: np.ndarray
    top3: np.ndarray
    second_mm: np.ndarray

    @property
    def face(self) -> np.ndarray:
        """Return the mask (N, 80, 80) of the faces."""
        return np.isfinite(self.truth_mm)

    def errors_mm(self, stage: str) -> np.ndarray:
        """Return prediction minus truth (N, 80, 80) after subtracting each face's mean, NaN where no face is.

        ``stage``: "first" or "second".
        """
        error = getattr(self, f"{stage}_mm") - self.truth_mm
        return error - np.nanmean(error, axis=(1, 2), keepdims=True)

    def means_mm(self, stage: str) -> np.ndarray:
        """Return the mean absolute errors (N,) of :meth:`errors_mm`."""
        return np.nanmean(np.abs(self.errors_mm(stage)), axis=(1, 2))


def stage_one(run: Path) -> DepthClasses:
    """Load the network of a finished run of ``depth1``.

    Raises:
        InputError: the folder holds no such run.
    """
    recipe = _recipe(depth1.Depth1Recipe, "depth1", run)
    return network_from_checkpoint(run / loop.LAST, depth1.network(recipe))


def stage_two(run: Path) -> DepthMillimetres:
    """Load the network of a finished run of ``depth2``.

    Raises:
        InputError: the folder holds no such run.
    """
    recipe = _recipe(depth2.Depth2Recipe, "depth2", run)
    return network_from_checkpoint(run / loop.LAST, depth2.network(recipe))


def _recipe(recipe_type, kind: str, run: Path):
    values = read_recipe(run)
    if values["kind"] != kind:
        raise InputError(f"expected a run of {kind} in {run}, got one of {values['kind']}")
    known = {name: values[name] for name in recipe_type.__dataclass_fields__ if name in values}
    return recipes.load(recipe_type, kind, **known)


@torch.inference_mode()
def predict(first: DepthClasses, second: DepthMillimetres, crops: Dataset, count: int) -> DepthPredictions:
    """Run both stages over ``count`` evenly spaced crops."""
    total = len(crops)
    chosen = np.unique(np.linspace(0, total - 1, min(count, total)).astype(int))
    parts = [_part(first, second, batch) for batch in DataLoader(Subset(crops, chosen.tolist()), 16)]
    return DepthPredictions(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _part(first: DepthClasses, second: DepthMillimetres, batch: dict[str, torch.Tensor]) -> tuple:
    images = depth.to_float(batch["crop"])
    logits = first(images)
    first_mm = full_size_depth(logits)
    top1, top3 = depth1.top_accuracies(logits, depth1.depth_to_class(batch["depth"]))
    outputs = (
        batch["crop"].permute(0, 2, 3, 1),
        batch["depth"],
        mean_depth(logits),
        logits.argmax(dim=1),
        top1,
        top3,
        second(stage_two_input(images, first_mm)),
    )
    return tuple(each.numpy() for each in outputs)
