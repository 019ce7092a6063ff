"""Training of the one-pass detector: ``facegeom lab train onepass``."""

from dataclasses import asdict, dataclass
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F

from facegeom import FaceAnalyzer
from facegeom.models.detector import STRIDE, TYPICAL_SIDE_PX
from facegeom_lab.datasets.training.detection import FRAMED, SPOILED, DetectionImages
from facegeom_lab.datasets.training.detection_photos import load_crowds, load_empty, load_scenes, load_tiles
from facegeom_lab.networks.checkpoint import blend_weights, initial_network, network_from_checkpoint
from facegeom_lab.networks.onepass import OnePassNet, cell_centres
from facegeom_lab.training import loop
from facegeom_lab.training.tasks.detector import channels_last, fit
from facegeom_lab.training.trainers import Inputs

SPREAD, LEAST_SPREAD_PX = 0.1, 2.5
"""Standard deviation of the target score around a face's centre: fraction of the face's side, and minimum."""

BOX_FROM = 0.3
"""Cells whose target score is above this learn the face's box."""


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
    start_share: float
    seed: int


@dataclass(frozen=True)
class Targets:
    """Target outputs of the network.

    Attributes:
        score: (N, H, W) in [0, 1]; 1 in the cell of a face's centre.
        boxes: (N, 3, H, W) offsets and log-size in the network's units, of the nearest face to each cell.
        known: (N, H, W) False on faces that are not sure, too small or whose centre is outside.
        faces: number of faces.
    """

    score: torch.Tensor
    boxes: torch.Tensor
    known: torch.Tensor
    faces: int


def make_targets(
    boxes: torch.Tensor, rows: int, columns: int, smallest_px: float, sure: torch.Tensor | None = None
) -> Targets:
    """Build the targets of rows x columns cells for boxes (N, F, 4) in pixels, NaN after the last face.

    Where ``sure`` (N, F) is False, a box is neither face nor background.
    """
    boxes = boxes[:, : max(1, int(torch.isfinite(boxes[..., 0]).sum(dim=1).max()))]
    cells = cell_centres(rows, columns, boxes.device).reshape(-1, 2)
    side = boxes[..., 2] - boxes[..., 0]
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    ends = torch.tensor([columns, rows], device=boxes.device) * STRIDE - 0.5
    inside = ((centre > -0.5) & (centre < ends)).all(dim=-1)
    used = inside & (side >= smallest_px)
    if sure is not None:
        used &= sure[:, : used.shape[1]]
    score = torch.nan_to_num(_peaks(cells, centre, side)) * used[..., None]  # (N, F, cells)
    best, which = score.max(dim=1)
    away = centre[:, :, None] - cells  # (N, F, cells, 2)
    inner = (away.abs() < side[..., None, None] / 2).all(dim=-1)
    unknown = (inner & ~used[..., None]).any(dim=1) & (best < BOX_FROM)
    own = torch.cat(
        [away / side[..., None, None], _log_side(side)[..., None, None].expand_as(away[..., :1])], -1
    )
    box = torch.gather(own, 1, which[:, None, :, None].expand(-1, 1, -1, 3))[:, 0]
    return Targets(
        score=best.unflatten(1, (rows, columns)),
        boxes=torch.nan_to_num(box).transpose(1, 2).unflatten(2, (rows, columns)),
        known=~unknown.unflatten(1, (rows, columns)),
        faces=int(used.sum()),
    )


def _peaks(cells: torch.Tensor, centre: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """Return Gaussians (N, F, cells) around the cell of each face's centre, 1 there."""
    home = ((centre + 0.5) / STRIDE).floor() * STRIDE + (STRIDE - 1) / 2
    spread = (SPREAD * side).clamp(min=LEAST_SPREAD_PX)
    square = (cells - home[:, :, None]).square().sum(dim=-1)
    return torch.exp((-square / (2 * spread[..., None].square())).clamp(min=-20))  # avoid denormals


def _log_side(side: torch.Tensor) -> torch.Tensor:
    return torch.log(side / TYPICAL_SIDE_PX)


def focal_loss(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Compute the penalty-reduced focal loss of CornerNet (Law and Deng, ECCV 2018, equation 1) per face."""
    found, missed = F.logsigmoid(logits), F.logsigmoid(-logits)
    p = torch.sigmoid(logits)
    at_face = -((1 - p) ** 2) * found
    elsewhere = -((1 - targets.score) ** 4) * p**2 * missed
    loss = torch.where(targets.score > 0.999, at_face, elsewhere)
    return (loss * targets.known).sum() / max(1, targets.faces)


def box_loss(boxes: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Compute the smooth L1 loss of centre and log-size, weighted by the target score where that is large."""
    weight = (targets.score * (targets.score > BOX_FROM))[:, None]
    error = F.smooth_l1_loss(boxes, targets.boxes, beta=0.05, reduction="none")
    return (error * weight).sum() / (3 * weight.sum()).clamp(min=1)


class OnePassTask(L.LightningModule):
    """Losses and optimiser of the one-pass detector."""

    def __init__(self, recipe: OnePassRecipe, start: Path | None = None) -> None:
        super().__init__()
        self.save_hyperparameters(asdict(recipe))
        self.recipe, self.steps = recipe, recipe.steps
        self.net = channels_last(initial_network(OnePassNet(), start, recipe.folded))

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        logits, boxes = (output.float() for output in self.net(channels_last(batch["image"].float())))
        rows, columns = logits.shape[1:]
        targets = make_targets(batch["boxes"], rows, columns, self.recipe.smallest_px, batch["sure"])
        score, box = focal_loss(logits, targets), box_loss(boxes, targets)
        self.log_dict({"score": score, "place": box}, prog_bar=True, on_step=False, on_epoch=True)
        return score + self.recipe.place_weight * box

    def configure_optimizers(self) -> dict:
        """Return AdamW with a one-cycle schedule."""
        r = self.recipe
        optimizer = torch.optim.AdamW(self.parameters(), r.learning_rate, weight_decay=r.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, r.learning_rate, total_steps=r.steps, pct_start=0.06
        )
        return loop.every_step(optimizer, schedule)


def train(recipe: OnePassRecipe, inputs: Inputs) -> Path:
    """Train or resume; return the last checkpoint, or ``out/final.ckpt``, blended with the initial weights.

    A new run starts from the checkpoint ``inputs.start``, or from random weights without one.
    """
    L.seed_everything(recipe.seed, workers=True)
    shards = sorted(inputs.rendered.glob("*_*.npz")) if inputs.rendered else []
    analyzer = FaceAnalyzer(threads=1)
    images = DetectionImages(
        load_scenes(inputs.data, "train", analyzer),
        load_empty(inputs.data, "train"),
        load_tiles(inputs.data, inputs.labels, shards),
        (recipe.smallest_px, recipe.largest_px),
        size_px=recipe.size_px,
        length=recipe.samples_per_epoch,
        crowds=load_crowds(inputs.data, "train", analyzer),
        framed=FRAMED,
        spoiled=SPOILED,
    )
    last = fit(OnePassTask(recipe, inputs.start), images, recipe.batch, inputs.out, inputs.workers)
    return blended(last, inputs, recipe.start_share)


def blended(last: Path, inputs: Inputs, start_share: float) -> Path:
    """Write the checkpoint's weights, blended with the initial ones, as ``out/final.ckpt``, if they share."""
    if not start_share:
        return last
    net = network_from_checkpoint(last, OnePassNet())
    blend_weights(net, inputs.start, start_share)
    final = inputs.out / "final.ckpt"
    torch.save({"state_dict": {f"net.{name}": value for name, value in net.state_dict().items()}}, final)
    return final
