"""Rotations and alignment equal facegeom.geometry.rotation."""

from typing import Any

import numpy as np
import pytest

from facegeom.geometry import rotation, topology
from facegeom.geometry.rotation import rotation_from_angles

ANGLES = [(0, 0, 0), (20, 10, -15), (-85, 40, 170), (90, 25, 0), (-90, -30, 0), (60, -100, -120)]


@pytest.mark.parametrize("vectors", [(1, 0, 0, 0, 1, 0), (2, -1, 0.5, 0.3, 4, -2), (-3, 0.1, 2, 5, 5, 5)])
def test_matrix_from_six_numbers(call: Any, vectors: tuple[float, ...]) -> None:
    expected = rotation.rotation_from_6d(np.array(vectors, float))
    np.testing.assert_allclose(call("rotation.js", "rotationFrom6d", vectors), expected, atol=1e-12)


@pytest.mark.parametrize("angles", ANGLES)
def test_angles(call: Any, angles: tuple[float, float, float]) -> None:
    matrix = rotation_from_angles(*angles)
    expected = rotation.angles_from_rotation(matrix)
    np.testing.assert_allclose(call("rotation.js", "anglesFromRotation", matrix), expected, atol=1e-9)


@pytest.mark.parametrize("direction", [(0, 0, 5), (300, -200, 600), (-50, 80, 20)])
def test_line_of_sight(call: Any, direction: tuple[float, float, float]) -> None:
    expected = rotation.rotation_to_line_of_sight(np.array(direction, float))
    np.testing.assert_allclose(call("rotation.js", "rotationToLineOfSight", direction), expected, atol=1e-12)


@pytest.mark.parametrize("angles", ANGLES)
@pytest.mark.parametrize("noise_mm", [0.0, 6.0])
def test_alignment(call: Any, angles: tuple[float, float, float], noise_mm: float) -> None:
    head = topology.canonical_mm().astype(float)
    target = 1.7 * head @ rotation_from_angles(*angles).T + (300, 200, -20)
    target += np.random.default_rng(1).normal(0, noise_mm, target.shape)
    found, expected = call("rotation.js", "procrustes", head, target), rotation.procrustes(head, target)
    assert found["scale"] == pytest.approx(float(expected.scale), rel=1e-9)
    np.testing.assert_allclose(found["rotation"], expected.rotation, atol=1e-9)
    np.testing.assert_allclose(found["translation"], expected.translation, atol=1e-6)


def test_alignment_never_mirrors(call: Any) -> None:
    head = topology.canonical_mm().astype(float)
    found = call("rotation.js", "procrustes", head, head * (-1, 1, 1))
    np.testing.assert_allclose(
        found["rotation"], rotation.procrustes(head, head * (-1, 1, 1)).rotation, atol=1e-6
    )
    assert np.linalg.det(found["rotation"]) == pytest.approx(1)


def test_largest_eigenpair(call: Any) -> None:
    half = np.random.default_rng(2).normal(size=(4, 4))
    values, vectors = np.linalg.eigh(half + half.T)
    found = call("eigen.js", "largestEigenpair", half + half.T)
    assert found["value"] == pytest.approx(values[-1])
    assert abs(np.dot(found["vector"], vectors[:, -1])) == pytest.approx(1)
