"""Training of the one-pass detector: ``facegeom lab train onepass``."""

from dataclasses import asdict, dataclass
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F

from facegeom_lab.datasets.training.detection import (
    DetectionPictures,
    load_empty,
    load_scenes,
    load_tiles,
)
from facegeom_lab.networks.checkpoint import first_network
from facegeom_lab.networks.onepass import STRIDE, TYPICAL_SIDE_PX, OnePassNet, cell_middles
from facegeom_lab.training.tasks.detector import fast, fit
from facegeom_lab.training.trainers import Inputs

CENTRE_SHARE, CENTRE_LEAST_PX = 0.1, 2.5
"""Spread of the wanted answer around a face's middle: of the face's side, and at least."""

PLACE_FROM = 0.3
"""Cells whose wanted answer is above this learn the face's place."""


@dataclass(frozen=True)
class OnePassRecipe:
    """Settings of the training; see ``recipes/onepass.yaml``."""

    steps: int
    batch: int
    size_px: int
    smallest_px: float
    largest_px: float
    learning_rate: float
    weight_decay: float
    place_weight: float
    ema_decay: float
    samples_per_epoch: int
    folded: bool
    seed: int


@dataclass(frozen=True)
class Targets:
    """What the network should answer.

    Attributes:
        score: (N, H, W) from 0 to 1; 1 in the cell of a face's middle.
        place: (N, 3, H, W) as the network gives it, for the face that each cell is nearest to.
        known: (N, H, W) False where a face lies whose middle is outside, or which is too small.
        faces: number of faces.
    """

    score: torch.Tensor
    place: torch.Tensor
    known: torch.Tensor
    faces: int


def targets(boxes: torch.Tensor, rows: int, columns: int, smallest_px: float) -> Targets:
    """The answers for squares (N, F, 4) in pixels, NaN after the last face; rows x columns cells."""
    boxes = boxes[:, : max(1, int(torch.isfinite(boxes[..., 0]).sum(dim=1).max()))]
    cells = cell_middles(rows, columns, boxes.device).reshape(-1, 2)
    side = boxes[..., 2] - boxes[..., 0]
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    ends = torch.tensor([columns, rows], device=boxes.device) * STRIDE - 0.5
    inside = ((middle > -0.5) & (middle < ends)).all(dim=-1)
    wanted = inside & (side >= smallest_px)
    score = torch.nan_to_num(_peaks(cells, middle, side)) * wanted[..., None]  # (N, F, cells)
    best, which = score.max(dim=1)
    away = middle[:, :, None] - cells  # (N, F, cells, 2)
    inner = (away.abs() < side[..., None, None] / 2).all(dim=-1)
    unknown = (inner & ~wanted[..., None]).any(dim=1) & (best < PLACE_FROM)
    own = torch.cat(
        [away / side[..., None, None], _log_side(side)[..., None, None].expand_as(away[..., :1])], -1
    )
    place = torch.gather(own, 1, which[:, None, :, None].expand(-1, 1, -1, 3))[:, 0]
    return Targets(
        score=best.unflatten(1, (rows, columns)),
        place=torch.nan_to_num(place).transpose(1, 2).unflatten(2, (rows, columns)),
        known=~unknown.unflatten(1, (rows, columns)),
        faces=int(wanted.sum()),
    )


def _peaks(cells: torch.Tensor, middle: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """(N, F, cells) bells around the cell of each face's middle, 1 there."""
    home = ((middle + 0.5) / STRIDE).floor() * STRIDE + (STRIDE - 1) / 2
    spread = (CENTRE_SHARE * side).clamp(min=CENTRE_LEAST_PX)
    square = (cells - home[:, :, None]).square().sum(dim=-1)
    return torch.exp((-square / (2 * spread[..., None].square())).clamp(min=-20))  # denormal numbers are slow


def _log_side(side: torch.Tensor) -> torch.Tensor:
    return torch.log(side / TYPICAL_SIDE_PX)


def focal(logits: torch.Tensor, wanted: Targets) -> torch.Tensor:
    """The penalty-reduced focal loss of CornerNet (Law and Deng, ECCV 2018, equation 1), per face."""
    found, missed = F.logsigmoid(logits), F.logsigmoid(-logits)
    p = torch.sigmoid(logits)
    at_face = -((1 - p) ** 2) * found
    elsewhere = -((1 - wanted.score) ** 4) * p**2 * missed
    loss = torch.where(wanted.score > 0.999, at_face, elsewhere)
    return (loss * wanted.known).sum() / max(1, wanted.faces)


def place_loss(place: torch.Tensor, wanted: Targets) -> torch.Tensor:
    """Smooth L1 of middle and size, weighted by the wanted answer, where that is large."""
    weight = (wanted.score * (wanted.score > PLACE_FROM))[:, None]
    error = F.smooth_l1_loss(place, wanted.place, beta=0.05, reduction="none")
    return (error * weight).sum() / (3 * weight.sum()).clamp(min=1)


class OnePassTask(L.LightningModule):
    """Losses and optimiser of the one-pass detector."""

    def __init__(self, recipe: OnePassRecipe, start: Path | None = None) -> None:
        super().__init__()
        self.save_hyperparameters(asdict(recipe))
        self.recipe, self.steps = recipe, recipe.steps
        self.net = fast(first_network(OnePassNet(), start, recipe.folded))

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        logits, place = (answer.float() for answer in self.net(fast(batch["picture"].float())))
        rows, columns = logits.shape[1:]
        wanted = targets(batch["boxes"], rows, columns, self.recipe.smallest_px)
        score, placed = focal(logits, wanted), place_loss(place, wanted)
        self.log_dict({"score": score, "place": placed}, prog_bar=True, on_step=False, on_epoch=True)
        return score + self.recipe.place_weight * placed

    def configure_optimizers(self) -> dict:
        r = self.recipe
        optimizer = torch.optim.AdamW(self.parameters(), r.learning_rate, weight_decay=r.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, r.learning_rate, total_steps=r.steps, pct_start=0.06
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(recipe: OnePassRecipe, inputs: Inputs) -> Path:
    """Train; the last checkpoint's path comes back. An interrupted training goes on.

    A new run begins with the weights of the checkpoint ``inputs.start``, or at random without one.
    """
    shards = sorted(inputs.rendered.glob("*_*.npz")) if inputs.rendered else []
    pictures = DetectionPictures(
        load_scenes(inputs.data, "train"),
        load_empty(inputs.data, "train"),
        load_tiles(inputs.data, inputs.labels, shards),
        (recipe.smallest_px, recipe.largest_px),
        size_px=recipe.size_px,
        length=recipe.samples_per_epoch,
    )
    return fit(OnePassTask(recipe, inputs.start), pictures, recipe.batch, inputs.out, inputs.workers)
