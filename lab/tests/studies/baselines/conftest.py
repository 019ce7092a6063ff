"""Drawn faces of five points, and trees that dlib has grown on them in a moment."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.studies.baselines.dlib_trees import TreesRecipe
from facegeom_lab.studies.baselines.trees import TREES, BoxedFaces, fit

SIZE_WH = (90, 80)
EYES_NOSE_MOUTH = np.array([[28.0, 30], [60, 30], [44, 44], [32, 58], [56, 58]])

RECIPE = TreesRecipe(
    cascade_depth=3,
    tree_depth=2,
    num_trees_per_cascade_level=20,
    nu=0.3,
    oversampling_amount=10,
    oversampling_translation_jitter=0.0,
    feature_pool_size=60,
    lambda_param=0.1,
    num_test_splits=10,
    feature_pool_region_padding=0.0,
    num_threads=1,
    random_seed=3,
    leaf_unit=0.002,
)


def _drawn(points: np.ndarray, level: int) -> np.ndarray:
    """(80, 90, 3) light spots on a grey ground."""
    y, x = np.mgrid[: SIZE_WH[1], : SIZE_WH[0]]
    distance = np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1]).min(axis=-1)
    grey = level + 150 * np.exp(-((distance / 6) ** 2))
    return (grey[..., None] * (1.0, 0.9, 0.8)).astype(np.uint8)


def _face(rng: np.random.Generator, number: int) -> tuple[FaceRecord, np.ndarray]:
    move = rng.uniform(-6, 6, 2)
    points = EYES_NOSE_MOUTH + move + rng.normal(0, 2, (5, 2))
    read = partial(_drawn, points.copy(), int(rng.integers(30, 60)))
    box = np.array([20.2, 18.7, 68.1, 70.4]) + np.tile(move, 2)
    return FaceRecord(f"{number}.png", read, "train", "celeba5", points), box


def make_faces(count: int, seed: int) -> BoxedFaces:
    rng = np.random.default_rng(seed)
    records, boxes = zip(*[_face(rng, number) for number in range(count)], strict=True)
    return BoxedFaces(list(records), np.stack(boxes))


@pytest.fixture(scope="session")
def recipe() -> TreesRecipe:
    """Return settings of a training of a second."""
    return RECIPE


@pytest.fixture(scope="session")
def train_faces() -> BoxedFaces:
    return make_faces(60, 1)


@pytest.fixture(scope="session")
def test_faces() -> BoxedFaces:
    return make_faces(12, 2)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, train_faces: BoxedFaces) -> Path:
    """Train trees; return the folder with both files."""
    return fit(RECIPE, train_faces, tmp_path_factory.mktemp("runs") / "dlib5").parent


@pytest.fixture(scope="session")
def dlib_content(run_folder: Path) -> bytes:
    """Return the file that dlib has written."""
    return (run_folder / TREES).read_bytes()
