"""MTCNN whole, P-Net, R-Net and O-Net with landmarks, as published: ``facegeom lab train mtcnn-published``.

Each stage learns from windows that the stages before it propose, P-Net from random ones: the cross-entropy of
the score, and for faces the squared errors of box and landmarks. The windows of a stage are kept, so that an
interrupted training goes on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from facegeom.geometry.boxes import iou, nms, square
from facegeom.image.crop import crop_squares
from facegeom_lab.datasets.training.pose_photos import PosePhoto, pack_photos
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.files import save_npz
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.mtcnn import PUBLISHED_WINDOWS, MtcnnStage
from facegeom_lab.training import loop
from facegeom_lab.training.trainers import Inputs

FACE_IOU, EMPTY_IOU = 0.65, 0.3
"""Least IoU of a window with a face to be one, and largest of one without a face."""

MIN_FACE = 0.1
"""Smallest face that is looked for, as a fraction of the photo's longer side."""

PYRAMID = 0.709
SCORES = {"pnet": 0.6, "rnet": 0.7, "onet": 0.7}
"""Thresholds of the stages when they propose."""

OVERLAPS = {"pnet": 0.7, "rnet": 0.7, "onet": 0.6}
"""Largest IoU of two windows after a stage."""

CANDIDATES = 200
"""Windows of a pyramid's level that the suppression sees at most: an untrained network likes all of them."""

MOST = 64
"""Windows of a photo that a stage hands on at most."""


@dataclass(frozen=True)
class MtcnnRecipe:
    """Settings; see ``recipes/mtcnn-published.yaml``."""

    windows_per_photo: int
    photos_every: int
    batch: int
    epochs: int
    learning_rate: float
    rate_factor: float
    dropout: float
    box_weight: float
    landmark_weight: float
    precision: str
    seed: int


class MtcnnTask(L.LightningModule):
    """Cross-entropy + y · (box L2 + landmark L2), Adam with an exponential schedule by epochs."""

    def __init__(self, recipe: MtcnnRecipe, name: str) -> None:
        super().__init__()
        self.recipe, self.net = recipe, MtcnnStage(name, recipe.dropout)

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        """Return the loss of a batch."""
        loss = self.loss(batch)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], _: int) -> None:
        """Log the loss."""
        self.log("val/loss", self.loss(batch), prog_bar=True)

    def loss(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """Compute the loss of windows (N, 3, S, S) uint8, classes (N,), offsets (N, 4), landmarks (N, 10)."""
        windows, face, offsets, landmarks = batch
        outputs = self.net(windows.float())
        logits, box, points = (each.float().reshape(len(windows), -1) for each in outputs)
        score = F.binary_cross_entropy_with_logits(logits[:, 0], face, reduction="none")
        errors = ((box - offsets) ** 2).sum(dim=1), ((points - landmarks) ** 2).sum(dim=1)
        weighted = self.recipe.box_weight * errors[0] + self.recipe.landmark_weight * errors[1]
        return (score + face * weighted).mean()

    def configure_optimizers(self) -> dict:
        """Return Adam with its schedule."""
        optimizer = torch.optim.Adam(self.parameters(), self.recipe.learning_rate)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, self.recipe.rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}


def train(recipe: MtcnnRecipe, inputs: Inputs) -> dict[str, Path]:
    """Train the three stages, each in ``out/STAGE``; return their best checkpoints.

    Raises:
        InputError: a file of the data pack is missing.
    """
    made: dict[str, Path] = {}
    for name in PUBLISHED_WINDOWS:
        folder = inputs.out / name
        made[name] = folder / loop.BEST
        if (folder / "finished").exists():
            continue
        sets = {split: _windows(recipe, inputs, name, split, made) for split in ("train", "val")}
        L.seed_everything(recipe.seed, workers=True)
        trainer = loop.trainer(folder, recipe.precision, processes=inputs.processes, max_epochs=recipe.epochs)
        loaders = DataLoader(sets["train"], recipe.batch, shuffle=True), DataLoader(sets["val"], 512)
        loop.fit(trainer, MtcnnTask(recipe, name), _Loaders(*loaders), folder)
        (folder / "finished").touch()
    return {f"{name}-published": file for name, file in made.items()}


class _Loaders(L.LightningDataModule):
    def __init__(self, train: DataLoader, val: DataLoader) -> None:
        super().__init__()
        self.loaders = train, val

    def train_dataloader(self) -> DataLoader:
        return self.loaders[0]

    def val_dataloader(self) -> DataLoader:
        return self.loaders[1]


def _windows(
    recipe: MtcnnRecipe, inputs: Inputs, name: str, split: str, made: Mapping[str, Path]
) -> TensorDataset:
    """Cut the windows of a stage, or read those that an earlier start has cut."""
    file = inputs.out / name / f"windows-{split}.npz"
    if not file.is_file():
        before = [key for key in PUBLISHED_WINDOWS if key in made and key != name]
        nets = {key: _network(made[key], key, recipe.dropout) for key in before}
        rng = np.random.default_rng((recipe.seed, len(before)))
        rendered = inputs.rendered if split == "train" else None
        photos = pack_photos(inputs.data, inputs.labels, split, rendered)[:: recipe.photos_every]
        parts = [
            _examples(photo, name, nets, recipe.windows_per_photo, rng)
            for photo in tqdm(photos, desc=f"windows of {name}, {split}")
        ]
        keys = ("windows", "face", "offsets", "landmarks")
        save_npz(file, **{key: np.concatenate([part[key] for part in parts]) for key in keys})
    with np.load(file) as arrays:
        windows = torch.from_numpy(arrays["windows"]).permute(0, 3, 1, 2)
        rest = (torch.from_numpy(arrays[key]).float() for key in ("face", "offsets", "landmarks"))
        return TensorDataset(windows, *rest)


def _network(checkpoint: Path, name: str, dropout: float) -> MtcnnStage:
    net = network_from_checkpoint(checkpoint, MtcnnStage(name, dropout))
    assert isinstance(net, MtcnnStage)
    return net


def _examples(
    photo: PosePhoto, name: str, nets: Mapping[str, MtcnnStage], most: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Choose windows of a photo for a stage: a third at most faces, the others without a face."""
    image = photo.read()
    faces, every = photo.squares_xyxy, np.concatenate([photo.squares_xyxy, square(photo.others_xyxy)])
    found = _random_squares(image.shape, faces, 20 * most, rng)
    if nets:
        proposed = cascade(nets, image)[0]
        shaken = found[iou(found, faces).max(axis=1, initial=0) > FACE_IOU]
        found = np.concatenate([proposed, shaken])
    best, overlap = iou(found, faces), iou(found, every).max(axis=1, initial=0)
    which = best.argmax(axis=1) if len(faces) else np.zeros(len(found), int)
    positive = np.flatnonzero(best.max(axis=1, initial=0) > FACE_IOU)
    negative = np.flatnonzero(overlap < EMPTY_IOU)
    positive, negative = (
        rng.permutation(rows)[:count] for rows, count in ((positive, most // 3), (negative, most))
    )
    negative = negative[: most - len(positive)]
    rows = np.concatenate([positive, negative])
    squares, count = found[rows], len(positive)
    side = (squares[:, 2] - squares[:, 0])[:, None]
    offsets, landmarks = np.zeros((len(rows), 4)), np.zeros((len(rows), 10))
    if count:
        own = which[positive]
        offsets[:count] = (faces[own] - squares[:count]) / side[:count]
        points = (photo.five[own] - squares[:count, None, :2]) / side[:count, None]
        landmarks[:count] = points.reshape(count, 10)
    return {
        "windows": crop_squares(image, squares, PUBLISHED_WINDOWS[name]),
        "face": (np.arange(len(rows)) < count).astype(np.uint8),
        "offsets": offsets.astype(np.float32),
        "landmarks": landmarks.astype(np.float32),
    }


def _random_squares(
    shape: tuple[int, ...], faces: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw squares (count, 4), half of them near the faces, where there are any."""
    high, least = max(shape[:2]), MIN_FACE * max(shape[:2])
    side = np.exp(rng.uniform(np.log(least), np.log(high), count))
    centre = rng.uniform(0, (shape[1], shape[0]), (count, 2))
    if len(faces):
        own = faces[rng.integers(len(faces), size=count // 2)]
        width = own[:, 2] - own[:, 0]
        side[: len(own)] = width * rng.uniform(0.8, 1.25, len(own))
        middle = (own[:, :2] + own[:, 2:]) / 2
        centre[: len(own)] = middle + rng.uniform(-0.2, 0.2, (len(own), 2)) * width[:, None]
    return np.concatenate([centre - side[:, None] / 2, centre + side[:, None] / 2], axis=1)


@torch.inference_mode()
def cascade(nets: Mapping[str, MtcnnStage], image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the stages that are there over a photo.

    Args:
        nets: P-Net, or P-Net and R-Net, or all three.
        image: (H, W, 3) uint8 RGB.

    Returns:
        Squares (N, 4), scores (N,) and landmarks (N, 5, 2) in pixels, of the last stage.
    """
    boxes, scores = _propose(nets["pnet"], image)
    points = np.zeros((len(boxes), 5, 2))
    for name in ("rnet", "onet"):
        if name in nets and len(boxes):
            boxes, scores, points = _refine(nets[name], image, square(boxes))
    return square(boxes), scores, points


def _propose(net: MtcnnStage, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return P-Net's boxes and scores over the image pyramid."""
    picture = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    scale = net.window / (MIN_FACE * max(image.shape[:2]))
    boxes, scores = [np.zeros((0, 4))], [np.zeros(0)]
    while scale * min(image.shape[:2]) >= net.window:
        size = [max(net.window, round(side * scale)) for side in image.shape[:2]]
        level = F.interpolate(picture, size=size, mode="bilinear", antialias=True)
        logits, offsets, _ = net(level)
        probability = logits[0].sigmoid()
        least = max(
            SCORES["pnet"], float(probability.flatten().topk(min(CANDIDATES, probability.numel()))[0][-1])
        )
        rows, columns = torch.nonzero(probability >= least, as_tuple=True)
        rows, columns = rows[:CANDIDATES], columns[:CANDIDATES]
        corner = torch.stack([columns, rows], dim=1).double().numpy() * 2
        windows = np.concatenate([corner, corner + net.window], axis=1)
        moved = windows + offsets[0][:, rows, columns].T.double().numpy() * net.window
        stretch = np.tile((image.shape[1] / size[1], image.shape[0] / size[0]), 2)
        found, score = moved * stretch - 0.5, probability[rows, columns].double().numpy()
        kept = nms(found, score, 0.5)
        boxes.append(found[kept])
        scores.append(score[kept])
        scale *= PYRAMID
    return _best(np.concatenate(boxes), np.concatenate(scores), "pnet")[:2]


def _refine(
    net: MtcnnStage, image: np.ndarray, squares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    crops = torch.from_numpy(crop_squares(image, squares, net.window)).permute(0, 3, 1, 2).float()
    logits, offsets, landmarks = (each.double().numpy() for each in net(crops))
    score, side = 1 / (1 + np.exp(-logits)), (squares[:, 2] - squares[:, 0])[:, None]
    good = score > SCORES[net.name]
    moved = (squares + offsets * side)[good]
    points = (squares[:, None, :2] + landmarks.reshape(-1, 5, 2) * side[:, None])[good]
    boxes, scores, rows = _best(moved, score[good], net.name)
    return boxes, scores, points[rows]


def _best(boxes: np.ndarray, scores: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = np.asarray(nms(boxes, scores, OVERLAPS[name]))[:MOST]
    return boxes[rows], scores[rows], rows


def evaluate(recipe: MtcnnRecipe, inputs: Inputs) -> dict[str, Any]:
    """Return recall, false windows for each photo and landmark errors after each stage, on val's photos."""
    nets = {name: _network(inputs.out / name / loop.BEST, name, recipe.dropout) for name in PUBLISHED_WINDOWS}
    photos = pack_photos(inputs.data, inputs.labels, "val")[:: recipe.photos_every]
    figures: dict[str, Any] = {}
    for count, name in enumerate(nets, 1):
        some = {key: nets[key] for key in list(nets)[:count]}
        found = [(photo, *cascade(some, photo.read())) for photo in tqdm(photos, desc=f"val, to {name}")]
        window = torch.zeros(1, 3, nets[name].window, nets[name].window)
        figures[name] = _detection(found) | asdict(cost(nets[name], window))
    return figures


def _detection(found: Sequence[tuple[PosePhoto, np.ndarray, np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Return the recall at an IoU of 0.5, false windows for each photo, and the landmarks' mean error."""
    faces = hits = false = 0
    errors: list[float] = []
    for photo, squares, _, points in found:
        overlap = iou(squares, photo.squares_xyxy)
        every = np.concatenate([photo.squares_xyxy, square(photo.others_xyxy)])
        faces, hit = faces + len(photo.squares_xyxy), overlap.max(axis=0, initial=0) > 0.5
        hits += int(hit.sum())
        false += int((iou(squares, every).max(axis=1, initial=0) < EMPTY_IOU).sum())
        errors += list(_landmark_errors(photo, overlap, hit, points))
    return {
        "faces": faces,
        "recall": hits / max(1, faces),
        "false_per_photo": false / max(1, len(found)),
        "landmark_error": float(np.mean(errors)) if errors else None,
    }


def _landmark_errors(
    photo: PosePhoto, overlap: np.ndarray, hit: np.ndarray, points: np.ndarray
) -> Iterator[float]:
    """Yield the mean error of the five points of each face found, by the distance of the eyes."""
    for face in np.flatnonzero(hit):
        five = photo.five[face]
        away = np.linalg.norm(points[overlap[:, face].argmax()] - five, axis=1).mean()
        yield float(away / max(1e-6, np.linalg.norm(five[1] - five[0])))
