"""The flip-consistency filter, on every point scheme."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facegeom.geometry.schemes import Scheme
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.teachers import consistency

SEEDS = st.integers(0, 2**32 - 1)
every_scheme = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=list(SCHEMES))


def faces(scheme: Scheme, count: int, seed: int, dimensions: int = 2) -> np.ndarray:
    """(count, K, D) points within 40 pixels; faces 100 pixels apart."""
    rng = np.random.default_rng(seed)
    places = np.pad(np.arange(count)[:, None] * 100.0, ((0, 0), (0, dimensions - 1)))
    return rng.uniform(0, 40, (count, scheme.count, dimensions)) + places[:, None]


def mirrored_points(points: np.ndarray, width: int, scheme: Scheme) -> np.ndarray:
    """Return a perfect teacher's points of the mirrored image: a left eye stays on the left of the person."""
    seen = points[:, scheme.mirror].copy()
    seen[..., 0] = width - 1 - seen[..., 0]
    return seen


def test_unmirror_by_hand() -> None:
    mirrored = np.zeros((2, 3, 3))
    mirrored[0, 0], mirrored[1, 2] = (0, 7, 9), (30, 5, -4)
    back = consistency.unmirror(mirrored, np.array([10, 100]), np.array([1, 0, 2]))
    assert back[0, 1].tolist() == [9, 7, 9]  # the first column is the last
    assert back[1, 2].tolist() == [69, 5, -4]
    assert mirrored[0, 0].tolist() == [0, 7, 9]  # the argument stays as it was


@every_scheme
@settings(max_examples=10)
@given(seed=SEEDS, width=st.integers(1, 5000))
def test_unmirror_undoes_the_mirror(scheme: Scheme, seed: int, width: int) -> None:
    points = faces(scheme, 2, seed)
    back = consistency.unmirror(mirrored_points(points, width, scheme), width, scheme.mirror)
    np.testing.assert_allclose(back, points, atol=1e-9)


@every_scheme
@settings(max_examples=10)
@given(seed=SEEDS)
def test_equal_predictions_agree(scheme: Scheme, seed: int) -> None:
    points = faces(scheme, 3, seed)
    both = consistency.agreement(points, points, scheme)
    np.testing.assert_allclose(both.points, points)
    np.testing.assert_allclose(both.error, 0)
    assert both.kept(0).all()


@every_scheme
@settings(max_examples=10)
@given(seed=SEEDS, factor=st.floats(0.1, 50), across=st.floats(-500, 500))
def test_error_is_relative_to_the_face(scheme: Scheme, seed: int, factor: float, across: float) -> None:
    first, second = faces(scheme, 2, seed), faces(scheme, 2, seed) + 1.0
    plain = consistency.agreement(first, second, scheme)
    moved = consistency.agreement(first * factor + across, second * factor + across, scheme)
    np.testing.assert_allclose(moved.error, plain.error, rtol=1e-6)
    np.testing.assert_allclose(moved.points, plain.points * factor + across, rtol=1e-9, atol=1e-6)


def test_error_by_hand() -> None:
    points = np.zeros((1, 68, 3))
    points[0, 36], points[0, 45] = (10, 20, 5), (110, 20, -5)  # eyes 100 pixels apart; depth does not count
    both = consistency.agreement(points, points + np.array([3, 4, 70]), SCHEMES["ibug68"])
    assert both.error[0] == pytest.approx(0.05)
    assert both.points[0, 36].tolist() == [11.5, 22, 40]
    assert both.kept(0.051)[0] and not both.kept(0.049)[0]


@given(seed=SEEDS, low=st.floats(0, 1), high=st.floats(0, 1))
def test_a_larger_threshold_keeps_more(seed: int, low: float, high: float) -> None:
    scheme = SCHEMES["celeba5"]
    first, second = faces(scheme, 8, seed), faces(scheme, 8, seed + 1)
    both = consistency.agreement(first, second, scheme)
    assert (both.kept(min(low, high)) <= both.kept(max(low, high))).all()


def test_missing_points_and_faces_without_size_are_not_kept() -> None:
    points = np.stack([np.full((68, 2), np.nan), np.zeros((68, 2))])
    both = consistency.agreement(points, points, SCHEMES["ibug68"])
    assert np.isnan(both.error).all() and not both.kept(np.inf).any()


@given(seed=SEEDS, order=st.permutations(range(4)))
def test_faces_are_matched_in_any_order(seed: int, order: list[int]) -> None:
    scheme = SCHEMES["aflw21"]
    plain = faces(scheme, 4, seed, dimensions=3)
    back = plain[order] + 0.01
    assert np.array(order)[consistency.match(plain, back, scheme)].tolist() == [0, 1, 2, 3]
    both = consistency.matched_agreement(plain, back, scheme)
    np.testing.assert_allclose(both.points, plain + 0.005)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 2), (2, 0), (3, 2)])
def test_faces_without_a_partner_stand_alone(first: int, second: int) -> None:
    scheme = SCHEMES["ibug68"]
    plain, back = faces(scheme, first, 1), faces(scheme, 3, 1)[3 - second :]
    both = consistency.matched_agreement(plain, back, scheme)
    np.testing.assert_allclose(both.points, plain)
    missing = max(first - second, 0) if second else first
    assert np.isnan(both.error).tolist() == [True] * missing + [False] * (first - missing)
    assert both.kept(1).sum() == first - missing


def test_a_face_far_away_is_another_one() -> None:
    scheme = SCHEMES["ibug68"]
    plain = faces(scheme, 1, 3)
    size = consistency.face_size(plain, scheme)[0]
    assert consistency.match(plain, plain + np.array([0.49 * size, 0]), scheme).tolist() == [0]
    assert consistency.match(plain, plain + np.array([0.51 * size, 0]), scheme).tolist() == [-1]
