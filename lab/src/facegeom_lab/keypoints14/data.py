"""Tables of points, labelled images, and the samples of training and validation."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from facegeom.errors import InputError
from facegeom.export.files import write
from facegeom.geometry.transforms import apply, resize_points
from facegeom_lab.datasets.published import facepoints14
from facegeom_lab.datasets.published.facepoints14 import POINTS
from facegeom_lab.datasets.training.augment import degrade
from facegeom_lab.keypoints14.task import Keypoints14Recipe
from facegeom_lab.keypoints14.views import SquareImages, mirror, random_map, warp

MIN_POINTS = 2
"""Fewest annotated points of an image that is used."""

BORDERS = (cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101, cv2.BORDER_CONSTANT)
"""What lies beyond an image in looser crops of it: nothing of the given data shows that."""

GT = "gt.csv"
"""Name of the table beside a folder of images."""


def read_table(path: Path) -> dict[str, np.ndarray]:
    """Read a table: 28 numbers x1, y1, …, x14, y14 by file name, NaN where a point is not annotated.

    Raises:
        InputError: the file is missing or damaged.
    """
    return {name: points.reshape(-1) for name, points in facepoints14.read_table(path).items()}


def write_table(path: Path, points: Mapping[str, np.ndarray]) -> None:
    """Write 28 numbers by file name with three decimals; fields of points not annotated stay empty.

    Raises:
        OutputError: the file cannot be written.
    """
    stream = StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(facepoints14.HEADER)
    for name, numbers in points.items():
        table.writerow([name, *("" if np.isnan(number) else f"{number:.3f}" for number in numbers)])
    write(path, stream.getvalue().encode())


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Image files with their points, sorted by name.

    Attributes:
        paths: N files.
        points: (N, 14, 2) pixels of the images, NaN where not annotated.
    """

    paths: list[Path]
    points: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, rows: Sequence[int]) -> "LabelledImages":
        """Return some of the images."""
        return LabelledImages([self.paths[row] for row in rows], self.points[list(rows)])


def labelled_images(train_gt: Mapping[str, np.ndarray] | str | Path, folder: Path) -> LabelledImages:
    """Collect the images that have points.

    Args:
        train_gt: 28 numbers by file name, or the path of a table of them.
        folder: folder of the images.

    Raises:
        InputError: not 28 numbers, an image is missing, or too few images have points.
    """
    table = train_gt if isinstance(train_gt, Mapping) else read_table(Path(train_gt))
    points = {name: _points(name, numbers) for name, numbers in sorted(table.items())}
    points = {name: each for name, each in points.items() if _annotated(each) >= MIN_POINTS}
    if len(points) < 2:
        raise InputError(f"expected two or more images with points to train on, got {len(points)}")
    missing = [name for name in points if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"expected the images of the table in {folder}, but {len(missing)} are missing, "
            f"first {missing[0]!r}; check the folder"
        )
    return LabelledImages([folder / name for name in points], np.stack(list(points.values())))


def _points(name: str, numbers: np.ndarray) -> np.ndarray:
    values = np.asarray(numbers, np.float64)
    if values.shape != (2 * POINTS,) or np.isinf(values).any():
        raise InputError(
            f"expected 28 numbers x1, y1, …, x14, y14 of {name!r}, NaN where a point is not annotated, "
            f"got {values.size} of shape {values.shape}"
        )
    points = values.reshape(POINTS, 2)
    return np.where(np.isnan(points).any(axis=1, keepdims=True), np.nan, points)


def _annotated(points: np.ndarray) -> int:
    return int(np.isfinite(points).all(axis=1).sum())


def split(count: int, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Split row numbers at random into training and validation, at least one of each."""
    order = np.random.default_rng(seed).permutation(count).tolist()
    held_out = min(max(round(fraction * count), 1), count - 1)
    return order[held_out:], order[:held_out]


class TrainingViews(Dataset):
    """Random views of images, determined by seed, epoch and index.

    Args:
        images: square images.
        points: (N, 14, 2) pixels of the original images.
        recipe: strength of the augmentation, and the seed.
        epoch: number of the epoch.
    """

    def __init__(
        self, images: SquareImages, points: np.ndarray, recipe: Keypoints14Recipe, epoch: int
    ) -> None:
        self.images, self.points, self.recipe, self.epoch = images, points, recipe, epoch

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        cv2.setNumThreads(0)
        rng = np.random.default_rng((self.recipe.seed, self.epoch, index))
        square, size_wh = self.images[index]
        matrix = random_map(rng, self.points[index], size_wh, self.recipe)
        border = BORDERS[int(rng.integers(len(BORDERS)))] if self.recipe.loose_share else BORDERS[0]
        crop = warp(square, size_wh, matrix, self.recipe.input_px, border)
        points = apply(matrix, self.points[index])
        if rng.random() < 0.5:
            crop, points = mirror(crop, points)
        if rng.random() < self.recipe.change_share:
            crop = degrade(rng, crop, self._others(rng))
        return sample(crop, points)

    def _others(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Draw another training image as the source of occlusions."""
        return [self.images[int(rng.integers(len(self.images)))][0]]


class PlainViews(Dataset):
    """Whole images, as in detection.

    Args:
        images: square images of the network's input side.
        points: (N, 14, 2) pixels of the original images.
    """

    def __init__(self, images: SquareImages, points: np.ndarray) -> None:
        self.images, self.points = images, points

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        square, size_wh = self.images[index]
        scale = len(square) / np.array(size_wh)
        return sample(square, resize_points(self.points[index], scale))


def sample(crop: np.ndarray, points: np.ndarray) -> dict[str, torch.Tensor]:
    """Convert a crop (S, S, 3) and its points (14, 2), pixels, to the network's input and output."""
    units = (points + 0.5) / len(crop) - 0.5
    return {
        "image": torch.from_numpy(np.array(crop.transpose(2, 0, 1))),
        "points": torch.as_tensor(units, dtype=torch.float32),
    }
