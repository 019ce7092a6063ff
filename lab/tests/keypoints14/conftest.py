"""Drawn images with 14 points each, and settings of a quick training."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from facegeom_lab.keypoints14.task import Keypoints14Recipe
from facegeom_lab.training import recipes

FACE = np.array(
    [
        *[(8, 14), (22, 10), (38, 10), (52, 14)],
        *[(11, 22), (17, 21), (23, 22), (37, 22), (43, 21), (49, 22)],
        *[(30, 36), (20, 48), (30, 53), (40, 48)],
    ],
    np.float64,
)

MakeRecipe = Callable[..., Keypoints14Recipe]


@dataclass(frozen=True)
class Drawn:
    """A folder of pictures and the points of each, 28 numbers by file name."""

    folder: Path
    points: dict[str, np.ndarray]


def drawn(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8 RGB: a light picture with a dark dot of another colour at each point."""
    picture = np.full((height, width, 3), 190, np.uint8)
    for index, (x, y) in enumerate(points):
        cv2.circle(picture, (round(x), round(y)), 2, (15 * index, 90, 200 - 14 * index), -1)
    return picture


@pytest.fixture
def face() -> np.ndarray:
    """(14, 2) a face that is its own mirror image, in a picture of 61 x 61 pixels."""
    return FACE.copy()


@pytest.fixture
def draw() -> Callable[[np.ndarray, int, int], np.ndarray]:
    """Draws points (14, 2) into a picture of a width and a height."""
    return drawn


@pytest.fixture
def make_recipe() -> MakeRecipe:
    """Build the recipe that ships with quick settings; further values by keyword."""
    quick = {
        **{"epochs": 3, "batch": 4, "fast_batches": 2, "warmup_epochs": 0.5, "val_share": 0.2},
        **{"input_px": 32, "cached_px": 40, "precision": "32-true", "ema_decay": 0.5},
        "loose_share": 0.0,
    }
    return lambda **values: recipes.load(Keypoints14Recipe, "keypoints14", **quick | values)


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Twelve pictures of different sizes; in one a point is not annotated, one is grey."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(5)
    table = {}
    for index in range(12):
        scale = rng.uniform(0.8, 1.4, 2)
        points = (FACE + rng.normal(0, 1, FACE.shape)) * scale
        picture = drawn(points, *np.ceil(61 * scale).astype(int))
        cv2.imwrite(str(folder / f"{index:02d}.png"), picture[..., 0] if index == 3 else picture[..., ::-1])
        table[f"{index:02d}.png"] = points.reshape(-1)
    table["05.png"][6:8] = np.nan
    return Drawn(folder, table)
