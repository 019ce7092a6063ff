"""Training of 6DRepNet, a teacher of head rotations: ``facegeom lab train 6drepnet``.

Hempel, Abdelrahman, Al-Hamadi, "6D rotation representation for unconstrained head pose estimation", ICIP
2022. Instead of 300W-LP it learns from rendered heads, whose rotations are exact, and from real faces with
the canonical head fitted to their points.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, WeightedRandomSampler
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.geometry.boxes import square
from facegeom.geometry.rotation import rotation_from_6d
from facegeom_lab.datasets import registry
from facegeom_lab.datasets.published.pack import background_files, read_images
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.datasets.training.face_labels import FaceLabels, real_faces, synthetic_faces
from facegeom_lab.datasets.training.face_samples import Augmentation, FaceCrops, FaceCropsPlain, upright_view
from facegeom_lab.datasets.training.pose_photos import PosePhoto, pack_photos, rendered_photos
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.evaluation.pose import labelled_box
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.sixdrepnet import SixDRepNet
from facegeom_lab.teachers.pose import SixDRepNetTeacher
from facegeom_lab.training import loop
from facegeom_lab.training.losses import geodesic, weighted_mean
from facegeom_lab.training.tasks.fpnet import errors_deg
from facegeom_lab.training.trainers import PACK, Inputs


@dataclass(frozen=True)
class SixDRepNetRecipe:
    """Settings; see ``recipes/6drepnet.yaml``."""

    body: str
    size_px: int
    epochs: int
    samples_per_epoch: int
    batch: int
    learning_rate: float
    weight_decay: float
    rendered_share: float
    strength: float
    precision: str
    seed: int


class SixDRepNetTask(L.LightningModule):
    """Geodesic loss, AdamW, half a cosine down to 1/100 of the learning rate."""

    def __init__(self, recipe: SixDRepNetRecipe, steps: int) -> None:
        super().__init__()
        self.recipe, self.steps = recipe, steps
        self.net = SixDRepNet(recipe.body).to(memory_format=torch.channels_last)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Predict raw vectors (N, 6) from crops (N, 3, S, S) uint8 of any side."""
        return self.net(resize(crops, self.recipe.size_px)).float()

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        loss = weighted_mean(geodesic(self(batch["crop"]), batch["rotation"]), batch["rotation_weight"])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Log the mean angle between predicted and true rotations."""
        angle = geodesic(self(batch["crop"]), batch["rotation"])
        self.log("val/geodesic_deg", torch.rad2deg(angle).mean(), prog_bar=True)

    def configure_optimizers(self) -> dict:
        """Return AdamW with half a cosine down to 1/100 of the learning rate."""
        r = self.recipe
        return loop.adamw_with_cosine(self, r.learning_rate, r.weight_decay, self.steps, final=0.01)


def resize(crops: torch.Tensor, size_px: int) -> torch.Tensor:
    """Resize crops (N, 3, S, S) with antialiasing; float in [0, 255]."""
    size = (size_px, size_px)
    return F.interpolate(crops.float(), size=size, mode="bilinear", antialias=True, align_corners=False)


class SixDRepNetData(L.LightningDataModule):
    """Real faces, and rendered or profiled ones as a fixed fraction of the samples."""

    def __init__(self, recipe: SixDRepNetRecipe, inputs: Inputs) -> None:
        super().__init__()
        self.recipe, self.inputs = recipe, inputs

    def setup(self, stage: str) -> None:
        """Read the data."""
        data, labels, r = self.inputs.data, self.inputs.labels, self.recipe
        photos = read_images(background_files(data, "train"))
        images, table = real_faces(data, labels, "train")
        drawn, exact = synthetic_faces(self.inputs.rendered)
        if exact is None:
            raise InputError(
                "6drepnet learns from rendered heads too: give the folder of `facegeom lab synth`"
            )
        shares = (1 - r.rendered_share) / len(images), r.rendered_share / len(drawn)
        self.weights = np.repeat(shares, (len(images), len(drawn)))
        self.train = FaceCrops(
            images + drawn,
            FaceLabels.concatenate([table, exact]),
            photos,
            negatives=0,
            seed=r.seed,
            augmentation=Augmentation(r.strength),
        )
        self.val = FaceCropsPlain(*real_faces(data, labels, "val"), photos, view=upright_view)

    def train_dataloader(self) -> DataLoader:
        """Return the training samples of an epoch."""
        sampler = WeightedRandomSampler(self.weights.tolist(), self.recipe.samples_per_epoch)
        workers = self.inputs.workers
        return DataLoader(self.train, self.recipe.batch, sampler=sampler, num_workers=workers, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """Return the validation samples."""
        return DataLoader(self.val, 64)


def train(recipe: SixDRepNetRecipe, inputs: Inputs) -> Path:
    """Train and return the best checkpoint.

    Raises:
        InputError: no rendered heads are given; an unknown backbone.
    """
    L.seed_everything(recipe.seed, workers=True)
    steps = recipe.epochs * (recipe.samples_per_epoch // recipe.batch) // inputs.processes
    trainer = loop.trainer(
        inputs.out,
        recipe.precision,
        "val/geodesic_deg",
        inputs.processes,
        max_epochs=recipe.epochs,
        gradient_clip_val=5.0,
    )
    loop.fit(trainer, SixDRepNetTask(recipe, steps), SixDRepNetData(recipe, inputs), inputs.out)
    return inputs.out / loop.BEST


def evaluate(recipe: SixDRepNetRecipe, inputs: Inputs) -> dict[str, Any]:
    """Return errors in degrees by axis and by yaw: on held-out faces and rendered heads, or on a set.

    A published set (``inputs.dataset``) may lack any of its files; its faces are cut out by their points or
    boxes. Rendered heads should be of ``facegeom lab synth --split test``.

    Raises:
        InputError: no face with a known rotation.
    """
    net = network_from_checkpoint(inputs.out / loop.BEST, SixDRepNet(recipe.body))
    teacher = SixDRepNetTeacher(net, recipe.size_px)
    photos = dict(_photos(inputs))
    if not any(photos.values()):
        raise InputError(f"expected faces with a known rotation in {inputs.data}, found none")
    figures: dict[str, Any] = {
        name: errors_deg(*_rotations(teacher, every)) | {"faces": len(every)}
        for name, every in photos.items()
        if every
    }
    size = recipe.size_px
    return figures | asdict(cost(teacher.net, torch.zeros(1, 3, size, size))) | {"size_px": size}


def _photos(inputs: Inputs) -> Iterator[tuple[str, list[PosePhoto]]]:
    """Yield the name of each part of the evaluation and its photos of one face with a rotation."""
    if inputs.dataset != PACK:
        records = registry.load(inputs.dataset, inputs.data)
        yield inputs.dataset, [_of_record(record) for record in records if record.rotation is not None]
        return
    every = pack_photos(inputs.data, inputs.labels, "val")
    yield "val", [photo for photo in every if photo.name.startswith("faces/")]
    if inputs.rendered is not None:
        yield "rendered", rendered_photos(inputs.rendered)


def _of_record(record: FaceRecord) -> PosePhoto:
    assert record.rotation is not None
    box = square(labelled_box(record)[None].astype(np.float64))
    return PosePhoto(
        record.name, record.read, np.zeros((1, 5, 2)), box, np.zeros((0, 4)), record.rotation[None]
    )


def _rotations(teacher: SixDRepNetTeacher, photos: list[PosePhoto]) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted and true rotations (N, 3, 3)."""
    bar = tqdm(photos, desc="faces")
    raw = [teacher(photo.read(), photo.squares_xyxy[:1], photo.rotation[:1]) for photo in bar]
    truth = np.concatenate([photo.rotation[:1] for photo in photos]).astype(np.float64)
    return rotation_from_6d(np.concatenate(raw).astype(np.float64)), truth
