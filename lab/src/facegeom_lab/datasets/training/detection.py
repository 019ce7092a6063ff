"""Training pictures of the detectors: faces of the wanted sizes in scenes, pasted crowds, empty photos."""

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
from facegeom_lab.datasets.training.augment import lay_over, recolour
from facegeom_lab.datasets.training.face_labels import profiled_faces, real_faces, rendered_faces

LARGEST_SCALE = 2.0
"""Faces are enlarged to this at most."""

COVERED = 0.25
"""Share of the faces that something lies over."""


@dataclass(frozen=True)
class Photo:
    """A photo with its halved copies and the boxes of its faces.

    Attributes:
        levels: RGB or RGBA pictures, each half the size of the one before; nothing is where alpha is 0.
        boxes_xyxy: (F, 4) faces, pixels of the first level.
    """

    levels: tuple[np.ndarray, ...]
    boxes_xyxy: np.ndarray

    @classmethod
    def of(cls, picture: np.ndarray, boxes_xyxy: np.ndarray) -> "Photo":
        """Build the halved copies down to 24 pixels."""
        levels = [picture]
        while min(levels[-1].shape[:2]) >= 48:
            height, width = levels[-1].shape[:2]
            levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
        return cls(tuple(levels), np.asarray(boxes_xyxy, np.float64).reshape(-1, 4))

    def cut(self, matrix: np.ndarray, size_px: int) -> np.ndarray:
        """The picture (size, size, C) that the map (2, 3) makes, antialiased; black where the photo ends."""
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        level = int(np.clip(np.floor(np.log2(1 / max(scale, 1e-6)) + 0.3), 0, len(self.levels) - 1))
        source = self.levels[level]
        ratio = self.levels[0].shape[1] / source.shape[1], self.levels[0].shape[0] / source.shape[0]
        enlarge = np.array([[ratio[0], 0, ratio[0] / 2 - 0.5], [0, ratio[1], ratio[1] / 2 - 0.5], [0, 0, 1]])
        return cv2.warpAffine(source, matrix @ enlarge, (size_px, size_px))


def load_scenes(data: Path, split: str) -> list[Photo]:
    """The scenes of a split with all their labelled faces, human and teacher's."""
    photos = []
    for entry in tqdm(scene_entries(data, split), desc=f"{split} scenes"):
        picture = cv2.imread(str(data / "scenes" / entry["file"]), cv2.IMREAD_COLOR)
        boxes = [face["box"] for face in entry["faces"]]
        photos.append(Photo.of(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.array(boxes)))
    return photos


def load_empty(data: Path, split: str) -> list[Photo]:
    """The photos without a face of a split."""
    return [Photo.of(picture, np.zeros((0, 4))) for picture in read_images(background_files(data, split))]


def load_tiles(data: Path, labels: Path, rendered: Sequence[Path]) -> list[Photo]:
    """Close pictures of one face each for pasting: the train split of ``data/faces`` and made faces.

    Args:
        data: the data pack.
        labels: mesh labels.
        rendered: shards of ``facegeom lab synth`` and of ``facegeom lab profile``.
    """
    pictures, table = real_faces(data, labels, "train")
    tiles = []
    for picture, landmarks in zip(pictures, table.landmarks, strict=True):
        rows, columns = (
            np.flatnonzero(picture[..., 3].any(axis=1)),
            np.flatnonzero(picture[..., 3].any(axis=0)),
        )
        photo = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, :3]
        box = face_box(landmarks) - (columns[0], rows[0]) * 2
        tiles.append(Photo.of(np.ascontiguousarray(photo), box))
    for shard in rendered:
        made = profiled_faces if shard.name.startswith("profile") else rendered_faces
        drawn, exact = made([shard])
        tiles += [Photo.of(*pair) for pair in zip(drawn, face_box(exact.landmarks), strict=True)]
    return tiles


def turned_boxes(boxes_xyxy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Squares (F, 4) around faces (F, 4) after a map: centres move, sides scale, no turn widens them."""
    squares = square(boxes_xyxy)
    centre = apply(matrix, (squares[:, :2] + squares[:, 2:]) / 2)
    half = np.sqrt(abs(np.linalg.det(matrix[:, :2]))) * (squares[:, 2:] - squares[:, :2]) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


class DetectionPictures(Dataset):
    """Endless squares (3, S, S) with up to 16 face squares.

    Args:
        photos: scenes with faces.
        empty: photos without a face.
        tiles: close pictures of one face each, for pasting.
        sides_px: smallest and largest side of the faces, drawn evenly on a logarithmic scale.
        size_px: side S of the squares.
        length: samples that make an epoch.
    """

    FACES = 16

    def __init__(
        self,
        photos: Sequence[Photo],
        empty: Sequence[Photo],
        tiles: Sequence[Photo],
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
        picture, boxes, kind = self._empty(rng), np.zeros((0, 4)), rng.random()
        if rng.random() < 0.3:
            picture = self._decoy(rng, picture)
        if kind < 0.55:
            picture, boxes = self._scene(rng, picture)
        elif kind < 0.8:
            picture, boxes = self._crowd(rng, picture)
        if rng.random() < 0.5:
            picture, boxes = (
                picture[:, ::-1],
                boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (self.size_px - 1, 0) * 2,
            )
        picture = self._covered(rng, np.ascontiguousarray(picture), boxes)
        picture = self._change(rng, picture)
        padded = np.full((self.FACES, 4), np.nan, np.float32)
        padded[: len(boxes)] = boxes[: self.FACES]
        return {"picture": torch.from_numpy(picture).permute(2, 0, 1), "boxes": torch.from_numpy(padded)}

    def _side(self, rng: np.random.Generator, own: float) -> float:
        """A side for a face that is ``own`` pixels in its photo, which enlarges it twice at most."""
        low, high = self.sides_px
        return float(np.exp(rng.uniform(np.log(low), np.log(np.clip(LARGEST_SCALE * own, low, high)))))

    def _map(self, rng: np.random.Generator, box: np.ndarray, side: float, turn_deg: float) -> np.ndarray:
        """The map that gives the face's square the side, the turn and a random place."""
        linear = rotation_from_angles(0, 0, turn_deg)[:2, :2] * side / (box[2] - box[0])
        place = rng.uniform(side / 2, self.size_px - side / 2, 2)
        return np.concatenate([linear, (place - linear @ (box[:2] + box[2:]) / 2)[:, None]], axis=1)

    def _scene(self, rng: np.random.Generator, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A scene, one of its faces at the wanted size; where it ends the picture shows."""
        photo = self.photos[int(rng.integers(len(self.photos)))]
        squares = square(photo.boxes_xyxy)
        turn_deg = float(np.clip(rng.normal(0, 18), -60, 60)) if rng.random() < 0.6 else 0.0
        chosen = squares[rng.integers(len(squares))]
        matrix = self._map(rng, chosen, self._side(rng, chosen[2] - chosen[0]), turn_deg)
        return self._paste(photo, matrix, picture), turned_boxes(photo.boxes_xyxy, matrix)

    def _paste(self, photo: Photo, matrix: np.ndarray, picture: np.ndarray) -> np.ndarray:
        alpha = photo.levels[0][..., 3] if photo.levels[0].shape[2] == 4 else 255
        whole = Photo((np.full(photo.levels[0].shape[:2], alpha, np.uint8),), photo.boxes_xyxy)
        mask = (whole.cut(matrix, self.size_px) > 127).astype(np.uint8)
        return cv2.copyTo(np.ascontiguousarray(photo.cut(matrix, self.size_px)[..., :3]), mask, picture)

    def _empty(self, rng: np.random.Generator) -> np.ndarray:
        photo = self.empty[int(rng.integers(len(self.empty)))]
        height, width = photo.levels[0].shape[:2]
        fill = self.size_px / min(height, width)
        scale = float(np.exp(rng.uniform(np.log(fill), np.log(max(1.2, fill)))))
        offset = [-rng.uniform(0, max(1, scale * side - self.size_px)) for side in (width, height)]
        return photo.cut(np.array([[scale, 0, offset[0]], [0, scale, offset[1]]]), self.size_px)

    def _decoy(self, rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
        """Paste a turned piece of an empty photo: the edges of what is pasted must not mean a face."""
        photo = self.empty[int(rng.integers(len(self.empty)))]
        left, top = rng.uniform(0, 0.5, 2) * photo.levels[0].shape[1::-1]
        side = rng.uniform(0.2, 0.45) * min(photo.levels[0].shape[:2])
        piece = photo.levels[0][int(top) : int(top + side) + 1, int(left) : int(left + side) + 1]
        tile = Photo.of(np.ascontiguousarray(piece), np.zeros((0, 4)))
        whole = np.array([0.0, 0, side, side]) - 0.5
        return self._paste(tile, self._map(rng, whole, self._side(rng, side), rng.normal(0, 25)), picture)

    def _crowd(self, rng: np.random.Generator, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Paste 1 to 6 close pictures that do not hide one another's face."""
        boxes = np.zeros((0, 4))
        for _ in range(rng.integers(1, 7)):
            tile = self.tiles[int(rng.integers(len(self.tiles)))]
            turn_deg = float(np.clip(rng.normal(0, 25), -80, 80))
            own = square(tile.boxes_xyxy)[0]
            matrix = self._map(rng, own, self._side(rng, own[2] - own[0]), turn_deg)
            new = turned_boxes(tile.boxes_xyxy, matrix)
            if len(boxes) and iou(square(new, 1.8), square(boxes, 1.8)).max() > 0:
                continue
            picture = self._paste(tile, matrix, picture)
            boxes = np.concatenate([boxes, new])
        return picture, boxes

    def _covered(self, rng: np.random.Generator, picture: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Lay a piece of an empty photo, or a colour, over up to two thirds of some of the faces."""
        photos = [photo.levels[0] for photo in self.empty]
        for left, top, right, _ in boxes[rng.random(len(boxes)) < COVERED]:
            side = right - left
            extent = np.array([rng.uniform(0.3, 0.65), rng.uniform(0.4, 1.2)])[rng.permutation(2)] * side
            corner = np.array([left, top]) + rng.uniform(0, side, 2) - extent / 2
            low, high = np.clip([corner, corner + extent], 0, self.size_px).round().astype(int)
            if (high > low).all():
                lay_over(rng, picture[low[1] : high[1], low[0] : high[0]], photos, 0.4)
        return picture

    @staticmethod
    def _change(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
        if rng.random() < 0.8:
            picture = recolour(rng, picture)
        if rng.random() < 0.2:
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.8))
        return picture
