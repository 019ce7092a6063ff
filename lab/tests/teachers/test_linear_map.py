"""The linear map between point schemes."""

import numpy as np
import pytest

from facegeom_lab.teachers.linear_map import fit_linear_map as fit

NEIGHBOURS = 12


@pytest.fixture
def faces() -> tuple[np.ndarray, np.ndarray]:
    """Varying meshes (200, 100, 2), and 68 points that are means of two neighbours on the mesh."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2) * 10
    meshes = grid + rng.normal(0, 1, (200, 100, 2))
    return meshes, (meshes[:, :68] + meshes[:, 10:78]) / 2


def test_recovers_combinations_of_nearby_points(faces: tuple[np.ndarray, np.ndarray]) -> None:
    meshes, points = faces
    mapping = fit(meshes[:150], points[:150], NEIGHBOURS, ridge=1e-12)
    np.testing.assert_allclose(mapping.apply(meshes[150:]), points[150:], atol=1e-4)


def test_moves_turns_and_scales_with_the_face(faces: tuple[np.ndarray, np.ndarray]) -> None:
    meshes, points = faces
    mapping = fit(meshes, points)
    turn = 1.7 * np.array([[0.8, -0.6], [0.6, 0.8]])
    expected = mapping.apply(meshes) @ turn.T + (5, -9)
    np.testing.assert_allclose(mapping.apply(meshes @ turn.T + (5, -9)), expected, atol=1e-6)


def test_one_wrong_face_does_not_disturb_the_fit(faces: tuple[np.ndarray, np.ndarray]) -> None:
    meshes, points = faces
    clean = fit(meshes[1:], points[1:], NEIGHBOURS)
    spoilt = np.concatenate([meshes[:1] + 30, meshes[1:]])
    np.testing.assert_allclose(fit(spoilt, points, NEIGHBOURS).apply(meshes), clean.apply(meshes), atol=1e-6)
