"""Training samples of the face network: labelled pictures, turned, mirrored, cropped and changed."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm import tqdm

from facegeom.geometry import topology
from facegeom.geometry.boxes import face_box, square
from facegeom.geometry.rotation import procrustes, rotation_from_angles, towards
from facegeom.geometry.schemes import IBUG68_MIRROR
from facegeom.geometry.transforms import apply, box_to_square
from facegeom.lab.augment import degrade, random_patch
from facegeom.lab.datasets.pack import face_landmarks, face_rows, mesh_labels
from facegeom.lab.networks.face import CROP_PX
from facegeom.lab.teachers.linear_map import LinearMap

CROP_SCALE = 1.3
"""Side of the crop, of the face box's longer side; the runtime crops by the same number."""

HUMAN = {"helen": 1.0, "lfpw": 1.0, "ytf": 0.0, "ytf-test": 0.0}
"""Weight of the given 68 points by source; at 0 the linear map of the mesh gives them, weight 0.5."""


@dataclass(frozen=True)
class FaceLabels:
    """Labels of N pictures, arrays with one leading axis.

    Attributes:
        landmarks: (N, 68, 2) pixels.
        landmarks_weight: (N, 68).
        mesh: (N, 478, 3) pixels.
        mesh_weight: (N,).
        rotation: (N, 3, 3).
        rotation_weight: (N,).
    """

    landmarks: np.ndarray
    landmarks_weight: np.ndarray
    mesh: np.ndarray
    mesh_weight: np.ndarray
    rotation: np.ndarray
    rotation_weight: np.ndarray

    def __len__(self) -> int:
        return len(self.landmarks)

    @classmethod
    def concatenate(cls, parts: "Sequence[FaceLabels]") -> "FaceLabels":
        """One table out of several."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})


def real_faces(data: Path, labels: Path, split: str) -> tuple[list[np.ndarray], FaceLabels]:
    """Pictures of a split of ``data/faces`` with the kept labels of ``facegeom lab label``."""
    table = mesh_labels(labels)
    linear_map = labelled_map(labels)
    rows = face_rows(data)
    chosen = [i for i, row in enumerate(rows) if row.split == split and table["keep"][i]]
    known = face_landmarks(data)
    mesh = table["mesh"][chosen]
    landmarks = linear_map.apply(mesh[..., :2])
    weight = np.full(len(chosen), 0.5, np.float32)
    for k, i in enumerate(chosen):
        if HUMAN.get(rows[i].source, 0) > 0 or (split == "test" and rows[i].file in known):
            landmarks[k], weight[k] = known[rows[i].file], 1.0
    pictures = [_without_border(data / "faces" / rows[i].file) for i in tqdm(chosen, desc="pictures")]
    masked = np.array([rows[i].source == "masks" for i in chosen])
    return pictures, FaceLabels(
        landmarks=landmarks.astype(np.float32),
        landmarks_weight=np.repeat(weight[:, None], 68, axis=1) * np.where(masked, 0.5, 1)[:, None],
        mesh=mesh.astype(np.float32),
        mesh_weight=np.where(masked, 0.3, 1.0),
        rotation=procrustes(topology.canonical_mm().astype(np.float64), mesh.astype(np.float64)).rotation,
        rotation_weight=np.where(masked, 0.3, 1.0),
    )


def labelled_map(labels: Path) -> LinearMap:
    """The linear map from mesh to 68 points that came with the labels."""
    table = mesh_labels(labels)
    return LinearMap(table["map_indices"], table["map_weights"])


def rendered_faces(shards: Sequence[Path]) -> tuple[list[np.ndarray], FaceLabels]:
    """Pictures and exact labels of ``facegeom lab synth``: points and rotation, no mesh.

    Hidden points of the jaw are left out: people mark the visible outline there, the model the bone.
    """
    pictures: list[np.ndarray] = []
    parts = []
    for shard in shards:
        with np.load(shard) as arrays:
            pictures += list(arrays["images"])
            visible = arrays["visible"].astype(np.float32)
            weight = np.ones_like(visible)
            turned = np.abs(arrays["rotation"][:, 2, 0]) > 0.25
            weight[:, :17] = np.where(turned[:, None], visible[:, :17] * 0.3, 1)
            count = len(visible)
            parts.append(
                FaceLabels(
                    landmarks=arrays["landmarks_px"].astype(np.float32),
                    landmarks_weight=weight * 0.5,
                    mesh=np.zeros((count, 478, 3), np.float32),
                    mesh_weight=np.zeros(count),
                    rotation=_as_seen(arrays["rotation"].astype(np.float64), arrays["translation"]),
                    rotation_weight=np.full(count, 2.0),
                )
            )
    return pictures, FaceLabels.concatenate(parts)


def read_photos(files: list[Path]) -> list[np.ndarray]:
    """Photos as RGB arrays."""
    return [cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) for file in files]


def _as_seen(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3) of the camera frame as a crop shows them: freed of the line of sight's turn."""
    return np.swapaxes(towards(translation.astype(np.float64)), 1, 2) @ rotation


def _without_border(file: Path) -> np.ndarray:
    """The picture with its black outside marked: RGBA, alpha 0 outside the photo."""
    picture = cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    lit = picture.max(axis=2) > 12
    columns, rows = np.flatnonzero(lit.mean(axis=0) > 0.02), np.flatnonzero(lit.mean(axis=1) > 0.02)
    alpha = np.zeros(picture.shape[:2], np.uint8)
    alpha[rows[0] + 1 : rows[-1], columns[0] + 1 : columns[-1]] = 255
    return np.dstack([picture, alpha])


class FaceCrops(Dataset):
    """Crops (3, 128, 128) uint8 with targets in crop units (0 in the middle, ±0.5 at the edges).

    Args:
        pictures: (H, W, 3 or 4) uint8, RGB or RGBA with alpha 0 where there is no photo.
        labels: of the pictures.
        backgrounds: photos without a face, for the outside, covers and negatives.
        negatives: share of crops without a face, in [0, 1).
        strength: of the changes, in (0, 1]: 1 for most of a training, less at its end.
        seed: the first of the random numbers; they differ between epochs and workers.
    """

    def __init__(
        self,
        pictures: Sequence[np.ndarray],
        labels: FaceLabels,
        backgrounds: Sequence[np.ndarray],
        hard_negatives: Sequence[np.ndarray] = (),
        negatives: float = 0.12,
        seed: int = 0,
        strength: float = 1.0,
    ) -> None:
        self.pictures, self.labels, self.backgrounds = pictures, labels, backgrounds
        self.hard_negatives, self.negatives = hard_negatives, negatives
        self.seed, self.strength = seed, strength
        self.mirror478 = topology.mirror()
        self.rng: np.random.Generator | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        cv2.setNumThreads(0)
        if self.rng is None:
            self.rng = np.random.default_rng((self.seed, torch.initial_seed() % 2**32))
        if self.rng.random() < self.negatives:
            return self._negative(self.rng)
        return self._positive(index, self.rng)

    def plain(self, index: int) -> dict[str, torch.Tensor]:
        """The picture as it is, cropped with a small error of place that depends on the index alone."""
        rng = np.random.default_rng(index)
        return self._labelled(index, random_crop(rng, self.labels.landmarks[index], 0.0), 0.0, rng, False)

    def _negative(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        if len(self.hard_negatives) and rng.random() < 0.6:
            crop = self.hard_negatives[int(rng.integers(len(self.hard_negatives)))]
            crop = crop[:, ::-1] if rng.random() < 0.5 else crop
        else:
            crop = random_patch(rng, self.backgrounds, CROP_PX)
        crop = degrade(rng, np.ascontiguousarray(crop), self.backgrounds)
        nothing = np.zeros(68, np.float32)
        return _sample(crop, 0, np.zeros((68, 2)), nothing, np.zeros((478, 3)), 0, np.eye(3), 0)

    def _positive(self, index: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        turn_deg = float(np.clip(rng.normal(0, 22 * self.strength), -80, 80))
        matrix = random_crop(rng, self.labels.landmarks[index], turn_deg, self.strength)
        return self._labelled(index, matrix, turn_deg, rng, True)

    def _labelled(
        self, index: int, matrix: np.ndarray, turn_deg: float, rng: np.random.Generator, change: bool
    ) -> dict[str, torch.Tensor]:
        labels = self.labels
        crop = warp(self.pictures[index], matrix, random_patch(rng, self.backgrounds, CROP_PX))
        landmarks = apply(matrix, labels.landmarks[index].astype(np.float64))
        mesh = labels.mesh[index].astype(np.float64)
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        mesh = np.concatenate([apply(matrix, mesh[:, :2]), mesh[:, 2:] * scale], axis=1)
        rotation = rotation_from_angles(0, 0, turn_deg) @ labels.rotation[index]
        weight = labels.landmarks_weight[index]
        if change and rng.random() < 0.5:
            crop = np.ascontiguousarray(crop[:, ::-1])
            landmarks = landmarks[IBUG68_MIRROR] * (-1, 1) + (CROP_PX - 1, 0)
            weight = weight[IBUG68_MIRROR]
            mesh = mesh[self.mirror478] * (-1, 1, 1) + (CROP_PX - 1, 0, 0)
            rotation = rotation * np.outer((-1, 1, 1), (-1, 1, 1))
        if change and rng.random() < self.strength:
            crop = degrade(rng, crop, self.backgrounds)
        strength = (labels.mesh_weight[index], labels.rotation_weight[index])
        return _sample(crop, 1, landmarks, weight, mesh, strength[0], rotation, strength[1])


def random_crop(
    rng: np.random.Generator, landmarks: np.ndarray, turn_deg: float, strength: float = 1.0
) -> np.ndarray:
    """The map (2, 3) to a crop around the turned points (68, 2), off as a detector's box is."""
    turn = rotation_from_angles(0, 0, turn_deg)[:2, :2]
    box = square(
        face_box(landmarks @ turn.T), CROP_SCALE * np.clip(np.exp(rng.normal(0, 0.11 * strength)), 0.78, 1.35)
    )
    shift = np.clip(rng.normal(0, 0.05 * strength, 2), -0.14, 0.14) * (box[2] - box[0])
    onto = box_to_square(box + np.tile(shift, 2), CROP_PX)
    return np.concatenate([onto[:, :2] @ turn, onto[:, 2:]], axis=1)


def warp(picture: np.ndarray, matrix: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """The crop (128, 128, 3) of a picture (H, W, 3 or 4), laid over ``outside`` where the photo ends."""
    size = (CROP_PX, CROP_PX)
    if picture.shape[2] == 3:
        return cv2.warpAffine(picture, matrix, size, dst=outside, borderMode=cv2.BORDER_TRANSPARENT)
    laid = cv2.warpAffine(picture, matrix, size)
    return cv2.copyTo(np.ascontiguousarray(laid[..., :3]), (laid[..., 3] > 250).astype(np.uint8), outside)


def _sample(
    crop: np.ndarray,
    face: int,
    landmarks: np.ndarray,
    landmarks_weight: np.ndarray,
    mesh: np.ndarray,
    mesh_weight: float,
    rotation: np.ndarray,
    rotation_weight: float,
) -> dict[str, torch.Tensor]:
    middle = (CROP_PX - 1) / 2
    box = (face_box(landmarks) - middle) / CROP_PX if face else np.zeros(4)
    return {
        "crop": torch.from_numpy(crop).permute(2, 0, 1),
        "face": torch.tensor(face, dtype=torch.float32),
        "box": torch.as_tensor(box, dtype=torch.float32),
        "landmarks": torch.as_tensor((landmarks - middle) / CROP_PX, dtype=torch.float32),
        "landmarks_weight": torch.as_tensor(landmarks_weight, dtype=torch.float32),
        "mesh": torch.as_tensor((mesh - (middle, middle, 0)) / CROP_PX, dtype=torch.float32),
        "mesh_weight": torch.tensor(mesh_weight, dtype=torch.float32),
        "rotation": torch.as_tensor(rotation, dtype=torch.float32),
        "rotation_weight": torch.tensor(rotation_weight, dtype=torch.float32),
    }
