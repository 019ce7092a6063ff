"""Photos that the detectors' training images are made of: whole photos, empty ones, close-ups for pasting."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from facegeom import FaceAnalyzer
from facegeom.geometry.boxes import face_box, iou, square
from facegeom_lab.datasets.published import pack
from facegeom_lab.datasets.published.pack import read_images, scene_entries
from facegeom_lab.datasets.training.face_labels import profiled_faces, real_faces, rendered_faces

SURE_PX = 18.0
"""Faces of crowds below this side are not sure: neither face nor background."""

SUSPECT_SCORE, SCENE_SUSPECT_SCORE = 0.3, 0.6
"""Least scores at which facegeom's own answer is taken for a face without a label, in crowds and in scenes:
these have few, and a hand or a bow tie that looks like one is worth learning."""

MASKED = 0.25
"""Fraction of the close-ups that get a drawn mask."""

_CROWD_SIDE = np.array([0.585, 0.597])
"""Side of our square over width and height of a crowd's box: least squares over 796 faces found in both."""

_CROWD_SHIFT = np.array([-0.02, -0.11])
"""Our centre beside that of a crowd's box, in sides of our square; these boxes begin at the brows."""


@dataclass(frozen=True)
class PhotoPyramid:
    """A photo with its image pyramid and the boxes of its faces.

    Attributes:
        levels: RGB or RGBA images, each half the size of the one before; alpha is 0 outside the photo.
        boxes_xyxy: (F, 4) faces, pixels of the first level.
        sure: (F,) False for boxes that are to count neither as a face nor as background.
    """

    levels: tuple[np.ndarray, ...]
    boxes_xyxy: np.ndarray
    sure: np.ndarray

    @classmethod
    def build(
        cls, image: np.ndarray, boxes_xyxy: np.ndarray, sure: np.ndarray | None = None
    ) -> "PhotoPyramid":
        """Build the levels down to 24 pixels."""
        levels = [image]
        while min(levels[-1].shape[:2]) >= 48:
            height, width = levels[-1].shape[:2]
            levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
        boxes_xyxy = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        return cls(tuple(levels), boxes_xyxy, np.ones(len(boxes_xyxy), bool) if sure is None else sure)

    def warp(self, matrix: np.ndarray, size_px: int) -> np.ndarray:
        """Apply the transform (2, 3), without aliasing: (size, size, C), black where the photo ends."""
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        level = int(np.clip(np.floor(np.log2(1 / max(scale, 1e-6)) + 0.3), 0, len(self.levels) - 1))
        source = self.levels[level]
        ratio = self.levels[0].shape[1] / source.shape[1], self.levels[0].shape[0] / source.shape[0]
        enlarge = np.array([[ratio[0], 0, ratio[0] / 2 - 0.5], [0, ratio[1], ratio[1] / 2 - 0.5], [0, 0, 1]])
        return cv2.warpAffine(source, matrix @ enlarge, (size_px, size_px))


def load_scenes(data: Path, split: str, analyzer: FaceAnalyzer | None = None) -> list[PhotoPyramid]:
    """Load the scenes of a split with all their labelled faces, the human's and the teacher's.

    What the analyzer, if there is one, takes for faces without a label is not sure.
    """
    photos = []
    for entry in tqdm(scene_entries(data, split), desc=f"{split} scenes"):
        (image,) = read_images([data / "scenes" / entry["file"]])
        boxes = np.array([face["box"] for face in entry["faces"]], np.float64).reshape(-1, 4)
        suspects = _suspects(analyzer, image, square(boxes), SCENE_SUSPECT_SCORE) if analyzer else boxes[:0]
        sure = np.arange(len(boxes) + len(suspects)) < len(boxes)
        photos.append(PhotoPyramid.build(image, np.concatenate([boxes, suspects]), sure))
    return photos


def _suspects(analyzer: FaceAnalyzer, image: np.ndarray, known: np.ndarray, least: float) -> np.ndarray:
    """Return boxes (S, 4) that the analyzer finds beside the known squares (F, 4)."""
    found = analyzer(image, min_score=least).box_xyxy.astype(np.float64)
    return found[(iou(found, known) < 0.2).all(axis=1)]


def load_empty(data: Path, split: str) -> list[PhotoPyramid]:
    """Load the photos without a face of a split: natural scenes, repeated to be half of all, free ones."""
    scenes, free = (
        [PhotoPyramid.build(image, np.zeros((0, 4))) for image in read_images(files)]
        for files in (pack.background_files(data, split), pack.free_background_files(data, split))
    )
    return scenes * max(1, len(free) // len(scenes)) + free


def load_crowds(data: Path, split: str, analyzer: FaceAnalyzer) -> list[PhotoPyramid]:
    """Load the crowds of a split, their boxes as our squares.

    Not sure are faces of less than ``SURE_PX``, and what the analyzer takes for faces without a label.
    """
    photos = []
    for photo in tqdm(pack.crowd_photos(data, split), desc=f"{split} crowds"):
        (image,) = read_images([photo.path])
        squares = crowd_squares(photo.box_xyxy)
        suspects = _suspects(analyzer, image, squares, SUSPECT_SCORE)
        sure = np.concatenate([squares[:, 2] - squares[:, 0] >= SURE_PX, np.zeros(len(suspects), bool)])
        photos.append(PhotoPyramid.build(image, np.concatenate([squares, suspects]), sure))
    return photos


def crowd_squares(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Return our squares (F, 4) for the boxes (F, 4) of crowds."""
    size = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    side = (size @ _CROWD_SIDE)[:, None]
    centre = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2 + _CROWD_SHIFT * side
    return np.concatenate([centre - side / 2, centre + side / 2], axis=1)


def load_tiles(data: Path, labels: Path, rendered: Sequence[Path]) -> list[PhotoPyramid]:
    """Load close-ups of one face each, for pasting: the train split of ``data/faces`` and synthetic faces.

    A part of them gets a drawn mask.

    Args:
        data: the data pack.
        labels: mesh labels.
        rendered: shards of ``facegeom lab synth`` and of ``facegeom lab profile``.
    """
    rng = np.random.default_rng(0)
    images, table = real_faces(data, labels, "train")
    tiles = []
    for image, landmarks in zip(images, table.landmarks, strict=True):
        rows, columns = (
            np.flatnonzero(image[..., 3].any(axis=1)),
            np.flatnonzero(image[..., 3].any(axis=0)),
        )
        image = masked(rng, image, landmarks)
        photo = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, :3]
        box = face_box(landmarks) - (columns[0], rows[0]) * 2
        tiles.append(PhotoPyramid.build(np.ascontiguousarray(photo), box))
    for shard in rendered:
        read = profiled_faces if shard.name.startswith("profile") else rendered_faces
        images, table = read([shard])
        for image, landmarks in zip(images, table.landmarks, strict=True):
            tiles.append(PhotoPyramid.build(masked(rng, image, landmarks), face_box(landmarks)))
    return tiles


def masked(rng: np.random.Generator, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Draw a mask on a part of the images."""
    return draw_mask(rng, image, landmarks) if rng.random() < MASKED else image


def draw_mask(rng: np.random.Generator, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Draw a mask of one colour, shaded as the face is, from the nose's bridge to the chin.

    Args:
        rng: random numbers.
        image: (H, W, 3 or 4) uint8; an alpha stays.
        landmarks: (68, 2) pixels.
    """
    top = int(rng.integers(28, 31))
    points = landmarks[[*range(int(rng.integers(1, 4)), 14), top]].astype(np.float64)
    points += (points - points.mean(axis=0)) * rng.uniform(0, 0.06)
    area = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(area, cv2.convexHull(np.round(points * 16).astype(np.int32)), 255, cv2.LINE_AA, 4)
    alpha = area[..., None] / 255.0
    if not area.any():
        return image
    light = cv2.GaussianBlur(cv2.cvtColor(image[..., :3], cv2.COLOR_RGB2GRAY), (0, 0), len(image) / 40)
    shade = 1 + rng.uniform(0.3, 1) * (light / max(1.0, float(light[area > 0].mean())) - 1)
    common = ((170, 200, 225), (235, 235, 235), (35, 35, 40), (120, 160, 200))
    kind = int(rng.integers(len(common) + 2))
    colour = common[kind] if kind < len(common) else rng.integers(0, 256, 3)
    cloth = np.clip(shade[..., None] * np.array(colour), 0, 255)
    drawn = image.copy()
    drawn[..., :3] = np.round(alpha * cloth + (1 - alpha) * image[..., :3])
    return drawn
