"""Training samples of the face network: labelled images, rotated, mirrored, cropped and degraded.

:class:`FaceCrops` and :class:`FaceCropsPlain` for training and validation, :class:`SceneFaces` for annotated
faces of whole photos, :func:`mine_hard_negatives` for crops that the cascade wrongly takes for faces.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset
from tqdm import tqdm

from facegeom.geometry import topology
from facegeom.geometry.boxes import face_box, iou, square
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.schemes import IBUG68_MIRROR
from facegeom.geometry.transforms import apply, box_to_square
from facegeom.image.crop import crop_squares
from facegeom.image.pyramid import Pyramid
from facegeom.models.cascade import CascadeDetector, Thresholds
from facegeom.models.engine import Engine
from facegeom.models.face import CROP_PX, CROP_SCALE, OUTSIDE, REDUCING_GAP
from facegeom_lab.datasets.published.pack import background_files, read_images, scene_entries
from facegeom_lab.datasets.training.augment import cover, cut, degrade, own_generator, random_patch
from facegeom_lab.datasets.training.face_labels import FaceLabels
from facegeom_lab.files import save_npz

FAR = 0.22
"""Largest shift, in sides of the crop, of those that lie aside as a detector's crops of cut faces do."""

FRAME_SCALE = 2.0
"""Side of a whole portrait, in multiples of the longer side of the face box."""

LOOSE_THRESHOLDS = Thresholds(propose=0.3, propose_most=96, refine=0.1, refine_overlap=0.5)
MIN_FACE_PX = 24.0
MAX_NEGATIVE_IOU = 0.1
"""Hard negatives: detections at loose thresholds that overlap the labelled faces less than this."""


@dataclass(frozen=True)
class Augmentation:
    """How samples of faces are changed at random.

    Attributes:
        strength: of rotation, crop, mirroring and degrading, in (0, 1].
        mild_share: fraction of the faces, in [0, 1], that are changed by ``mild_strength`` instead.
        mild_strength: of their changes, in (0, 1].
        hidden_share: fraction of the crops, in [0, 1], faces or not, of which a side is cut off or a part has
            one colour; the labels stay.
        upside_down_share: fraction of the negatives, in [0, 1]: faces turned by 150 to 210 degrees.
        far_share: fraction of the faces, in [0, 1], whose crops lie up to :data:`FAR` of their side aside.
    """

    strength: float = 1.0
    mild_share: float = 0.0
    mild_strength: float = 0.5
    hidden_share: float = 0.0
    upside_down_share: float = 0.0
    far_share: float = 0.0


FULL = Augmentation()
"""Everything at full strength, nothing hidden, no crop far aside."""


class FaceCrops(Dataset):
    """Crops (3, S, S) uint8 with targets in crop units (0 in the middle, ±0.5 at the edges).

    Args:
        images: (H, W, 3 or 4) uint8, RGB or RGBA with alpha 0 where there is no photo.
        labels: of the images.
        backgrounds: photos without a face, for padding, occluders and negatives.
        hard_negatives: (128, 128, 3) crops of :func:`mine_hard_negatives`.
        negatives: fraction of crops without a face, in [0, 1).
        seed: of the random numbers; they differ between epochs and workers.
        augmentation: how they are changed.
        size_px: side S of the crops; hard negatives stay 128.
        view: chooses the crop of an image; :func:`close_view` by default.
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        labels: FaceLabels,
        backgrounds: Sequence[np.ndarray],
        hard_negatives: Sequence[np.ndarray] = (),
        negatives: float = 0.12,
        seed: int = 0,
        augmentation: Augmentation = FULL,
        size_px: int = CROP_PX,
        view: "View | None" = None,
    ) -> None:
        self.images, self.labels, self.backgrounds = images, labels, backgrounds
        self.hard_negatives, self.negatives = hard_negatives, negatives
        self.seed, self.augmentation, self.size_px = seed, augmentation, size_px
        self.view = view or close_view
        self.mirror478 = topology.mirror()
        self.rng: np.random.Generator | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        cv2.setNumThreads(0)
        if self.rng is None:
            self.rng = own_generator(self.seed)
        if self.rng.random() < self.negatives:
            return self._negative(index, self.rng)
        return self._positive(index, self.rng)

    def _negative(self, index: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        upside_down_share = self.augmentation.upside_down_share
        if upside_down_share and rng.random() < upside_down_share:
            matrix = random_crop(rng, self.labels.landmarks[index], rng.uniform(150, 210), 1.0, self.size_px)
            crop = warp(self.images[index], matrix, self._outside(rng))
        elif len(self.hard_negatives) and rng.random() < 0.6:
            crop = self.hard_negatives[int(rng.integers(len(self.hard_negatives)))]
            crop = crop[:, ::-1] if rng.random() < 0.5 else crop
        else:
            crop = random_patch(rng, self.backgrounds, self.size_px)
        middle = (len(crop) - 1) / 2
        box = middle + np.array((-0.5, -0.5, 0.5, 0.5)) * len(crop) / CROP_SCALE
        crop = self._changed(np.ascontiguousarray(crop), box, rng, True)
        nothing = np.zeros(68, np.float32)
        return _sample(crop, 0, np.zeros((68, 2)), nothing, np.zeros((478, 3)), np.zeros(478), np.eye(3), 0)

    def _positive(self, index: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        chosen = self.augmentation
        strength = chosen.mild_strength if rng.random() < chosen.mild_share else chosen.strength
        matrix, turn_deg = self.view(rng, self.labels.landmarks[index], strength, self.size_px)
        if chosen.far_share and rng.random() < chosen.far_share:
            matrix[:, 2] += rng.uniform(-FAR, FAR, 2) * self.size_px
        return self._labelled(index, matrix, turn_deg, rng, strength)

    def _labelled(
        self, index: int, matrix: np.ndarray, turn_deg: float, rng: np.random.Generator, strength: float
    ) -> dict[str, torch.Tensor]:
        """Return the crop and its targets; mirrored and degraded if ``strength`` is above 0."""
        labels = self.labels
        crop = warp(self.images[index], matrix, self._outside(rng))
        landmarks = apply(matrix, labels.landmarks[index].astype(np.float64))
        mesh = labels.mesh[index].astype(np.float64)
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        mesh = np.concatenate([apply(matrix, mesh[:, :2]), mesh[:, 2:] * scale], axis=1)
        rotation = rotation_from_angles(0, 0, turn_deg) @ labels.rotation[index]
        weight, mesh_weight = labels.landmarks_weight[index], labels.mesh_weight[index]
        if strength and rng.random() < 0.5:
            crop = np.ascontiguousarray(crop[:, ::-1])
            landmarks = landmarks[IBUG68_MIRROR] * (-1, 1) + (self.size_px - 1, 0)
            weight = weight[IBUG68_MIRROR]
            mesh = mesh[self.mirror478] * (-1, 1, 1) + (self.size_px - 1, 0, 0)
            mesh_weight = mesh_weight[self.mirror478]
            rotation = rotation * np.outer((-1, 1, 1), (-1, 1, 1))
        degraded = bool(strength) and rng.random() < strength
        crop = self._changed(crop, face_box(landmarks), rng, degraded)
        rotation_weight = labels.rotation_weight[index]
        return _sample(crop, 1, landmarks, weight, mesh, mesh_weight, rotation, rotation_weight)

    def _outside(self, rng: np.random.Generator) -> np.ndarray:
        """Return what lies outside of a photo: what the runtime puts there, or another photo."""
        if self.augmentation.hidden_share and rng.random() < 0.5:
            return np.full((self.size_px, self.size_px, 3), OUTSIDE, np.uint8)
        return random_patch(rng, self.backgrounds, self.size_px)

    def _changed(
        self, crop: np.ndarray, box_xyxy: np.ndarray, rng: np.random.Generator, degraded: bool
    ) -> np.ndarray:
        """Degrade a crop and hide a part of its face's box: something in the photo, or its end."""
        hidden_share = self.augmentation.hidden_share
        hidden = hidden_share and rng.random() < hidden_share
        first = hidden and rng.random() < 0.5
        if first:
            crop = self._hidden(crop, box_xyxy, rng)
        if degraded:
            crop = degrade(rng, crop, self.backgrounds)
        return self._hidden(crop, box_xyxy, rng) if hidden and not first else crop

    def _hidden(self, crop: np.ndarray, box_xyxy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if rng.random() < 0.25:
            return cover(rng, crop, box_xyxy)
        return cut(rng, crop, self.backgrounds, box_xyxy)


class FaceCropsPlain(FaceCrops):
    """Validation crops: a fixed view of each image, nothing changed but ``hidden_share`` of them."""

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng((self.seed, index))
        matrix, turn_deg = self.view(
            rng, self.labels.landmarks[index], self.augmentation.strength, self.size_px
        )
        return self._labelled(index, matrix, turn_deg, rng, 0)


View = Callable[[np.random.Generator, np.ndarray, float, int], tuple[np.ndarray, float]]
"""(generator, points (68, 2), strength, side) -> transform (2, 3) to the crop, its rotation in degrees."""


def close_view(
    rng: np.random.Generator, landmarks: np.ndarray, strength: float, size_px: int
) -> tuple[np.ndarray, float]:
    """Return a crop as the detector gives it, rotated in the plane by some degrees."""
    turn_deg = float(np.clip(rng.normal(0, 22 * strength), -80, 80))
    return random_crop(rng, landmarks, turn_deg, strength, size_px), turn_deg


def upright_view(
    rng: np.random.Generator, landmarks: np.ndarray, strength: float, size_px: int
) -> tuple[np.ndarray, float]:
    """Return a crop as the detector gives it, not rotated."""
    return random_crop(rng, landmarks, 0.0, strength, size_px), 0.0


def frame_view(
    rng: np.random.Generator, landmarks: np.ndarray, strength: float, size_px: int
) -> tuple[np.ndarray, float]:
    """Return a whole portrait, rotated in the plane by up to 90 degrees times ``strength``."""
    turn_deg = float(rng.uniform(-90, 90) * strength)
    return random_crop(rng, landmarks, turn_deg, 1.0, size_px, FRAME_SCALE), turn_deg


def random_crop(
    rng: np.random.Generator,
    landmarks: np.ndarray,
    turn_deg: float,
    strength: float = 1.0,
    size_px: int = CROP_PX,
    scale: float = CROP_SCALE,
) -> np.ndarray:
    """Return the transform (2, 3) to a crop around the rotated points (68, 2); see :func:`random_square`."""
    rotation = rotation_from_angles(0, 0, turn_deg)[:2, :2]
    to_crop = box_to_square(random_square(rng, landmarks @ rotation.T, strength, scale), size_px)
    return np.concatenate([to_crop[:, :2] @ rotation, to_crop[:, 2:]], axis=1)


def random_square(
    rng: np.random.Generator, landmarks: np.ndarray, strength: float = 1.0, scale: float = CROP_SCALE
) -> np.ndarray:
    """Return the crop box (4,) of points (68, 2), shifted and scaled at random as a detector's boxes are."""
    size = scale * np.clip(np.exp(rng.normal(0, 0.11 * strength)), 0.78, 1.35)
    box = square(face_box(landmarks), size)
    shift = np.clip(rng.normal(0, 0.05 * strength, 2), -0.14, 0.14) * (box[2] - box[0])
    return np.asarray(box + np.tile(shift, 2))


def warp(image: np.ndarray, matrix: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Cut the crop of an image (H, W, 3 or 4), padded with ``outside`` (S, S, 3) where the photo ends."""
    size = outside.shape[:2]
    if image.shape[2] == 3:
        return cv2.warpAffine(image, matrix, size, dst=outside, borderMode=cv2.BORDER_TRANSPARENT)
    rgba = cv2.warpAffine(image, matrix, size)
    return cv2.copyTo(np.ascontiguousarray(rgba[..., :3]), (rgba[..., 3] > 250).astype(np.uint8), outside)


def _sample(
    crop: np.ndarray,
    face: int,
    landmarks: np.ndarray,
    landmarks_weight: np.ndarray,
    mesh: np.ndarray,
    mesh_weight: np.ndarray,
    rotation: np.ndarray,
    rotation_weight: float,
) -> dict[str, torch.Tensor]:
    size = len(crop)
    middle = (size - 1) / 2
    box = (face_box(landmarks) - middle) / size if face else np.zeros(4)
    return {
        "crop": torch.from_numpy(crop).permute(2, 0, 1),
        "face": torch.tensor(face, dtype=torch.float32),
        "box": torch.as_tensor(box, dtype=torch.float32),
        "landmarks": torch.as_tensor((landmarks - middle) / size, dtype=torch.float32),
        "landmarks_weight": torch.as_tensor(landmarks_weight, dtype=torch.float32),
        "mesh": torch.as_tensor((mesh - (middle, middle, 0)) / size, dtype=torch.float32),
        "mesh_weight": torch.as_tensor(mesh_weight, dtype=torch.float32),
        "rotation": torch.as_tensor(rotation, dtype=torch.float32),
        "rotation_weight": torch.tensor(rotation_weight, dtype=torch.float32),
    }


def runtime_crops(image: np.ndarray | Image.Image, crops_xyxy: np.ndarray) -> np.ndarray:
    """Cut the crops (N, 128, 128, 3) of an RGB image at crop boxes (N, 4), as the runtime cuts them."""
    return crop_squares(image, crops_xyxy, CROP_PX, REDUCING_GAP, OUTSIDE)


class SceneFaces(Dataset):
    """Annotated faces of whole photos, cropped as the runtime crops them: no augmentation.

    Samples: ``crop`` (3, 128, 128) uint8, ``landmarks`` (68, 2) in crop units.

    Args:
        data: the data pack.
        split: train, val or test.
        seed: of the crop boxes, which are off as a detector's are.
        strength: of these deviations, in (0, 1].
    """

    def __init__(self, data: Path, split: str, seed: int = 0, strength: float = 1.0) -> None:
        self.faces = [
            (data / "scenes" / entry["file"], np.array(face["landmarks68"], np.float64))
            for entry in scene_entries(data, split)
            for face in entry["faces"]
            if "landmarks68" in face
        ]
        self.seed, self.strength = seed, strength

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        file, landmarks = self.faces[index]
        rng = np.random.default_rng((self.seed, index))
        box = random_square(rng, landmarks, self.strength)
        with Image.open(file) as photo:
            crop = runtime_crops(photo.convert("RGB"), box[None])[0]
        points = (landmarks - (box[:2] + box[2:]) / 2) / (box[2] - box[0])
        return {
            "crop": torch.from_numpy(crop).permute(2, 0, 1),
            "landmarks": torch.as_tensor(points, dtype=torch.float32),
        }


def mine_hard_negatives(data: Path, pnet: Path, rnet: Path, out: Path) -> int:
    """Run a cascade at loose thresholds over the train split; keep the crops far from the labelled faces.

    Args:
        data: the data pack.
        pnet: ONNX file.
        rnet: ONNX file.
        out: npz with ``crops`` (N, 128, 128, 3).

    Returns:
        Count N of the crops.
    """
    photos: list[tuple[Path, np.ndarray]] = [
        (file, np.zeros((0, 4))) for file in background_files(data, "train")
    ]
    for entry in scene_entries(data, "train"):
        boxes = np.array([face["box"] for face in entry["faces"]], np.float64)
        photos.append((data / "scenes" / entry["file"], square(boxes)))
    cascade = CascadeDetector(Engine(pnet), Engine(rnet), LOOSE_THRESHOLDS)
    crops = [_false_faces(cascade, file, faces) for file, faces in tqdm(photos, desc="mining", unit="photo")]
    found = np.concatenate(crops)
    save_npz(out, crops=found)
    return len(found)


def _false_faces(cascade: CascadeDetector, file: Path, faces_xyxy: np.ndarray) -> np.ndarray:
    """Return the crops (N, 128, 128, 3) of a photo's detections that are no labelled face."""
    photo = Image.fromarray(read_images([file])[0])
    squares, _ = cascade([Pyramid(photo)], [MIN_FACE_PX])[0]
    if len(faces_xyxy) and len(squares):
        squares = squares[iou(squares, faces_xyxy).max(axis=1) < MAX_NEGATIVE_IOU]
    return runtime_crops(photo, square(squares, CROP_SCALE))
