"""Losses: values by hand, gradients, and torch beside numpy."""

from math import log

import numpy as np
import pytest
import torch

from facegeom.geometry import rotation as rot
from facegeom_lab.training import losses

WIDTH, CURVATURE = 10.0, 2.0


def random_6d(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(7).normal(size=(count, 6)))


@pytest.mark.parametrize(
    ("distance", "expected"),
    [(0, 0), (2, 10 * log(2)), (8, 10 * log(5)), (10, 10 * log(6)), (25, 10 * log(6) + 15)],
)
def test_wing_by_hand(distance: float, expected: float) -> None:
    found = losses.wing(torch.tensor([distance], dtype=torch.float64), WIDTH, CURVATURE)
    assert found.item() == pytest.approx(expected)


def test_wing_is_continuous_where_the_pieces_meet() -> None:
    either_side = WIDTH + torch.tensor([-1e-6, 0, 1e-6], dtype=torch.float64)
    found = losses.wing(either_side, WIDTH, CURVATURE)
    assert (found.max() - found.min()).item() < 1e-5


def test_wing_grows() -> None:
    found = losses.wing(torch.linspace(0, 30, 301, dtype=torch.float64), WIDTH, CURVATURE)
    assert (found.diff() > 0).all()


@pytest.mark.parametrize(("distance", "slope"), [(0, 5), (2, 2.5), (9.9, 10 / 11.9), (10.1, 1), (40, 1)])
def test_wing_gradient(distance: float, slope: float) -> None:
    variable = torch.tensor(distance, dtype=torch.float64, requires_grad=True)
    losses.wing(variable, WIDTH, CURVATURE).backward()
    assert variable.grad is not None
    assert variable.grad.item() == pytest.approx(slope)


def test_scale_likelihood_is_best_at_the_mean_error() -> None:
    distance = torch.tensor([0.5, 1.0, 4.5], dtype=torch.float64)  # mean 2
    log_scale = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_scale], max_iter=50)

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        loss = losses.scale_nll(distance, log_scale).mean()
        loss.backward()
        return loss

    optimiser.step(step)
    assert log_scale.exp().item() == pytest.approx(2, abs=1e-3)


def test_scale_likelihood_by_hand() -> None:
    found = losses.scale_nll(torch.tensor(3.0), torch.tensor(log(2)))
    assert found.item() == pytest.approx(1.5 + log(2))


def test_rotation_equals_numpy() -> None:
    vectors = random_6d(50)
    expected = rot.rotation_from_6d(vectors.numpy())
    np.testing.assert_allclose(losses.rotation_from_6d(vectors).numpy(), expected, atol=1e-12)


def test_rotation_passes_gradients() -> None:
    assert torch.autograd.gradcheck(losses.rotation_from_6d, (random_6d(3).requires_grad_(),))


def test_chordal_follows_the_angle() -> None:
    first, second = rot.rotation_from_6d(random_6d(40).numpy()).reshape(2, 20, 3, 3)
    vectors = torch.from_numpy(rot.rotation_to_6d(first))
    angle = np.deg2rad(rot.geodesic_deg(first, second))
    expected = np.sqrt(8 * np.sin(angle / 2) ** 2 + 1e-4)
    np.testing.assert_allclose(losses.chordal(vectors, torch.from_numpy(second)).numpy(), expected, atol=1e-6)


def test_chordal_has_a_finite_gradient_at_the_truth() -> None:
    vectors = torch.tensor([[1.0, 0, 0, 0, 1, 0]], requires_grad=True)
    losses.chordal(vectors, torch.eye(3)[None]).sum().backward()
    assert vectors.grad is not None and torch.isfinite(vectors.grad).all()


def test_weighted_mean() -> None:
    values, weights = torch.tensor([1.0, 5, 100]), torch.tensor([3.0, 1, 0])
    assert losses.weighted_mean(values, weights).item() == pytest.approx(2)
    assert losses.weighted_mean(values, torch.zeros(3)).item() == 0
