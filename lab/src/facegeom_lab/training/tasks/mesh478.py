"""The dense mesh by transfer learning, as A. Shabalin and I. Eliseev published it (Ulyanovsk, 2022, No. 2).

The backbone is frozen and images are not augmented, so the backbone's features are computed once.
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

from facegeom_lab.datasets.published.pack import background_files, read_images
from facegeom_lab.datasets.training.face_labels import FaceLabels, real_faces
from facegeom_lab.datasets.training.face_samples import FaceCropsPlain, frame_view
from facegeom_lab.evaluation import run
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.networks.backbones import MeshBackbone, MeshHead
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.training import loop
from facegeom_lab.training.trainers import Inputs

TURNED, UPRIGHT = 1.0, 0.0


@dataclass(frozen=True)
class Mesh478Recipe:
    """Settings; see ``recipes/mesh478-efficientnetv2b0.yaml``."""

    pretrained: str
    size_px: int
    channels: int
    frames_per_picture: int
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
        loss = nn.functional.mse_loss(self.net(batch[0].float()), batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        """Log the loss."""
        self.log("val/loss", nn.functional.mse_loss(self.net(batch[0].float()), batch[1]), prog_bar=True)

    def configure_optimizers(self) -> dict:
        """Return Adam with a schedule by the validation loss."""
        r = self.recipe
        optimizer = torch.optim.Adam(self.parameters(), r.learning_rate)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=r.factor, patience=r.patience)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val/loss"}}


class Mesh478Data(L.LightningDataModule):
    """Features and meshes of whole frames, rotated in the plane by up to 90 degrees."""

    def __init__(self, recipe: Mesh478Recipe, inputs: Inputs) -> None:
        super().__init__()
        self.recipe, self.inputs = recipe, inputs
        self.backbone = MeshBackbone(recipe.pretrained).eval()

    def setup(self, stage: str) -> None:
        """Compute the features."""
        count = self.recipe.frames_per_picture
        parts = [self.features("train", TURNED, seed) for seed in range(count)]
        self.train = TensorDataset(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
        self.val = TensorDataset(*self.features("val", TURNED))

    def train_dataloader(self) -> DataLoader:
        """Return the training samples of an epoch."""
        return DataLoader(self.train, self.recipe.batch, shuffle=True, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """Return the validation samples."""
        return DataLoader(self.val, 256)

    @torch.inference_mode()
    def features(self, split: str, turned: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features (N, 192, S/32, S/32) in half precision and meshes (N, 478, 3) of all frames."""
        loader = DataLoader(self.frames(split, turned, seed), 32, num_workers=self.inputs.workers)
        parts = [
            (self.backbone(batch["crop"]).half(), to_unit(batch["mesh"]))
            for batch in tqdm(loader, desc=f"features of {split}")
        ]
        features, meshes = zip(*parts, strict=True)
        return torch.cat(features).clone(), torch.cat(meshes).clone()

    def frames(self, split: str, turned: float, seed: int = 0) -> FaceCropsPlain:
        """Return the whole frames of a split; ``turned`` is 1 for rotations up to 90 degrees, 0 for none."""
        images, labels = real_faces(self.inputs.data, self.inputs.labels, split)
        return self._frames(images, labels, turned, seed)

    def _frames(
        self, images: list[np.ndarray], labels: FaceLabels, turned: float, seed: int
    ) -> FaceCropsPlain:
        photos = read_images(background_files(self.inputs.data, "train"))
        return FaceCropsPlain(
            images, labels, photos, seed=seed, strength=turned, size_px=self.recipe.size_px, view=frame_view
        )


def to_unit(mesh: torch.Tensor) -> torch.Tensor:
    """Convert meshes (..., 3) from crop units, 0 in the centre and ±0.5 at the edges, to [0, 1]."""
    return mesh + 0.5


def train(recipe: Mesh478Recipe, inputs: Inputs) -> Path:
    """Train the head on the frozen backbone's features; return its best checkpoint by validation loss."""
    L.seed_everything(recipe.seed, workers=True)
    data = Mesh478Data(recipe, inputs)
    trainer = loop.trainer(inputs.out, "32-true", processes=inputs.processes, max_epochs=recipe.max_epochs)
    loop.fit(trainer, Mesh478Task(recipe), data, inputs.out)
    return inputs.out / loop.BEST


def evaluate(recipe: Mesh478Recipe, inputs: Inputs) -> dict[str, Any]:
    """Evaluate the best checkpoint on val's frames, rotated and upright; write the predictions."""
    L.seed_everything(recipe.seed, workers=True)  # repeats a backbone of random weights
    data = Mesh478Data(recipe, inputs)
    head = network_from_checkpoint(inputs.out / loop.BEST, MeshHead(recipe.size_px, recipe.channels))
    figures: dict[str, Any] = {}
    for name, turned in (("turned", TURNED), ("upright", UPRIGHT)):
        predictions = predict(head, *data.features("val", turned), recipe.size_px)
        run.write_predictions(inputs.out, name, predictions)
        figures[name] = predictions.measure()
    whole = nn.Sequential(data.backbone, head)
    figures |= {
        "mse_turned": figures["turned"]["mse"],
        "nme_interocular": figures["upright"]["nme_interocular"],
    }
    return figures | asdict(cost(whole, torch.zeros(1, 3, recipe.size_px, recipe.size_px)))


@torch.inference_mode()
def predict(head: nn.Module, features: torch.Tensor, meshes: torch.Tensor, size_px: int) -> run.Predictions:
    """Predict the meshes of all features, in pixels of frames of ``size_px``."""
    outputs = torch.cat([head(part.float()) for part in features.split(256)])
    return run.Predictions(
        files=np.arange(len(features)).astype(str),
        predicted=outputs.numpy() * size_px,
        truth=meshes.numpy() * size_px,
        sizes_wh=np.full((len(features), 2), size_px),
        scheme="mesh478",
    )
