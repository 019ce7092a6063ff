"""A tiny head model without a file: a ball with a nose, eyes and 68 points; and one photo."""

import numpy as np
import pytest

from facegeom_lab.synth.mesh import ellipsoid
from facegeom_lab.synth.model import HeadModel

ROWS, COLUMNS = 40, 64


@pytest.fixture(scope="session")
def ball_head() -> HeadModel:
    """Build a ball of 90 mm with the points on its front; eyeballs are small balls beside the origin."""
    skull, skull_triangles = ellipsoid([0, 10, 80], [80, 110, 85], ROWS, COLUMNS)
    eyes = [ellipsoid([x, 0, 0], [12, 12, 12], 8, 12) for x in (-30.0, 30.0)]
    starts = np.cumsum([0, len(skull), len(eyes[0][0])])
    vertices = np.concatenate([skull, eyes[0][0], eyes[1][0]])
    faces = [skull_triangles, eyes[0][1], eyes[1][1]]
    rng = np.random.default_rng(5)
    front = np.flatnonzero((skull[:, 2] < 20) & (np.abs(skull[:, 1]) < 70))
    return HeadModel(
        neutral_mm=vertices,
        triangles=np.concatenate([part + start for part, start in zip(faces, starts, strict=True)]),
        identity_mm=rng.normal(0, 0.5, (3, 1, 3)).astype(np.float32) * vertices[None] * 0.05,
        expression_mm=np.zeros((2, len(vertices), 3), np.float32),
        expression_names=("jawOpen", "eyeBlink_L"),
        landmarks=front[np.linspace(0, len(front) - 1, 68).astype(int)],
        eyeballs=(np.arange(starts[1], starts[2]), np.arange(starts[2], len(vertices))),
        regions={"face": (0, int(starts[1])), "eyes": (int(starts[1]), len(vertices))},
    )


@pytest.fixture(scope="session")
def photos() -> list[np.ndarray]:
    """Return one noisy photo (80, 120, 3)."""
    return [np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)]
