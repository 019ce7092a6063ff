"""What the training is given, checked; its samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from facegeom.errors import InputError
from facegeom.geometry.transforms import apply
from facegeom_lab.datasets.published.facepoints14 import POINTS
from facegeom_lab.datasets.training.augment import degrade
from facegeom_lab.keypoints14.pictures import Squares
from facegeom_lab.keypoints14.recipe import Keypoints14Recipe
from facegeom_lab.keypoints14.table import read_table
from facegeom_lab.keypoints14.views import mirrored, random_map, warp

LEAST_POINTS = 2
"""Annotated points that a picture needs to be of use."""


@dataclass(frozen=True, eq=False)
class Given:
    """Pictures with their points, sorted by name.

    Attributes:
        paths: (N,) of the pictures.
        points: (N, 14, 2) pixels of the pictures, NaN where not annotated.
    """

    paths: list[Path]
    points: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def part(self, rows: Sequence[int]) -> "Given":
        """Some of the pictures."""
        return Given([self.paths[row] for row in rows], self.points[list(rows)])


def given(train_gt: Mapping[str, np.ndarray] | str | Path, folder: Path) -> Given:
    """The pictures that have points, ready for training.

    Args:
        train_gt: 28 numbers by file name, or the path of a table of them.
        folder: of the pictures.

    Raises:
        InputError: not 28 numbers, a picture is missing, or too few pictures have points.
    """
    table = train_gt if isinstance(train_gt, Mapping) else read_table(Path(train_gt))
    points = {name: _points(name, numbers) for name, numbers in sorted(table.items())}
    points = {name: each for name, each in points.items() if _annotated(each) >= LEAST_POINTS}
    if len(points) < 2:
        raise InputError(f"expected two or more pictures with points to train on, got {len(points)}")
    missing = [name for name in points if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"expected the pictures of the table in {folder}, but {len(missing)} are missing, "
            f"first {missing[0]!r}; check the folder"
        )
    return Given([folder / name for name in points], np.stack(list(points.values())))


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


def split(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Rows to train on and rows to validate on, at least one of each."""
    order = np.random.default_rng(seed).permutation(count).tolist()
    kept_out = min(max(round(share * count), 1), count - 1)
    return order[kept_out:], order[:kept_out]


class TrainingViews(Dataset):
    """A new random view of each picture every epoch; the same one for the same seed, epoch and picture.

    Args:
        squares: of the pictures.
        points: (N, 14, 2) pixels of the pictures.
        recipe: how strongly they are changed, and the seed.
        epoch: number of the epoch.
    """

    def __init__(self, squares: Squares, points: np.ndarray, recipe: Keypoints14Recipe, epoch: int) -> None:
        self.squares, self.points, self.recipe, self.epoch = squares, points, recipe, epoch

    def __len__(self) -> int:
        return len(self.squares)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        cv2.setNumThreads(0)
        rng = np.random.default_rng((self.recipe.seed, self.epoch, index))
        square, size_wh = self.squares[index]
        matrix = random_map(rng, self.points[index], size_wh, self.recipe)
        crop = warp(square, size_wh, matrix, self.recipe.input_px)
        points = apply(matrix, self.points[index])
        if rng.random() < 0.5:
            crop, points = mirrored(crop, points)
        if rng.random() < self.recipe.change_share:
            crop = degrade(rng, crop, self._others(rng))
        return sample(crop, points)

    def _others(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Another picture, pieces of which cover parts of this one: only the given pictures are used."""
        return [self.squares[int(rng.integers(len(self.squares)))][0]]


class PlainViews(Dataset):
    """The pictures as detection sees them.

    Args:
        squares: of the pictures, at the side that the network sees.
        points: (N, 14, 2) pixels of the pictures.
    """

    def __init__(self, squares: Squares, points: np.ndarray) -> None:
        self.squares, self.points = squares, points

    def __len__(self) -> int:
        return len(self.squares)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        square, size_wh = self.squares[index]
        scale = len(square) / np.array(size_wh)
        return sample(square, (self.points[index] + 0.5) * scale - 0.5)


def sample(crop: np.ndarray, points: np.ndarray) -> dict[str, torch.Tensor]:
    """A crop (S, S, 3) and its points (14, 2), pixels, as the network takes and gives them."""
    share = (points + 0.5) / len(crop) - 0.5
    return {
        "picture": torch.from_numpy(np.array(crop.transpose(2, 0, 1))),
        "points": torch.as_tensor(share, dtype=torch.float32),
    }
