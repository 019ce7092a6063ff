"""Training of the cascade, P-Net and then R-Net on P-Net's windows: ``facegeom lab train detector``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import lightning as L
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from facegeom_lab.datasets.training.detection import DetectionImages
from facegeom_lab.datasets.training.detection_photos import load_empty, load_scenes, load_tiles
from facegeom_lab.networks.cascade import PNet, RNet
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.training import loop
from facegeom_lab.training.trainers import Inputs

RENDERED_SHARDS = 3
"""Shards of rendered heads to use: they add large rotations; more would teach the renderer's look."""

POSITIVE_IOU, NEGATIVE_IOU, PART_IOU = 0.55, 0.3, 0.4


@dataclass(frozen=True)
class DetectorRecipe:
    """Settings of both trainings; see ``recipes/detector.yaml``."""

    pnet_steps: int
    pnet_batch: int
    rnet_steps: int
    rnet_batch: int
    learning_rate: float
    box_weight: float
    negatives_per_positive: float
    ema_decay: float
    seed: int


Layout = TypeVar("Layout", torch.Tensor, torch.nn.Module)


def channels_last(thing: Layout) -> Layout:
    """Convert images or a network to channels last: twice as fast on a CPU in bfloat16."""
    if isinstance(thing, torch.Tensor):
        return thing.contiguous(memory_format=torch.channels_last)
    return thing.to(memory_format=torch.channels_last)


def windows_xyxy(size_hw: torch.Size, device: torch.device) -> torch.Tensor:
    """Return the windows (H', W', 4) of P-Net's cells, continuous edges in pixels."""
    rows, columns = ((side - 2) // 2 - 4 for side in size_hw)
    y, x = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
    )
    corner = torch.stack([x, y], dim=-1) * PNet.STRIDE - 0.5
    return torch.cat([corner, corner + PNet.WINDOW], dim=-1)


def pairwise_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Compute the IoU (..., W, F) of boxes (..., W, 4) and (..., F, 4); 0 where a box is NaN."""
    a, b = first[..., :, None, :], second[..., None, :, :]
    side = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    inter = side[..., 0] * side[..., 1]
    area_a = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1])
    area_b = (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return torch.nan_to_num(inter / (area_a + area_b - inter), nan=0.0)


def mined_score_loss(
    logits: torch.Tensor, overlap: torch.Tensor, negatives_per_positive: float
) -> torch.Tensor:
    """Compute the cross-entropy over all positives and the hardest negatives of a batch."""
    loss = F.binary_cross_entropy_with_logits(logits, (overlap > POSITIVE_IOU).float(), reduction="none")
    positive, negative = loss[overlap > POSITIVE_IOU], loss[overlap < NEGATIVE_IOU]
    count = int(min(len(negative), negatives_per_positive * max(len(positive), 32)))
    return (positive.sum() + negative.topk(count).values.sum()) / max(1, len(positive) + count)


class PNetTask(L.LightningModule):
    """P-Net on square images: every cell is a window with its own label."""

    def __init__(self, recipe: DetectorRecipe) -> None:
        super().__init__()
        self.save_hyperparameters(asdict(recipe))
        self.recipe, self.net, self.steps = recipe, channels_last(PNet()), recipe.pnet_steps

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        logits, offsets = self.net(channels_last(batch["image"].float()))
        windows = windows_xyxy(batch["image"].shape[2:], logits.device).reshape(-1, 4)
        overlap, which = pairwise_iou(windows, batch["boxes"]).max(dim=2)
        target = torch.gather(batch["boxes"], 1, which[..., None].expand(-1, -1, 4))
        wanted = (target - windows) / PNet.WINDOW
        return self._loss(logits.flatten(1), offsets.flatten(2).transpose(1, 2), overlap, wanted)

    def _loss(
        self, logits: torch.Tensor, offsets: torch.Tensor, overlap: torch.Tensor, wanted: torch.Tensor
    ) -> torch.Tensor:
        logits, offsets = logits.float(), offsets.float()
        score = mined_score_loss(logits, overlap, self.recipe.negatives_per_positive)
        part = overlap > PART_IOU
        box = F.smooth_l1_loss(offsets[part], wanted[part], beta=0.05) if part.any() else offsets.sum() * 0
        self.log_dict({"score": score, "box": box}, prog_bar=True)
        return score + self.recipe.box_weight * box

    def configure_optimizers(self) -> dict:
        """Return Adam with a one-cycle schedule."""
        optimizer = torch.optim.Adam(self.parameters(), self.recipe.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.recipe.learning_rate, total_steps=self.steps, pct_start=0.05
        )
        return loop.every_step(optimizer, schedule)


class RNetTask(PNetTask):
    """R-Net on windows that a trained P-Net proposes, and on ground-truth boxes with jitter.

    The images hold faces of about 24 pixels; P-Net sees them at half size.
    """

    PROPOSALS = 12
    JITTERED = 3

    def __init__(self, recipe: DetectorRecipe, pnet: PNet) -> None:
        super().__init__(recipe)
        self.pnet = [pnet.eval().requires_grad_(False)]  # in a list: keep it out of the checkpoint
        self.net, self.steps = channels_last(RNet()), recipe.rnet_steps

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        images, faces = batch["image"].float(), batch["boxes"]
        windows = torch.cat([self._proposals(images), self._jittered(faces)], dim=1)
        overlap, which = pairwise_iou(windows, faces).max(dim=2)
        target = torch.gather(faces, 1, which[..., None].expand(-1, -1, 4))
        side = windows[..., 2:3] - windows[..., 0:1]
        keep = torch.isfinite(windows[..., 0])
        crops = crop_windows(images, torch.nan_to_num(windows), RNet.WINDOW)[keep]
        logits, offsets = self.net(channels_last(crops))
        return self._loss(logits, offsets, overlap[keep], ((target - windows) / side)[keep])

    def _proposals(self, images: torch.Tensor) -> torch.Tensor:
        """Return P-Net's best windows (N, 12, 4) as squares."""
        half = F.avg_pool2d(images, 2)
        logits, offsets = (output.float() for output in self.pnet[0].to(half.device)(channels_last(half)))
        windows = windows_xyxy(half.shape[2:], half.device).reshape(-1, 4)
        best = (
            (logits.flatten(1) + torch.rand_like(logits.flatten(1)) * 2).topk(self.PROPOSALS, dim=1).indices
        )
        moved = torch.gather(offsets.flatten(2).transpose(1, 2), 1, best[..., None].expand(-1, -1, 4))
        boxes = windows[best] + moved * PNet.WINDOW
        centre = (boxes[..., :2] + boxes[..., 2:]) + 0.5  # twice the half-size centre, edges at -0.5
        reach = (boxes[..., 2:] - boxes[..., :2]).amax(dim=-1, keepdim=True).clamp(min=3)
        return torch.cat([centre - reach, centre + reach], dim=-1)

    def _jittered(self, faces: torch.Tensor) -> torch.Tensor:
        """Shift and scale the true boxes at random: (N, 3 F, 4), NaN where there is no face."""
        faces = faces.repeat(1, self.JITTERED, 1)
        side = faces[..., 2:3] - faces[..., 0:1]
        centre = (faces[..., :2] + faces[..., 2:]) / 2 + torch.randn_like(faces[..., :2]) * 0.12 * side
        reach = side / 2 * torch.exp(torch.randn_like(side) * 0.17)
        return torch.cat([centre - reach, centre + reach], dim=-1)


def crop_windows(images: torch.Tensor, windows: torch.Tensor, size_px: int) -> torch.Tensor:
    """Crop (N, W, 3, size, size) from images (N, 3, H, W) at windows (N, W, 4), bilinearly."""
    height, width = images.shape[2:]
    step = (torch.arange(size_px, device=images.device) + 0.5) / size_px
    x = windows[..., 0:1] + (windows[..., 2:3] - windows[..., 0:1]) * step
    y = windows[..., 1:2] + (windows[..., 3:4] - windows[..., 1:2]) * step
    grid_x = ((x + 0.5) / width * 2 - 1)[:, :, None, :].expand(-1, -1, size_px, -1)
    grid_y = ((y + 0.5) / height * 2 - 1)[:, :, :, None].expand(-1, -1, -1, size_px)
    grid = torch.stack([grid_x, grid_y], dim=-1).flatten(1, 2)
    crops = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return crops.unflatten(2, (windows.shape[1], size_px)).transpose(1, 2)


def face_sizes(window: int) -> tuple[float, float]:
    """Return the smallest and the largest face in pixels that a window of ``window`` pixels is trained on."""
    return 0.7 * window, 1.45 * window


def fit(task: PNetTask, dataset: Dataset, batch: int, out: Path, workers: int) -> Path:
    """Train or resume; return the last checkpoint, whose weights are the moving average."""
    ema_decay = task.recipe.ema_decay
    trainer = loop.trainer(out, "bf16-mixed", monitor=None, ema_decay=ema_decay, max_steps=task.steps)
    loader = DataLoader(dataset, batch, shuffle=True, num_workers=workers, drop_last=True)
    loop.fit(trainer, task, loader, out)
    return out / loop.LAST


def train(recipe: DetectorRecipe, inputs: Inputs) -> dict[str, Path]:
    """Train P-Net, then R-Net on its windows; return the last checkpoints by network, in ``out/NAME``.

    A finished training is not repeated; an interrupted one resumes from its last checkpoint.
    """
    L.seed_everything(recipe.seed, workers=True)
    tiles = load_tiles(inputs.data, inputs.labels, inputs.heads[:RENDERED_SHARDS])
    photos = load_scenes(inputs.data, "train"), load_empty(inputs.data, "train"), tiles
    images = DetectionImages(*photos, face_sizes(PNet.WINDOW))
    pnet = fit(PNetTask(recipe), images, recipe.pnet_batch, inputs.out / "pnet", inputs.workers)
    L.seed_everything(recipe.seed, workers=True)  # whether P-Net was trained just now or before
    images = DetectionImages(*photos, face_sizes(RNet.WINDOW))
    task = RNetTask(recipe, network_from_checkpoint(pnet, PNet()))
    rnet = fit(task, images, recipe.rnet_batch, inputs.out / "rnet", inputs.workers)
    return {"pnet": pnet, "rnet": rnet}
