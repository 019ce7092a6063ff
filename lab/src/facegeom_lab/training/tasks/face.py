"""Training of the face network: ``facegeom lab train face``."""

from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch.utils.data import DataLoader, Dataset, Subset, WeightedRandomSampler

from facegeom_lab.datasets.published.pack import backgrounds, face_rows, mesh_labels
from facegeom_lab.datasets.training.face_crops import FaceCrops, FaceCropsPlain, upright_view
from facegeom_lab.datasets.training.faces import (
    FaceLabels,
    labelled_map,
    made_faces,
    read_photos,
    real_faces,
)
from facegeom_lab.datasets.training.scene_faces import SceneFaces
from facegeom_lab.networks.checkpoint import first_network, network_from_checkpoint
from facegeom_lab.networks.face import CROP_PX, FaceNet
from facegeom_lab.training.losses import chordal, scale_nll, weighted_mean, wing
from facegeom_lab.training.tasks import loop
from facegeom_lab.training.tasks.finish import blend_landmarks, fit_landmarks, fit_scales
from facegeom_lab.training.trainers import Inputs

SOURCE_WEIGHT = {"helen": 5.0, "lfpw": 5.0, "ytf": 0.4, "ytf-test": 0.4, "masks": 0.6}
RENDERED_WEIGHT = 0.6


@dataclass(frozen=True)
class FaceRecipe:
    """Settings of the training; see ``recipes/face.yaml``."""

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    ema_decay: float
    samples_per_epoch: int
    negatives: float
    points_weight: float
    mesh_weight: float
    rotation_weight: float
    box_weight: float
    score_weight: float
    scale_weight: float
    mild_share: float
    mild_from_step: int
    mild_strength: float
    blend_share: float
    landmarks_rounds: int
    confidence_rounds: int
    folded: bool
    seed: int


class FaceTask(L.LightningModule):
    """Losses, optimiser and validation of the face network."""

    def __init__(self, recipe: FaceRecipe, start: Path | None = None) -> None:
        super().__init__()
        self.save_hyperparameters(asdict(recipe))
        self.recipe = recipe
        net = first_network(FaceNet(), start, recipe.folded)
        self.net = net.to(memory_format=torch.channels_last)

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        """Crops (N, 3, 128, 128) uint8 -> the network's answers in float32."""
        features = self.net.features(crops.float().contiguous(memory_format=torch.channels_last))
        with torch.autocast(features.device.type, enabled=False):  # bfloat16 rounds points to 0.25 px
            return self.net.answers(features.float())

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        losses = self.losses(self(batch["crop"]), batch)
        self.log_dict(
            {f"train/{name}": value for name, value in losses.items()}, on_step=False, on_epoch=True
        )
        total = torch.stack(list(losses.values())).sum()
        self.log("loss", total, prog_bar=True)
        return total

    def losses(
        self, answer: dict[str, torch.Tensor], batch: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Weighted terms: points, mesh, their scales, rotation, box, score."""
        r, face = self.recipe, batch["face"]
        mesh_weight = batch["mesh_weight"][:, None].expand(-1, answer["mesh"].shape[1])
        points, points_scale = self._points(
            answer["landmarks"], batch["landmarks"], answer["landmarks_log_scale"], batch["landmarks_weight"]
        )
        mesh, mesh_scale = self._points(answer["mesh"], batch["mesh"], answer["mesh_log_scale"], mesh_weight)
        turn = weighted_mean(
            chordal(answer["rotation6d"], batch["rotation"]), batch["rotation_weight"] * face
        )
        box = weighted_mean((answer["box"] - batch["box"]).abs().mean(dim=1) * CROP_PX, face)
        return {
            "points": r.points_weight * points,
            "mesh": r.mesh_weight * mesh,
            "scale": r.scale_weight * (points_scale + mesh_scale),
            "rotation": r.rotation_weight * turn,
            "box": r.box_weight * box,
            "score": r.score_weight * F.binary_cross_entropy_with_logits(answer["score_logit"], face),
        }

    @staticmethod
    def _points(
        answer: torch.Tensor, truth: torch.Tensor, log_scale: torch.Tensor, weight: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Wing loss in pixels of the crop, and the likelihood of the scale of the (detached) 2D error."""
        error = wing((answer - truth).abs() * CROP_PX).mean(dim=2)
        distance = torch.linalg.norm((answer - truth)[..., :2].detach(), dim=2)
        return weighted_mean(error, weight), weighted_mean(scale_nll(distance, log_scale), weight)

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        answer = self(batch["crop"])
        eyes = torch.linalg.norm(batch["landmarks"][:, 36] - batch["landmarks"][:, 45], dim=1)
        corners = torch.linalg.norm(batch["mesh"][:, 33, :2] - batch["mesh"][:, 263, :2], dim=1)
        points = torch.linalg.norm(answer["landmarks"] - batch["landmarks"], dim=2).mean(dim=1) / eyes
        mesh = torch.linalg.norm((answer["mesh"] - batch["mesh"])[..., :2], dim=2).mean(dim=1) / corners
        angle = chordal(answer["rotation6d"], batch["rotation"]) / (8**0.5)
        self.log("val/nme", 100 * points.mean(), prog_bar=True)
        self.log("val/mesh", 100 * mesh.mean(), prog_bar=True)
        self.log("val/rotation_deg", torch.rad2deg(2 * torch.asin(angle.clamp(max=1))).mean(), prog_bar=True)

    def configure_optimizers(self) -> dict:
        r = self.recipe
        optimizer = torch.optim.AdamW(self.parameters(), r.learning_rate, weight_decay=r.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int) -> float:
        """Share of the full learning rate: a linear start, then half a cosine down to 1/200."""
        r = self.recipe
        if step < r.warmup_steps:
            return (step + 1) / r.warmup_steps
        progress = min(1.0, (step - r.warmup_steps) / max(1, r.steps - r.warmup_steps))
        return 0.005 + 0.995 * (1 + cos(pi * progress)) / 2


class FaceData(L.LightningDataModule):
    """Real faces, and rendered and profiled ones as far as they are there when an epoch begins."""

    def __init__(self, recipe: FaceRecipe, inputs: Inputs) -> None:
        super().__init__()
        self.recipe, self.workers = recipe, inputs.workers
        self.data, self.labels = inputs.data, inputs.labels
        self.rendered, self.hard_negatives = inputs.rendered, inputs.hard_negatives

    def setup(self, stage: str) -> None:
        keep = mesh_labels(self.labels)["keep"]
        rows = face_rows(self.data)
        self.pictures, self.table = real_faces(self.data, self.labels, "train")
        sources = [row.source for row, kept in zip(rows, keep, strict=True) if kept and row.split == "train"]
        self.weights = [SOURCE_WEIGHT.get(source, 1.0) for source in sources]
        self.photos = read_photos(backgrounds(self.data, "train"))
        pictures, table = real_faces(self.data, self.labels, "val")
        by_hand = table.landmarks_weight[:, 0] == 1
        chosen = np.flatnonzero(by_hand)
        parts = {name: getattr(table, name)[chosen] for name in FaceLabels.__dataclass_fields__}
        chosen_pictures = [pictures[i] for i in chosen]
        self.val = FaceCropsPlain(chosen_pictures, FaceLabels(**parts), self.photos, view=upright_view)

    def train_dataloader(self) -> DataLoader:
        pictures, table, weights = self.pictures, self.table, self.weights
        drawn, exact = made_faces(self.rendered)
        if exact:
            pictures, table = pictures + drawn, FaceLabels.concatenate([table, exact])
            weights = weights + [RENDERED_WEIGHT] * len(drawn)
        hard = (
            np.load(self.hard_negatives)["crops"]
            if self.hard_negatives and self.hard_negatives.exists()
            else ()
        )
        epoch = self.trainer.current_epoch if self.trainer else 0
        r = self.recipe
        mild = bool(self.trainer) and self.trainer.global_step >= r.mild_from_step
        gentle = (1.0 if mild else r.mild_share, r.mild_strength)
        crops = FaceCrops(pictures, table, self.photos, hard, r.negatives, r.seed + epoch, 1.0, *gentle)
        sampler = WeightedRandomSampler(weights, self.recipe.samples_per_epoch)
        return DataLoader(crops, self.recipe.batch, sampler=sampler, num_workers=self.workers, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.val, 64, num_workers=0)


def train(recipe: FaceRecipe, inputs: Inputs) -> Path:
    """Train, resuming from ``out/last.ckpt`` when it is there, then fit the confidences: ``out/final.ckpt``.

    A new run begins with the weights of the checkpoint ``inputs.start``, or at random without one.
    On a processor one thread per process is quickest: with ``processes`` of one thread each, the batch is
    that many times larger and nobody waits inside a layer.
    """
    L.seed_everything(recipe.seed, workers=True)
    trainer = loop.trainer(
        inputs.out,
        "bf16-mixed",
        "val/nme",
        inputs.processes,
        [EMAWeightAveraging(decay=recipe.ema_decay)],
        max_steps=recipe.steps,
        reload_dataloaders_every_n_epochs=1,
        gradient_clip_val=5.0,
    )
    data, task = FaceData(recipe, inputs), FaceTask(recipe, inputs.start)
    loop.fit(trainer, task, data, inputs.out)
    trainer.save_checkpoint(inputs.out / loop.LAST)
    if not trainer.is_global_zero:
        raise SystemExit(0)  # the first process finishes the work alone
    return finish(recipe, inputs, data)


def finish(recipe: FaceRecipe, inputs: Inputs, data: FaceData) -> Path:
    """Blend the 68 points with those of the mesh, fit them and the confidences: ``out/final.ckpt``."""
    net = network_from_checkpoint(inputs.out / loop.LAST, FaceNet())
    blend_landmarks(net, labelled_map(inputs.labels), recipe.blend_share)
    by_hand = np.flatnonzero(data.table.landmarks_weight[:, 0] == 1)
    given, strength = (data.pictures, data.table, data.photos), recipe.mild_strength
    views: list[Dataset] = []
    for seed in range(recipe.seed, recipe.seed + recipe.landmarks_rounds):
        views.append(Subset(FaceCropsPlain(*given, seed=seed, strength=strength), by_hand.tolist()))
        views.append(SceneFaces(data.data, "train", seed, strength))
    fit_landmarks(net, views, inputs.workers)
    crops = FaceCrops(*given, negatives=0, seed=recipe.seed, strength=strength)
    fit_scales(net, crops, by_hand, recipe.confidence_rounds, inputs.workers)
    final = inputs.out / "final.ckpt"
    torch.save({"state_dict": {f"net.{name}": value for name, value in net.state_dict().items()}}, final)
    return final
