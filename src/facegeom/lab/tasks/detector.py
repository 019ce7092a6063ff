"""Training of the cascade: ``facegeom lab train detector`` makes P-Net, then R-Net on P-Net's windows."""

from dataclasses import asdict, dataclass
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, Dataset

from facegeom.lab.networks.cascade import PNet, RNet

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


def windows_xyxy(height: int, width: int, device: torch.device) -> torch.Tensor:
    """(H', W', 4) the windows of P-Net's cells, continuous edges in pixels."""
    rows, columns = (height - 2) // 2 - 4, (width - 2) // 2 - 4
    y, x = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    corner = torch.stack([x, y], dim=-1) * PNet.STRIDE - 0.5
    return torch.cat([corner, corner + PNet.WINDOW], dim=-1)


def iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """(..., W, F) overlaps of boxes (W, 4) with boxes (..., F, 4); 0 where a box is NaN."""
    a, b = first[:, None], second[..., None, :, :]
    side = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    inter = side[..., 0] * side[..., 1]
    area_a = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1])
    area_b = (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return torch.nan_to_num(inter / (area_a + area_b - inter), nan=0.0)


def mined_score_loss(
    logits: torch.Tensor, overlap: torch.Tensor, negatives_per_positive: float
) -> torch.Tensor:
    """Cross-entropy over all positives and the hardest negatives of a batch; what lies between is left out."""
    loss = F.binary_cross_entropy_with_logits(logits, (overlap > POSITIVE_IOU).float(), reduction="none")
    positive, negative = loss[overlap > POSITIVE_IOU], loss[overlap < NEGATIVE_IOU]
    count = int(min(len(negative), negatives_per_positive * max(len(positive), 32)))
    return (positive.sum() + negative.topk(count).values.sum()) / max(1, len(positive) + count)


class PNetTask(L.LightningModule):
    """P-Net on whole squares: every cell is a window with its own label."""

    def __init__(self, recipe: DetectorRecipe) -> None:
        super().__init__()
        self.save_hyperparameters(asdict(recipe))
        self.recipe, self.net, self.steps = recipe, PNet(), recipe.pnet_steps

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        logits, offsets = self.net(batch["picture"].float())
        windows = windows_xyxy(*batch["picture"].shape[2:], logits.device).reshape(-1, 4)
        overlap, which = iou(windows, batch["boxes"]).max(dim=2)
        target = torch.gather(batch["boxes"], 1, which[..., None].expand(-1, -1, 4))
        wanted = (target - windows) / PNet.WINDOW
        return self._loss(logits.flatten(1), offsets.flatten(2).transpose(1, 2), overlap, wanted)

    def _loss(
        self, logits: torch.Tensor, offsets: torch.Tensor, overlap: torch.Tensor, wanted: torch.Tensor
    ) -> torch.Tensor:
        score = mined_score_loss(logits, overlap, self.recipe.negatives_per_positive)
        part = overlap > PART_IOU
        box = F.smooth_l1_loss(offsets[part], wanted[part], beta=0.05) if part.any() else offsets.sum() * 0
        self.log_dict({"score": score, "box": box}, prog_bar=True)
        return score + self.recipe.box_weight * box

    def configure_optimizers(self) -> dict:
        optimizer = torch.optim.Adam(self.parameters(), self.recipe.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.recipe.learning_rate, total_steps=self.steps, pct_start=0.05
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class RNetTask(PNetTask):
    """R-Net on windows that P-Net proposed and on shifted true faces."""

    def __init__(self, recipe: DetectorRecipe) -> None:
        super().__init__(recipe)
        self.net, self.steps = RNet(), recipe.rnet_steps

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        logits, offsets = self.net(batch["window"].float())
        return self._loss(logits, offsets, batch["overlap"], batch["offsets"])


def fit(task: PNetTask, dataset: Dataset, batch: int, out: Path, workers: int) -> Path:
    """Train, resuming from ``out/last.ckpt`` when it is there; the last checkpoint's path comes back."""
    L.seed_everything(task.recipe.seed, workers=True)
    last = out / "last.ckpt"
    trainer = L.Trainer(
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        max_steps=task.steps,
        callbacks=[ModelCheckpoint(out, save_last=True), EMAWeightAveraging(decay=task.recipe.ema_decay)],
        logger=CSVLogger(out, name="log"),
        log_every_n_steps=20,
    )
    loader = DataLoader(dataset, batch, shuffle=True, num_workers=workers, drop_last=True)
    trainer.fit(task, loader, ckpt_path=str(last) if last.exists() else None)
    return last
