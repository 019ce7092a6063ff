"""Networks small enough to train within a test, and a packed file of drawn heads."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from facegeom_lab.datasets.training.directions import CLASSES, STORED_PX
from facegeom_lab.studies import coding
from facegeom_lab.studies.compression import archive


@pytest.fixture
def small() -> nn.Sequential:
    """Three convolutions and three matrix products in the order that VGG-S has, for pictures of 16 pixels."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.MaxPool2d(2), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Sequential(
            nn.Conv2d(8, 24, 3, padding=1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.Conv2d(24, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
        ),
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(256, 64, bias=False),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, 8),
        ),
    )


@pytest.fixture
def pictures() -> torch.Tensor:
    """(6, 3, 16, 16) noise."""
    return torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def encodings() -> Callable[[bytes], dict[str, str]]:
    """Return a function that reads the encoding of each tensor of a compressed file, by name."""

    def read(content: bytes) -> dict[str, str]:
        header = json.loads(coding.split(content[len(archive.MAGIC) + 4 :])[0])
        return {name: encoding for name, encoding, _, _ in header["tensors"]}

    return read


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a packed file in which the class is the direction of a light disc."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 8), ("tune", 4), ("val", 4)):
        classes = np.repeat(np.arange(CLASSES), count)
        arrays[f"{split}_crops"] = np.stack([_disc(sector, rng) for sector in classes])
        arrays[f"{split}_classes"] = classes
    file = tmp_path_factory.mktemp("directions") / "directions.npz"
    np.savez(file, **arrays)
    return file


def _disc(sector: int, rng: np.random.Generator) -> np.ndarray:
    angle = np.radians(45 * sector)
    y, x = np.mgrid[:STORED_PX, :STORED_PX] - (STORED_PX - 1) / 2
    near = np.hypot(x - 30 * np.cos(angle), y + 30 * np.sin(angle)) < 14
    noise = rng.integers(0, 60, (STORED_PX, STORED_PX, 3))
    return np.where(near[..., None], 200 + noise // 2, 40 + noise).astype(np.uint8)
