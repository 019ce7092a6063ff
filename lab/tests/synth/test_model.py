"""The head's frame, the sampling of people, the reading of the source file."""

from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.synth.model import (
    LANDMARKS68,
    HeadModel,
    load_model,
    sample_expression,
    sample_identity,
    triangulate,
)


def test_sixty_eight_different_landmarks() -> None:
    assert len(set(LANDMARKS68.split())) == 68


def test_origin_is_midway_between_the_eyes(ball_head: HeadModel) -> None:
    identity = np.array([2, -1, 1], np.float32)
    vertices = ball_head.vertices(identity, np.zeros(2, np.float32))
    np.testing.assert_allclose(ball_head.eyes_midpoint(vertices), 0, atol=1e-4)
    assert not np.allclose(vertices, ball_head.neutral_mm)


def test_identity_is_cut_and_scaled(ball_head: HeadModel) -> None:
    rng = np.random.default_rng(0)
    drawn = np.concatenate([sample_identity(rng, ball_head, 0.8) for _ in range(500)])
    assert np.abs(drawn).max() <= 2.0
    assert drawn.std() == pytest.approx(0.8, abs=0.05)


def test_expression_is_in_range(ball_head: HeadModel) -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([sample_expression(rng, ball_head) for _ in range(200)])
    assert drawn.min() == 0
    assert 0.3 < drawn.max() <= 1


def test_triangulate() -> None:
    triangles = triangulate(np.array([[0, 1, 2, 3], [4, 5, 6, -1]]))
    np.testing.assert_array_equal(triangles, [[0, 1, 2], [4, 5, 6], [0, 2, 3]])


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found nothing"):
        load_model(tmp_path / "head.npz")


def test_wrong_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "head.npz", neutral=np.zeros((3, 3)))
    with pytest.raises(InputError, match="lacks the arrays"):
        load_model(tmp_path / "head.npz")


def test_source_file_is_turned_into_the_head_frame(tmp_path: Path) -> None:
    neutral = np.random.default_rng(1).normal(0, 5, (26719, 3)).astype(np.float32)
    faces = np.array([[0, 1, 2, 3], [24591, 24592, 24593, -1], [22221, 22222, 22223, -1]])
    np.savez(
        tmp_path / "head.npz",
        neutral=neutral,
        faces=np.concatenate([faces, [[26716, 26717, 26718, -1]]]),
        identity=np.ones((1, 26719, 3), np.float16),
        expression=np.zeros((1, 26719, 3), np.float16),
        expression_names=np.array(["jawOpen"]),
    )
    model = load_model(tmp_path / "head.npz")
    moved = model.neutral_mm - model.neutral_mm[0]
    np.testing.assert_allclose(moved, 10 * (neutral - neutral[0]) * [1, -1, -1], atol=1e-3)
    np.testing.assert_allclose(model.eyes_midpoint(model.neutral_mm), 0, atol=1e-3)
    np.testing.assert_array_equal(model.triangles, [[0, 1, 2], [0, 2, 3]])
    np.testing.assert_array_equal(model.identity_mm[0, 0], [10, -10, -10])
