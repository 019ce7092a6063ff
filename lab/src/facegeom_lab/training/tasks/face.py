"""Training of the face network: ``facegeom lab train face``."""

from dataclasses import asdict, dataclass
from pathlib import Path

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, Subset, WeightedRandomSampler

from facegeom.geometry.schemes import IBUG68_EYE_CORNERS, MESH478_EYE_CORNERS
from facegeom.models.face import CROP_PX
from facegeom_lab.datasets.published.pack import background_files, face_rows, mesh_labels, read_images
from facegeom_lab.datasets.training.face_labels import FaceLabels, landmark_map, real_faces, synthetic_faces
from facegeom_lab.datasets.training.face_samples import (
    Augmentation,
    FaceCrops,
    FaceCropsPlain,
    SceneFaces,
    upright_view,
)
from facegeom_lab.networks.checkpoint import blend_weights, initial_network, network_from_checkpoint
from facegeom_lab.networks.face import FaceNet
from facegeom_lab.teachers.linear_map import LinearMap
from facegeom_lab.training import loop
from facegeom_lab.training.losses import chordal, eye_distance, geodesic, scale_nll, weighted_mean, wing
from facegeom_lab.training.tasks.last_layer import blend_landmarks, fit_landmarks, fit_scales
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
    hidden_share: float
    upside_down_share: float
    far_share: float
    start_share: float
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
        net = initial_network(FaceNet(), start, recipe.folded)
        self.net = net.to(memory_format=torch.channels_last)

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        """Predict from crops (N, 3, 128, 128) uint8; the last layer runs in float32."""
        maps = self.net.maps(crops.float().contiguous(memory_format=torch.channels_last))
        features, logit = self.net.features(maps), self.net.score_logit(maps)
        with torch.autocast(features.device.type, enabled=False):  # bfloat16 rounds points to 0.25 px
            return {"score_logit": logit.float(), **self.net.outputs(features.float())}

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        return loop.log_and_add(self, self.losses(self(batch["crop"]), batch))

    def losses(
        self, predicted: dict[str, torch.Tensor], batch: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Compute the weighted terms: points, mesh, their scales, rotation, box, score."""
        r, face = self.recipe, batch["face"]
        points, points_scale = self._points(
            predicted["landmarks"],
            batch["landmarks"],
            predicted["landmarks_log_scale"],
            batch["landmarks_weight"],
        )
        mesh, mesh_scale = self._points(
            predicted["mesh"], batch["mesh"], predicted["mesh_log_scale"], batch["mesh_weight"]
        )
        rotation = weighted_mean(
            chordal(predicted["rotation6d"], batch["rotation"]), batch["rotation_weight"] * face
        )
        box = weighted_mean((predicted["box"] - batch["box"]).abs().mean(dim=1) * CROP_PX, face)
        return {
            "points": r.points_weight * points,
            "mesh": r.mesh_weight * mesh,
            "scale": r.scale_weight * (points_scale + mesh_scale),
            "rotation": r.rotation_weight * rotation,
            "box": r.box_weight * box,
            "score": r.score_weight * F.binary_cross_entropy_with_logits(predicted["score_logit"], face),
        }

    @staticmethod
    def _points(
        predicted: torch.Tensor, truth: torch.Tensor, log_scale: torch.Tensor, weight: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the Wing loss in pixels of the crop, and the scale's NLL of the detached 2D error."""
        error = wing((predicted - truth).abs() * CROP_PX).mean(dim=2)
        distance = torch.linalg.norm((predicted - truth)[..., :2].detach(), dim=2)
        return weighted_mean(error, weight), weighted_mean(scale_nll(distance, log_scale), weight)

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        """Log the errors of points and mesh in % of the eye distance, and of the rotation in degrees."""
        predicted = self(batch["crop"])
        eyes = eye_distance(batch["landmarks"], IBUG68_EYE_CORNERS)
        corners = eye_distance(batch["mesh"], MESH478_EYE_CORNERS)
        points = torch.linalg.norm(predicted["landmarks"] - batch["landmarks"], dim=2).mean(dim=1) / eyes
        mesh = torch.linalg.norm((predicted["mesh"] - batch["mesh"])[..., :2], dim=2).mean(dim=1) / corners
        angle = geodesic(predicted["rotation6d"], batch["rotation"])
        self.log("val/nme", 100 * points.mean(), prog_bar=True)
        self.log("val/mesh", 100 * mesh.mean(), prog_bar=True)
        self.log("val/rotation_deg", torch.rad2deg(angle).mean(), prog_bar=True)

    def configure_optimizers(self) -> dict:
        """Return AdamW with a warm-up and half a cosine down to 1/200 of the learning rate."""
        r = self.recipe
        return loop.adamw_with_cosine(
            self, r.learning_rate, r.weight_decay, r.steps, r.warmup_steps, final=0.005
        )


class FaceData(L.LightningDataModule):
    """Real faces, and those rendered and profiled faces that exist when an epoch begins."""

    def __init__(self, recipe: FaceRecipe, inputs: Inputs) -> None:
        super().__init__()
        self.recipe, self.workers = recipe, inputs.workers
        self.data, self.labels = inputs.data, inputs.labels
        self.rendered, self.hard_negatives = inputs.rendered, inputs.hard_negatives

    def setup(self, stage: str) -> None:
        """Read the data."""
        keep = mesh_labels(self.labels)["keep"]
        rows = face_rows(self.data)
        self.images, self.table = real_faces(self.data, self.labels, "train")
        sources = [row.source for row, kept in zip(rows, keep, strict=True) if kept and row.split == "train"]
        self.weights = [SOURCE_WEIGHT.get(source, 1.0) for source in sources]
        self.photos = read_images(background_files(self.data, "train"))
        images, table = real_faces(self.data, self.labels, "val")
        by_hand = table.landmarks_weight[:, 0] == 1
        chosen = np.flatnonzero(by_hand)
        parts = {name: getattr(table, name)[chosen] for name in FaceLabels.__dataclass_fields__}
        chosen_images = [images[i] for i in chosen]
        self.val = FaceCropsPlain(chosen_images, FaceLabels(**parts), self.photos, view=upright_view)

    def faces_of_epoch(self) -> tuple[list[np.ndarray], FaceLabels, list[float]]:
        """Return images, labels and how often each is drawn."""
        drawn, exact = synthetic_faces(self.rendered)
        if exact is None:
            return self.images, self.table, self.weights
        weights = self.weights + [RENDERED_WEIGHT] * len(drawn)
        return self.images + drawn, FaceLabels.concatenate([self.table, exact]), weights

    def train_dataloader(self) -> DataLoader:
        """Return the training samples of an epoch."""
        images, table, weights = self.faces_of_epoch()
        hard = (
            np.load(self.hard_negatives)["crops"]
            if self.hard_negatives and self.hard_negatives.exists()
            else ()
        )
        epoch = self.trainer.current_epoch if self.trainer else 0
        r = self.recipe
        mild = bool(self.trainer) and self.trainer.global_step >= r.mild_from_step
        augmentation = Augmentation(
            mild_share=1.0 if mild else r.mild_share,
            mild_strength=r.mild_strength,
            hidden_share=r.hidden_share,
            upside_down_share=r.upside_down_share,
            far_share=r.far_share,
        )
        crops = FaceCrops(
            images, table, self.photos, hard, r.negatives, r.seed + epoch, augmentation=augmentation
        )
        sampler = WeightedRandomSampler(weights, self.recipe.samples_per_epoch)
        return DataLoader(crops, self.recipe.batch, sampler=sampler, num_workers=self.workers, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """Return the validation samples."""
        return DataLoader(self.val, 64, num_workers=0)


def train(recipe: FaceRecipe, inputs: Inputs) -> Path:
    """Train or resume, then refit the last layer: ``out/final.ckpt``.

    A new run starts from the checkpoint ``inputs.start``, or from random weights without one. On a CPU
    several ``processes`` of one thread each are fastest; the batch grows with their number.
    """
    data = FaceData(recipe, inputs)
    fit_face(recipe, inputs, data)
    return refit_last_layer(recipe, inputs, data)


def fit_face(recipe: FaceRecipe, inputs: Inputs, data: FaceData) -> None:
    """Train or resume before the refit: ``out/last.ckpt``."""
    L.seed_everything(recipe.seed, workers=True)
    trainer = loop.trainer(
        inputs.out,
        "bf16-mixed",
        "val/nme",
        inputs.processes,
        ema_decay=recipe.ema_decay,
        max_steps=recipe.steps,
        reload_dataloaders_every_n_epochs=1,
        gradient_clip_val=5.0,
    )
    loop.fit(trainer, FaceTask(recipe, inputs.start), data, inputs.out)
    loop.save_last(trainer, inputs.out)


def refit_last_layer(recipe: FaceRecipe, inputs: Inputs, data: FaceData) -> Path:
    """Blend with the initial weights, and the 68 points with the mesh's; refit them and the scales.

    Writes ``out/final.ckpt``.
    """
    net = blended(recipe, inputs, landmark_map(inputs.labels))
    by_hand = np.flatnonzero(data.table.landmarks_weight[:, 0] == 1)
    samples = (data.images, data.table, data.photos)
    mild = Augmentation(recipe.mild_strength, hidden_share=recipe.hidden_share)
    views: list[Dataset] = []
    for seed in range(recipe.seed, recipe.seed + recipe.landmarks_rounds):
        views.append(Subset(FaceCropsPlain(*samples, seed=seed, augmentation=mild), by_hand.tolist()))
        views.append(SceneFaces(data.data, "train", seed, recipe.mild_strength))
    fit_landmarks(net, views, inputs.workers)
    crops = FaceCrops(*samples, negatives=0, seed=recipe.seed, augmentation=mild)
    fit_scales(net, crops, by_hand, recipe.confidence_rounds, inputs.workers)
    return save_final(net, inputs.out)


def blended(recipe: FaceRecipe, inputs: Inputs, linear_map: LinearMap) -> FaceNet:
    """Return the trained network, blended with the initial weights and with the points of the mesh."""
    net = network_from_checkpoint(inputs.out / loop.LAST, FaceNet())
    if recipe.start_share:
        blend_weights(net, inputs.start, recipe.start_share)
    blend_landmarks(net, linear_map, recipe.blend_share)
    return net


def save_final(net: FaceNet, out: Path) -> Path:
    """Write ``out/final.ckpt``."""
    final = out / "final.ckpt"
    torch.save({"state_dict": {f"net.{name}": value for name, value in net.state_dict().items()}}, final)
    return final
