"""The face of a head model: depth against the vertices, as counts, on the simplified model, in shards."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import OutputError
from facegeom.geometry.camera import Camera
from facegeom_lab.fitting.head_fit import make_basis
from facegeom_lab.synth.anatomy import ANCHORS, UNIT_MM, face_depth, find_anatomy, from_counts, to_counts
from facegeom_lab.synth.generate import read_samples, synthesise
from facegeom_lab.synth.model import HeadModel, simplify

CAMERA = Camera(120, 120, 30)


def test_depth_is_that_of_the_nearest_vertices(ball_head: HeadModel) -> None:
    points = ball_head.neutral_mm + np.array([0, 0, 600], np.float32)
    depth = face_depth(points, ball_head, CAMERA)
    front = find_anatomy(ball_head).face & (ball_head.neutral_mm[:, 2] < 20)
    column, row = np.rint(CAMERA.project(points[front])).astype(int).T
    seen = depth[row, column]
    assert (seen > 0).sum() > 50
    behind = points[front, 2][seen > 0] - seen[seen > 0]
    assert np.median(np.abs(behind)) < 3
    assert np.percentile(behind, 10) > -6  # but for pixels beside an eyeball's edge


def test_the_back_of_the_head_is_no_face(ball_head: HeadModel) -> None:
    behind = ball_head.neutral_mm * np.array([-1, 1, -1], np.float32) + np.array([0, 0, 600], np.float32)
    assert not face_depth(behind, ball_head, CAMERA).any()


def test_counts_keep_depth_to_half_a_unit() -> None:
    depth = np.array([[0, 480.123, 700.0], [599.999, 0, 520.5]], np.float32)
    counts = to_counts(depth, 600)
    assert counts.dtype == np.uint16
    np.testing.assert_array_equal(counts == 0, depth == 0)
    np.testing.assert_allclose(from_counts(counts, 600), depth, atol=UNIT_MM / 2 + 1e-4)


def test_the_simplified_model_is_the_same_head(ball_head: HeadModel) -> None:
    simple = simplify(ball_head)
    assert len(simple.neutral_mm) < len(ball_head.neutral_mm)
    np.testing.assert_array_equal(
        simple.neutral_mm[simple.landmarks], ball_head.neutral_mm[ball_head.landmarks]
    )
    assert simple.triangles.max() < len(simple.neutral_mm)
    full, less = (
        face_depth(model.neutral_mm + np.array([0, 0, 600], np.float32), model, CAMERA)
        for model in (ball_head, simple)
    )
    both = (full > 0) & (less > 0)
    assert both.sum() > 0.8 * (full > 0).sum()
    assert np.abs(full - less)[both].mean() < 1


def test_shards_with_depth(ball_head: HeadModel, photos: list[np.ndarray], tmp_path: Path) -> None:
    paths = synthesise(ball_head, photos, 3, tmp_path, size=64, shard=2, depth=True)
    samples = read_samples(paths)
    assert len(samples) == 3
    for sample in samples:
        assert sample.depth_mm is not None and sample.mesh_mm is not None
        assert sample.mesh_mm.shape == (478, 3)
        seen = sample.depth_mm[sample.depth_mm > 0]
        assert np.abs(seen - sample.translation_mm[2]).max() < 150


def test_a_folder_of_shards_without_depth(
    ball_head: HeadModel, photos: list[np.ndarray], tmp_path: Path
) -> None:
    synthesise(ball_head, photos, 1, tmp_path, size=48)
    with pytest.raises(OutputError, match="another folder"):
        synthesise(ball_head, photos, 1, tmp_path, size=48, depth=True)


def test_no_point_of_the_mesh_mixes_both_lips(ball_head: HeadModel) -> None:
    """Below a line the ball's skin moves with the jaw: a point moves with it wholly or not at all."""
    _, y, z = ball_head.neutral_mm.T
    lower = (y > ball_head.neutral_mm[ball_head.landmarks[ANCHORS]].mean(axis=0)[1]) & (z < 20)
    lower[ball_head.regions["face"][1] :] = False
    jaw = np.where(lower[:, None], np.array([0, 60, 0], np.float32), 0)
    model = replace(ball_head, expression_mm=np.stack([jaw, 0 * jaw]))
    moved = find_anatomy(model).mesh(model.neutral_mm + jaw) - find_anatomy(model).mesh(model.neutral_mm)
    share = moved[:468, 1] / 60
    assert (np.minimum(np.abs(share), np.abs(share - 1)) < 0.05).mean() > 0.93
    assert 0.1 < (share > 0.5).mean() < 0.9


def test_irises_lie_on_the_eyeballs_and_turn_with_them(ball_head: HeadModel) -> None:
    irises = find_anatomy(ball_head).mesh(ball_head.neutral_mm)[468:].reshape(2, 5, 3)
    for side, eyeball in enumerate(ball_head.eyeballs):
        middle = ball_head.neutral_mm[eyeball].mean(axis=0)
        radius = np.linalg.norm(irises[side] - middle, axis=1)
        np.testing.assert_allclose(radius, 12, atol=1.5)
        np.testing.assert_allclose(irises[side, 0, :2], middle[:2], atol=1)
        right, upper, left, lower = irises[side, 1:]
        assert right[0] > irises[side, 0, 0] > left[0] and upper[1] < irises[side, 0, 1] < lower[1]


def test_the_fits_basis_is_the_model(ball_head: HeadModel) -> None:
    basis = make_basis(ball_head)
    identity, expression = np.array([0.5, -1, 0.3]), np.zeros(2)
    expected = find_anatomy(ball_head).mesh(ball_head.vertices(identity, expression))[:468]
    found = basis.shapes(np.concatenate([identity, expression])[None])[0]
    np.testing.assert_allclose(found, expected, atol=1e-3)
