"""The dense mesh by transfer learning, as A. Shabalin and I. Eliseev published it (Ulyanovsk, 2022, No. 2).

The backbone is frozen and images are not changed, so the backbone's features are computed once.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from facegeom.errors import FacegeomError, InputError
from facegeom_lab.datasets.training.frames import Frames, ffhq_frames, pack_frames
from facegeom_lab.evaluation import run
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.networks.backbones import MeshBackbone, MeshHead
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.training import loop
from facegeom_lab.training.trainers import Inputs

FRAMES = ("aligned", "whole")
"""Frames of the data pack: as FFHQ's alignment would show them, or the images as they are."""


@dataclass(frozen=True)
class Mesh478Recipe:
    """Settings; see ``recipes/mesh478-efficientnetv2b0.yaml``."""

    pretrained: str
    size_px: int
    channels: int
    frames: str
    batch: int
    learning_rate: float
    patience: int
    factor: float
    max_epochs: int
    seed: int


class Mesh478Task(L.LightningModule):
    """Squared error of the head's predictions from features; the rate falls whenever validation stalls."""

    def __init__(self, recipe: Mesh478Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.net = MeshHead(recipe.size_px, recipe.channels)

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        loss = nn.functional.mse_loss(self.net(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        """Log the loss."""
        self.log("val/loss", nn.functional.mse_loss(self.net(batch[0]), batch[1]), prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), self.recipe.learning_rate)


class Mesh478Data(L.LightningDataModule):
    """Features and meshes of whole frames, as they are."""

    def __init__(self, recipe: Mesh478Recipe, inputs: Inputs) -> None:
        super().__init__()
        if recipe.frames not in FRAMES:
            raise InputError(f"expected the frames {' or '.join(FRAMES)}, got {recipe.frames!r}")
        self.recipe, self.inputs = recipe, inputs
        self._frames: dict[str, Frames] = {}
        self.backbone = MeshBackbone(recipe.pretrained).eval()

    def setup(self, stage: str) -> None:
        """Compute the features.

        Raises:
            InputError: too few faces for a batch.
        """
        loop.expect_batch(len(self.frames("train")), self.recipe.batch, "faces")
        self.train, self.val = (TensorDataset(*self.features(split)) for split in ("train", "val"))

    def train_dataloader(self) -> DataLoader:
        """Return the training samples of an epoch."""
        return DataLoader(self.train, self.recipe.batch, shuffle=True, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """Return the validation samples."""
        return DataLoader(self.val, 256)

    @torch.inference_mode()
    def features(self, split: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features (N, 192, S/32, S/32) and meshes (N, 478, 3) in [0, 1] of all frames.

        Raises:
            FacegeomError: a feature is not finite.
        """
        loader = DataLoader(self.frames(split), 32, num_workers=self.inputs.workers)
        parts = [
            (self.backbone(batch["crop"]), batch["mesh"])
            for batch in tqdm(loader, desc=f"features of {split}")
        ]
        features, meshes = (torch.cat(each).clone() for each in zip(*parts, strict=True))
        if not torch.isfinite(features).all():
            raise FacegeomError(
                f"the backbone gives NaN or infinity for frames of {split}: its weights "
                f"({self.recipe.pretrained}) are damaged; train them again"
            )
        return features, meshes

    def frames(self, split: str) -> Frames:
        """Return the frames of a split."""
        if split not in self._frames:
            self._frames[split] = self._read(split)
        return self._frames[split]

    def _read(self, split: str) -> Frames:
        inputs, size_px = self.inputs, self.recipe.size_px
        if inputs.dataset == "ffhq":
            return ffhq_frames(inputs.data, inputs.labels, split, size_px)
        aligned = self.recipe.frames == "aligned"
        return pack_frames(inputs.data, inputs.labels, split, size_px, aligned)


def train(recipe: Mesh478Recipe, inputs: Inputs) -> Path:
    """Train the head on the frozen backbone's features; return its best checkpoint by validation loss."""
    L.seed_everything(recipe.seed, workers=True)
    data = Mesh478Data(recipe, inputs)
    trainer = loop.trainer(
        inputs.out,
        "32-true",
        processes=inputs.processes,
        max_epochs=recipe.max_epochs,
        callbacks=[loop.LowerOnPlateau(recipe.factor, recipe.patience)],
    )
    loop.fit(trainer, Mesh478Task(recipe), data, inputs.out)
    return inputs.out / loop.BEST


def evaluate(recipe: Mesh478Recipe, inputs: Inputs) -> dict[str, Any]:
    """Evaluate the best checkpoint on val's frames beside the mean mesh of train's; write the predictions."""
    L.seed_everything(recipe.seed, workers=True)  # repeats a backbone of random weights
    data = Mesh478Data(recipe, inputs)
    head = network_from_checkpoint(inputs.out / loop.BEST, MeshHead(recipe.size_px, recipe.channels))
    features, meshes = data.features("val")
    predictions = predict(head, features, meshes, recipe.size_px)
    run.write_predictions(inputs.out, "upright", predictions)
    upright = predictions.measure()
    train = data.frames("train")
    mean = torch.stack([train[index]["mesh"] for index in range(len(train))]).mean(dim=0)
    figures: dict[str, Any] = {
        "upright": upright,
        "constant": described(mean.expand_as(meshes), meshes, recipe.size_px).measure(),
        "mse": upright["mse"],
        "nme_interocular": upright["nme_interocular"],
        "size_px": recipe.size_px,
        "frames": "whole" if inputs.dataset == "ffhq" else recipe.frames,
        "dataset": inputs.dataset,
    }
    whole = nn.Sequential(data.backbone, head)
    return figures | asdict(cost(whole, torch.zeros(1, 3, recipe.size_px, recipe.size_px)))


@torch.inference_mode()
def predict(head: nn.Module, features: torch.Tensor, meshes: torch.Tensor, size_px: int) -> run.Predictions:
    """Predict the meshes of all features, in pixels of frames of ``size_px``."""
    return described(torch.cat([head(part) for part in features.split(256)]), meshes, size_px)


def described(predicted: torch.Tensor, meshes: torch.Tensor, size_px: int) -> run.Predictions:
    """Return meshes (N, 478, 3) in [0, 1] and their truth in pixels of frames of ``size_px``."""
    return run.Predictions(
        files=np.arange(len(meshes)).astype(str),
        predicted=predicted.numpy() * size_px,
        truth=meshes.numpy() * size_px,
        sizes_wh=np.full((len(meshes), 2), size_px),
        scheme="mesh478",
    )
