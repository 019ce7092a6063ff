"""Training images of the detectors: scenes with faces of the wanted sizes, pasted crowds, empty photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm import tqdm

from facegeom.geometry.boxes import face_box, iou, square
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.transforms import apply
from facegeom_lab.datasets.published.pack import background_files, read_images, scene_entries
from facegeom_lab.datasets.training.augment import paste_occluder, recolour
from facegeom_lab.datasets.training.face_labels import profiled_faces, real_faces, rendered_faces

LARGEST_SCALE = 2.0
"""Largest factor by which faces are enlarged."""

OCCLUDED = 0.25
"""Fraction of the faces that are partly occluded."""


@dataclass(frozen=True)
class PhotoPyramid:
    """A photo with its image pyramid and the boxes of its faces.

    Attributes:
        levels: RGB or RGBA images, each half the size of the one before; alpha is 0 outside the photo.
        boxes_xyxy: (F, 4) faces, pixels of the first level.
    """

    levels: tuple[np.ndarray, ...]
    boxes_xyxy: np.ndarray

    @classmethod
    def build(cls, image: np.ndarray, boxes_xyxy: np.ndarray) -> "PhotoPyramid":
        """Build the levels down to 24 pixels."""
        levels = [image]
        while min(levels[-1].shape[:2]) >= 48:
            height, width = levels[-1].shape[:2]
            levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
        return cls(tuple(levels), np.asarray(boxes_xyxy, np.float64).reshape(-1, 4))

    def warp(self, matrix: np.ndarray, size_px: int) -> np.ndarray:
        """Apply the transform (2, 3), without aliasing: (size, size, C), black where the photo ends."""
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        level = int(np.clip(np.floor(np.log2(1 / max(scale, 1e-6)) + 0.3), 0, len(self.levels) - 1))
        source = self.levels[level]
        ratio = self.levels[0].shape[1] / source.shape[1], self.levels[0].shape[0] / source.shape[0]
        enlarge = np.array([[ratio[0], 0, ratio[0] / 2 - 0.5], [0, ratio[1], ratio[1] / 2 - 0.5], [0, 0, 1]])
        return cv2.warpAffine(source, matrix @ enlarge, (size_px, size_px))


def load_scenes(data: Path, split: str) -> list[PhotoPyramid]:
    """Load the scenes of a split with all their labelled faces, the human's and the teacher's."""
    photos = []
    for entry in tqdm(scene_entries(data, split), desc=f"{split} scenes"):
        (image,) = read_images([data / "scenes" / entry["file"]])
        boxes = [face["box"] for face in entry["faces"]]
        photos.append(PhotoPyramid.build(image, np.array(boxes)))
    return photos


def load_empty(data: Path, split: str) -> list[PhotoPyramid]:
    """Load the photos without a face of a split."""
    return [
        PhotoPyramid.build(image, np.zeros((0, 4))) for image in read_images(background_files(data, split))
    ]


def load_tiles(data: Path, labels: Path, rendered: Sequence[Path]) -> list[PhotoPyramid]:
    """Load close-ups of one face each, for pasting: the train split of ``data/faces`` and synthetic faces.

    Args:
        data: the data pack.
        labels: mesh labels.
        rendered: shards of ``facegeom lab synth`` and of ``facegeom lab profile``.
    """
    images, table = real_faces(data, labels, "train")
    tiles = []
    for image, landmarks in zip(images, table.landmarks, strict=True):
        rows, columns = (
            np.flatnonzero(image[..., 3].any(axis=1)),
            np.flatnonzero(image[..., 3].any(axis=0)),
        )
        photo = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, :3]
        box = face_box(landmarks) - (columns[0], rows[0]) * 2
        tiles.append(PhotoPyramid.build(np.ascontiguousarray(photo), box))
    for shard in rendered:
        read = profiled_faces if shard.name.startswith("profile") else rendered_faces
        images, table = read([shard])
        tiles += [PhotoPyramid.build(*pair) for pair in zip(images, face_box(table.landmarks), strict=True)]
    return tiles


def transformed_squares(boxes_xyxy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the squares (F, 4) of face boxes (F, 4) after a transform; a rotation does not widen them."""
    squares = square(boxes_xyxy)
    centre = apply(matrix, (squares[:, :2] + squares[:, 2:]) / 2)
    half = np.sqrt(abs(np.linalg.det(matrix[:, :2]))) * (squares[:, 2:] - squares[:, :2]) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


class DetectionImages(Dataset):
    """Endless random images (3, S, S) uint8 with up to 16 face squares.

    Samples: ``image``; ``boxes`` (16, 4), NaN in unused rows.

    Args:
        photos: scenes with faces.
        empty: photos without a face.
        tiles: close-ups of one face each, for pasting.
        sides_px: smallest and largest side of the faces, log-uniform between.
        size_px: side S of the images.
        length: samples of an epoch.
    """

    FACES = 16

    def __init__(
        self,
        photos: Sequence[PhotoPyramid],
        empty: Sequence[PhotoPyramid],
        tiles: Sequence[PhotoPyramid],
        sides_px: tuple[float, float],
        size_px: int = 112,
        length: int = 12800,
    ) -> None:
        self.photos, self.empty, self.tiles = photos, empty, tiles
        self.sides_px, self.size_px, self.length = sides_px, size_px, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        cv2.setNumThreads(0)
        rng = np.random.default_rng(torch.randint(2**31, (3,)).tolist())
        image, boxes, kind = self._empty(rng), np.zeros((0, 4)), rng.random()
        if rng.random() < 0.3:
            image = self._paste_distractor(rng, image)
        if kind < 0.55:
            image, boxes = self._scene(rng, image)
        elif kind < 0.8:
            image, boxes = self._crowd(rng, image)
        if rng.random() < 0.5:
            image, boxes = (
                image[:, ::-1],
                boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (self.size_px - 1, 0) * 2,
            )
        image = self._occlude(rng, np.ascontiguousarray(image), boxes)
        image = self._recolour(rng, image)
        padded = np.full((self.FACES, 4), np.nan, np.float32)
        padded[: len(boxes)] = boxes[: self.FACES]
        return {"image": torch.from_numpy(image).permute(2, 0, 1), "boxes": torch.from_numpy(padded)}

    def _side(self, rng: np.random.Generator, own: float) -> float:
        """Draw a side for a face of ``own`` pixels, which is enlarged by ``LARGEST_SCALE`` at most."""
        low, high = self.sides_px
        return float(np.exp(rng.uniform(np.log(low), np.log(np.clip(LARGEST_SCALE * own, low, high)))))

    def _transform(
        self, rng: np.random.Generator, box: np.ndarray, side: float, turn_deg: float
    ) -> np.ndarray:
        """Return the transform (2, 3) of a square to the given side and rotation, at a random position."""
        linear = rotation_from_angles(0, 0, turn_deg)[:2, :2] * side / (box[2] - box[0])
        centre = rng.uniform(side / 2, self.size_px - side / 2, 2)
        return np.concatenate([linear, (centre - linear @ (box[:2] + box[2:]) / 2)[:, None]], axis=1)

    def _scene(self, rng: np.random.Generator, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Paste a scene with one of its faces at the wanted size over the image."""
        photo = self.photos[int(rng.integers(len(self.photos)))]
        squares = square(photo.boxes_xyxy)
        turn_deg = float(np.clip(rng.normal(0, 18), -60, 60)) if rng.random() < 0.6 else 0.0
        chosen = squares[rng.integers(len(squares))]
        matrix = self._transform(rng, chosen, self._side(rng, chosen[2] - chosen[0]), turn_deg)
        return self._paste(photo, matrix, image), transformed_squares(photo.boxes_xyxy, matrix)

    def _paste(self, photo: PhotoPyramid, matrix: np.ndarray, image: np.ndarray) -> np.ndarray:
        alpha = photo.levels[0][..., 3] if photo.levels[0].shape[2] == 4 else 255
        outline = PhotoPyramid((np.full(photo.levels[0].shape[:2], alpha, np.uint8),), photo.boxes_xyxy)
        mask = (outline.warp(matrix, self.size_px) > 127).astype(np.uint8)
        return cv2.copyTo(np.ascontiguousarray(photo.warp(matrix, self.size_px)[..., :3]), mask, image)

    def _empty(self, rng: np.random.Generator) -> np.ndarray:
        photo = self.empty[int(rng.integers(len(self.empty)))]
        height, width = photo.levels[0].shape[:2]
        fill = self.size_px / min(height, width)
        scale = float(np.exp(rng.uniform(np.log(fill), np.log(max(1.2, fill)))))
        offset = [-rng.uniform(0, max(1, scale * side - self.size_px)) for side in (width, height)]
        return photo.warp(np.array([[scale, 0, offset[0]], [0, scale, offset[1]]]), self.size_px)

    def _paste_distractor(self, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
        """Paste a rotated piece of an empty photo, so that pasted edges do not predict a face."""
        photo = self.empty[int(rng.integers(len(self.empty)))]
        left, top = rng.uniform(0, 0.5, 2) * photo.levels[0].shape[1::-1]
        side = rng.uniform(0.2, 0.45) * min(photo.levels[0].shape[:2])
        piece = photo.levels[0][int(top) : int(top + side) + 1, int(left) : int(left + side) + 1]
        tile = PhotoPyramid.build(np.ascontiguousarray(piece), np.zeros((0, 4)))
        box = np.array([0.0, 0, side, side]) - 0.5
        return self._paste(tile, self._transform(rng, box, self._side(rng, side), rng.normal(0, 25)), image)

    def _crowd(self, rng: np.random.Generator, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Paste 1 to 6 close-ups that do not occlude one another's face."""
        boxes = np.zeros((0, 4))
        for _ in range(rng.integers(1, 7)):
            tile = self.tiles[int(rng.integers(len(self.tiles)))]
            turn_deg = float(np.clip(rng.normal(0, 25), -80, 80))
            own = square(tile.boxes_xyxy)[0]
            matrix = self._transform(rng, own, self._side(rng, own[2] - own[0]), turn_deg)
            new = transformed_squares(tile.boxes_xyxy, matrix)
            if len(boxes) and iou(square(new, 1.8), square(boxes, 1.8)).max() > 0:
                continue
            image = self._paste(tile, matrix, image)
            boxes = np.concatenate([boxes, new])
        return image, boxes

    def _occlude(self, rng: np.random.Generator, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Cover up to two thirds of some of the faces by a piece of an empty photo, or a colour."""
        photos = [photo.levels[0] for photo in self.empty]
        for left, top, right, _ in boxes[rng.random(len(boxes)) < OCCLUDED]:
            side = right - left
            extent = np.array([rng.uniform(0.3, 0.65), rng.uniform(0.4, 1.2)])[rng.permutation(2)] * side
            corner = np.array([left, top]) + rng.uniform(0, side, 2) - extent / 2
            low, high = np.clip([corner, corner + extent], 0, self.size_px).round().astype(int)
            if (high > low).all():
                paste_occluder(rng, image[low[1] : high[1], low[0] : high[0]], photos, 0.4)
        return image

    @staticmethod
    def _recolour(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
        if rng.random() < 0.8:
            image = recolour(rng, image)
        if rng.random() < 0.2:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.8))
        return image
