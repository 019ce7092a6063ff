"""Training images of the detectors: scenes with faces of the wanted sizes, pasted crowds, empty photos."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from facegeom.geometry.boxes import iou, square
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.transforms import apply
from facegeom.image.crop import OUTSIDE
from facegeom_lab.datasets.training.augment import paste_occluder, recolour, spoil
from facegeom_lab.datasets.training.detection_photos import PhotoPyramid

LARGEST_SCALE = 2.0
"""Largest factor by which faces are enlarged."""

OCCLUDED = 0.25
"""Fraction of the faces that are partly occluded."""

CROWDED = 0.4
"""Fraction of the scenes that are crowds, where there are any."""

FRAMED = 0.3
"""Fraction of the images with faces of which a part lies beyond an edge or under a flat cover."""

SPOILED = 0.35
"""Fraction of the images in little or coloured light, blurred or noisy."""

SMEARED = 0.15
"""Blur reaches to either side by at most this fraction of the smallest face."""

LEAST_FRAMED_PX = 48.0
"""Least side of a face that is cut at all sides."""

LEAST_LEFT = 0.4
"""An image is cut or covered at one side of a face where more than this fraction of it, about, is left."""


def transformed_squares(boxes_xyxy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the squares (F, 4) of face boxes (F, 4) after a transform; a rotation does not widen them."""
    squares = square(boxes_xyxy)
    centre = apply(matrix, (squares[:, :2] + squares[:, 2:]) / 2)
    half = np.sqrt(abs(np.linalg.det(matrix[:, :2]))) * (squares[:, 2:] - squares[:, :2]) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


class DetectionImages(Dataset):
    """Endless random images (3, S, S) uint8 with up to 32 face squares.

    Samples: ``image``; ``boxes`` (32, 4), NaN in unused rows; ``sure`` (32,), False for boxes that are
    neither face nor background.

    Args:
        photos: scenes with faces.
        empty: photos without a face.
        tiles: close-ups of one face each, for pasting.
        sides_px: smallest and largest side of the faces, log-uniform between.
        size_px: side S of the images.
        length: samples of an epoch.
        crowds: scenes of which a part of the faces is not sure.
        framed: fraction of the images with faces of which a part lies beyond an edge or under a flat cover.
        spoiled: fraction of the images in little or coloured light, blurred or noisy.
    """

    FACES = 32

    def __init__(
        self,
        photos: Sequence[PhotoPyramid],
        empty: Sequence[PhotoPyramid],
        tiles: Sequence[PhotoPyramid],
        sides_px: tuple[float, float],
        size_px: int = 112,
        length: int = 12800,
        crowds: Sequence[PhotoPyramid] = (),
        framed: float = 0.0,
        spoiled: float = 0.0,
    ) -> None:
        self.photos, self.empty, self.tiles = photos, empty, tiles
        self.sides_px, self.size_px, self.length = sides_px, size_px, length
        self.crowds = [photo for photo in crowds if photo.sure.any()]
        self.framed, self.spoiled = framed, spoiled

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        cv2.setNumThreads(0)
        rng = np.random.default_rng(torch.randint(2**31, (3,)).tolist())
        image, boxes, sure, kind = self._empty(rng), np.zeros((0, 4)), np.zeros(0, bool), rng.random()
        if rng.random() < 0.3:
            image = self._paste_distractor(rng, image)
        if kind < 0.55:
            image, boxes, sure = self._scene(rng, image)
        elif kind < 0.8:
            image, boxes = self._crowd(rng, image)
            sure = np.ones(len(boxes), bool)
        if rng.random() < 0.5:
            image, boxes = (
                image[:, ::-1],
                boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (self.size_px - 1, 0) * 2,
            )
        image = self._occlude(rng, np.ascontiguousarray(image), boxes)
        image = self._recolour(rng, image)
        if self.spoiled and rng.random() < self.spoiled:
            smallest = (boxes[:, 2] - boxes[:, 0]).min(initial=self.size_px)
            image = spoil(rng, image, SMEARED * smallest)
        if rng.random() < self.framed:
            image, boxes, sure = frame(rng, image, boxes, sure)
        seen = np.flatnonzero(((boxes[:, 2:] > 0) & (boxes[:, :2] < self.size_px)).all(axis=1))[: self.FACES]
        padded, known = np.full((self.FACES, 4), np.nan, np.float32), np.zeros(self.FACES, bool)
        padded[: len(seen)], known[: len(seen)] = boxes[seen], sure[seen]
        return {
            "image": torch.from_numpy(image).permute(2, 0, 1),
            "boxes": torch.from_numpy(padded),
            "sure": torch.from_numpy(known),
        }

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

    def _scene(
        self, rng: np.random.Generator, image: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Paste a scene with one of its faces at the wanted size over the image."""
        photos = self.crowds if self.crowds and rng.random() < CROWDED else self.photos
        photo = photos[int(rng.integers(len(photos)))]
        squares = square(photo.boxes_xyxy[photo.sure])
        turn_deg = float(np.clip(rng.normal(0, 18), -60, 60)) if rng.random() < 0.6 else 0.0
        chosen = squares[rng.integers(len(squares))]
        matrix = self._transform(rng, chosen, self._side(rng, chosen[2] - chosen[0]), turn_deg)
        return self._paste(photo, matrix, image), transformed_squares(photo.boxes_xyxy, matrix), photo.sure

    def _paste(self, photo: PhotoPyramid, matrix: np.ndarray, image: np.ndarray) -> np.ndarray:
        alpha = photo.levels[0][..., 3] if photo.levels[0].shape[2] == 4 else 255
        outline = PhotoPyramid(
            (np.full(photo.levels[0].shape[:2], alpha, np.uint8),), photo.boxes_xyxy, photo.sure
        )
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


def frame(
    rng: np.random.Generator, image: np.ndarray, boxes_xyxy: np.ndarray, sure: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut one of the faces at one side, or at all, as a photo's edge or a flat cover does.

    What lies beyond gets one colour; in half of the images what is left moves into the upper left corner, as
    the detector sees a photo that ends there.

    Args:
        rng: random numbers.
        image: (S, S, 3) uint8.
        boxes_xyxy: (F, 4) squares, pixels.
        sure: (F,).

    Returns:
        The image, the squares of the faces, and which are sure: none whose centre is covered.
    """
    size_px = len(image)
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    inside = np.flatnonzero(((centres > 0) & (centres < size_px - 1)).all(axis=1) & sure)
    if not len(inside):
        return image, boxes_xyxy, sure
    box = boxes_xyxy[rng.choice(inside)]
    side = box[2] - box[0]
    cuts = rng.uniform((0.02, 0, 0.02, 0), (0.3, 0.24, 0.3, 0.24))  # left, top, right, bottom
    if side < LEAST_FRAMED_PX or rng.random() < 0.7:
        middle = (box[:2] + box[2:]) / 2 / size_px
        wide = np.flatnonzero(np.concatenate([1 - middle, middle]) > LEAST_LEFT)
        edge = int(rng.choice(wide))
        least = 0.14 if edge % 2 == 0 else 0.08  # faces are narrower than their squares
        cuts = np.where(np.arange(4) == edge, rng.uniform(least, 0.46), -np.inf)
    seen = np.concatenate([box[:2] + cuts[:2] * side, box[2:] - cuts[2:] * side])
    x0, y0, x1, y1 = np.clip(np.round(seen), 0, size_px).astype(int)
    if x1 - x0 < 8 or y1 - y0 < 8:
        return image, boxes_xyxy, sure
    part = image[y0:y1, x0:x1]
    framed = np.empty_like(image)
    framed[:] = _fill(rng, part, cuts)
    corner = (0, 0) if rng.random() < 0.5 else (y0, x0)
    framed[corner[0] : corner[0] + y1 - y0, corner[1] : corner[1] + x1 - x0] = part
    sure = sure & ((centres > (x0 - 0.5, y0 - 0.5)) & (centres < (x1 - 0.5, y1 - 0.5))).all(axis=1)
    return framed, boxes_xyxy + np.tile((corner[1] - x0, corner[0] - y0), 2), sure


def _fill(rng: np.random.Generator, part: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Draw a colour (3,): the detector's grey, black, white, any, or the mean of the edge."""
    kind = rng.random()
    if kind < 0.5:
        return np.full(3, (OUTSIDE, OUTSIDE, 0, 255)[int(kind * 8)])
    if kind < 0.65:
        return rng.integers(0, 256, 3)
    edge = int(np.argmax(cuts))
    return (part[:, 0], part[0], part[:, -1], part[-1])[edge].mean(axis=0)
