"""The fit of the head model: known heads come back, expressions stay in their range, turned and moved."""

import numpy as np
import pytest

from facegeom.geometry import topology
from facegeom.geometry.rotation import geodesic_deg, rotation_from_angles
from facegeom_lab.fitting.head_fit import EXPRESSION_SPREAD, Basis, fit, mean_residual

IDENTITIES, EXPRESSIONS = 4, 3


@pytest.fixture(scope="module")
def basis() -> Basis:
    """Random offsets of some millimetres of the canonical head's surface."""
    rng = np.random.default_rng(3)
    mean = topology.canonical_mm()[:468].astype(np.float64)
    offsets = rng.normal(0, 4, (IDENTITIES + EXPRESSIONS, 468, 3))
    products = np.einsum("cpa,dpb->abcd", offsets, offsets, optimize=True)
    return Basis(mean, offsets, products, IDENTITIES)


def seen(basis: Basis, coefficients: np.ndarray, yaw: float = 0.0, scale: float = 1.5) -> np.ndarray:
    """Return meshes (N, 478, 3) in pixels."""
    rotation = rotation_from_angles(yaw, 10, -20)
    points = scale * basis.shapes(coefficients) @ rotation.T + (100, 80, 0)
    return np.concatenate([points, np.zeros((len(points), 10, 3))], axis=1)


@pytest.mark.parametrize("yaw", [0, 50])
def test_known_heads_come_back(basis: Basis, yaw: float) -> None:
    truth = np.array([[1, -0.5, 0, 0.8, 0.6, 0, 0.9], [-1.2, 0.3, 0.4, 0, 0, 0.5, 0]])
    found = fit(basis, seen(basis, truth, yaw))
    np.testing.assert_allclose(found.coefficients, truth, atol=0.06)
    assert np.abs(found.residual_mm).max() < 0.5
    assert geodesic_deg(found.pose.rotation, rotation_from_angles(yaw, 10, -20)).max() < 0.5
    np.testing.assert_allclose(found.pose.scale, 1.5, rtol=0.01)


def test_expressions_stay_within_0_and_1(basis: Basis) -> None:
    wild = np.array([[0, 0, 0, 0, 1.8, -0.7, 0.5]])
    found = fit(basis, seen(basis, wild)).coefficients[0, IDENTITIES:]
    assert found[0] == 1 and found[1] == 0 and found[2] == pytest.approx(0.5, abs=0.15)


def test_noise_does_not_make_a_face(basis: Basis) -> None:
    noisy = seen(basis, np.zeros((1, IDENTITIES + EXPRESSIONS)))
    noisy[:, :468] += np.random.default_rng(0).normal(0, 3, (1, 468, 3))
    found = fit(basis, noisy).coefficients[0]
    assert np.abs(found[:IDENTITIES]).max() < 0.25 and found[IDENTITIES:].max() < EXPRESSION_SPREAD / 2


def test_a_bias_shows_in_the_mean_residual(basis: Basis) -> None:
    rng = np.random.default_rng(1)
    bias = rng.normal(0, 0.5, (468, 3))
    biased = Basis(basis.mean_mm + bias, basis.offsets_mm, basis.products, IDENTITIES)
    truth = np.concatenate(
        [rng.normal(0, 0.5, (12, IDENTITIES)), rng.uniform(0, 0.6, (12, EXPRESSIONS))], axis=1
    )
    left = mean_residual(fit(basis, seen(biased, truth)))
    assert np.corrcoef(left.ravel(), bias.ravel())[0, 1] > 0.9
