"""Stage II of depth, millimetres from grey and stage I's depth: ``facegeom lab train depth2``.

The recipe ``depth-onestage`` trains the same task from RGB, without a first stage, for comparison.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader

from facegeom.errors import InputError
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.evaluation.run import read_recipe
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.depth import DepthClasses, DepthMillimetres, full_size_depth, stage_two_input
from facegeom_lab.training import loop, recipes
from facegeom_lab.training.tasks import depth, depth1
from facegeom_lab.training.trainers import Inputs


@dataclass(frozen=True)
class Depth2Recipe(depth.DepthSettings):
    """Settings; see ``recipes/depth2.yaml``."""

    two_stages: bool
    aligned_weight: float


def network(recipe: Depth2Recipe) -> DepthMillimetres:
    """Build the network of a recipe."""
    return DepthMillimetres(tuple(recipe.widths), recipe.two_stages)


class Depth2Task(L.LightningModule):
    """Absolute error over the face, plain and after subtracting the mean error.

    Args:
        recipe: settings.
        first: frozen stage I; None for a network of one stage.
    """

    def __init__(self, recipe: Depth2Recipe, first: DepthClasses | None) -> None:
        super().__init__()
        self.save_hyperparameters(asdict(recipe))
        self.recipe = recipe
        # In a list, so that its weights stay out of the checkpoint.
        self.first = [first.eval().requires_grad_(False)] if first else []
        self.net = network(recipe).to(memory_format=torch.channels_last)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Predict depth (N, 80, 80), mm behind the nose tip, from crops (N, 3, 160, 160) uint8."""
        images = depth.to_float(crops)
        if self.first:
            with torch.no_grad():
                first = self.first[0].to(images.device)
                first_mm = full_size_depth(first(images).float())
            images = stage_two_input(images, first_mm).contiguous(memory_format=torch.channels_last)
        return self.net(images).float()

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        predicted, truth = self(batch["crop"]), batch["depth"]
        plain, aligned = (depth.mean_error(predicted, truth, each).mean() for each in (False, True))
        loss = plain + self.recipe.aligned_weight * aligned
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Log both errors."""
        predicted, truth = self(batch["crop"]), batch["depth"]
        for name, aligned in (("val/mae_mm", False), ("val/mae_mm_aligned", True)):
            self.log(name, depth.mean_error(predicted, truth, aligned).mean(), prog_bar=True)

    def configure_optimizers(self) -> dict:
        """Return AdamW with its schedule."""
        return depth.configure_adamw(self.recipe, self.net)


def first_stage(recipe: Depth2Recipe, inputs: Inputs) -> DepthClasses | None:
    """Load stage I from the checkpoint ``inputs.start`` and the recipe beside it; None for one stage only.

    Raises:
        InputError: no checkpoint is given.
    """
    if not recipe.two_stages:
        return None
    if inputs.start is None:
        raise InputError("stage II builds on stage I: expected --start RUN/last.ckpt of depth1, got none")
    values = read_recipe(inputs.start.parent)
    own = {name: values[name] for name in depth1.Depth1Recipe.__dataclass_fields__ if name in values}
    net = depth1.network(recipes.load(depth1.Depth1Recipe, "depth1", **own))
    return network_from_checkpoint(inputs.start, net)


def train(recipe: Depth2Recipe, inputs: Inputs) -> Path:
    """Train on ``rendered/train`` or a published set; return the last checkpoint."""
    L.seed_everything(recipe.seed, workers=True)
    task = Depth2Task(recipe, first_stage(recipe, inputs))
    return depth.fit(task, recipe, inputs, "val/mae_mm_aligned")


def evaluate(recipe: Depth2Recipe, inputs: Inputs) -> dict[str, Any]:
    """Evaluate the last checkpoint on the crops of ``rendered/val``, or of a published set."""
    task = Depth2Task(recipe, first_stage(recipe, inputs)).eval()
    network_from_checkpoint(inputs.out / loop.LAST, task.net)
    loader = DataLoader(depth.val_crops_of(inputs), 32)
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    with torch.inference_mode():
        for batch in loader:
            predicted = task(batch["crop"])
            plain, aligned = (
                depth.mean_error(predicted, batch["depth"], each).numpy() for each in (False, True)
            )
            parts.append((plain, aligned))
    plain_mm, aligned_mm = (np.concatenate(column) for column in zip(*parts, strict=True))
    channels = 2 if recipe.two_stages else 3
    figures = depth.describe({"mae_mm": plain_mm, "mae_mm_aligned": aligned_mm})
    return figures | asdict(cost(task.net, torch.zeros(1, channels, 160, 160)))
