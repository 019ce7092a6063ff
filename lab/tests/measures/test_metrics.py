"""Measures on hand-computed numbers, and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facegeom_lab.measures import metrics

unit = st.floats(0, 1)
pixels = st.floats(-500, 500)


@pytest.mark.parametrize(
    ("predicted", "first", "second", "expected"),
    [
        ([0, 0, 10, 10], [0, 0, 10, 10], [np.nan] * 4, 1.0),
        ([0, 0, 10, 10], [5, 0, 15, 10], [np.nan] * 4, 1 / 3),
        ([0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 10, 5], 1 / 2),
        ([0, 0, 10, 10], [20, 20, 30, 30], [np.nan] * 4, 0.0),
    ],
)
def test_best_iou(predicted: list, first: list, second: list, expected: float) -> None:
    overlap = metrics.best_iou(np.array([predicted]), np.array([first]), np.array([second]))
    assert overlap == pytest.approx(np.array([[expected]]))


@pytest.mark.parametrize("counts", [(0, 0), (0, 3), (2, 0)])
def test_best_iou_of_nothing_is_an_empty_table(counts: tuple[int, int]) -> None:
    predicted, target = (np.zeros((count, 4)) for count in counts)
    assert metrics.best_iou(predicted, target).shape == counts


def test_a_box_finds_a_face_by_overlap_or_by_its_centre() -> None:
    face, other = np.array([[0.0, 0, 10, 10]]), np.array([[20.0, 0, 30, 10]])
    predicted = np.array([[0.0, 0, 10, 40], [4.0, 4, 6, 6], [9.0, 0, 19, 10], [20.0, 0, 30, 10]])
    assert metrics.lies_on(predicted, face)[:, 0].tolist() == [False, True, False, False]
    assert metrics.lies_on(predicted, face, other)[:, 0].tolist() == [False, True, False, True]
    assert metrics.lies_on(predicted, other, face)[:, 0].tolist() == [False, False, False, True]


def test_centre_inside() -> None:
    predicted = np.array([[0, 0, 10, 10], [0, 0, 40, 40]])
    target = np.array([[4, 4, 6, 6], [5, 5, 9, 9], [6, 6, 9, 9]])
    expected = [[True, True, False], [False, False, False]]
    assert metrics.centre_inside(predicted, target).tolist() == expected


def test_greedy_match_gives_the_best_score_the_first_choice() -> None:
    scores = np.array([0.5, 0.9, 0.7])
    quality = np.array([[0.9, 0.0], [0.8, 0.7], [0.95, 0.6]])
    match = metrics.greedy_match(scores, quality, quality >= 0.5)
    assert match.tolist() == [metrics.UNMATCHED, 0, 1]


@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (2, 0)])
def test_greedy_match_of_nothing(shape: tuple[int, int]) -> None:
    match = metrics.greedy_match(np.zeros(shape[0]), np.zeros(shape), np.ones(shape, bool))
    assert match.tolist() == [metrics.UNMATCHED] * shape[0]


@given(arrays(float, 6, elements=unit), arrays(float, (6, 4), elements=unit), unit)
def test_greedy_match_is_one_to_one_allowed_and_maximal(
    scores: np.ndarray, quality: np.ndarray, threshold: float
) -> None:
    allowed = quality >= threshold
    match = metrics.greedy_match(scores, quality, allowed)
    taken = match[match != metrics.UNMATCHED]
    assert len(set(taken.tolist())) == len(taken)
    assert all(allowed[i, target] for i, target in enumerate(match) if target != metrics.UNMATCHED)
    free = np.setdiff1d(np.arange(4), taken)
    assert not allowed[np.ix_(match == metrics.UNMATCHED, free)].any()


def test_point_errors_are_in_units_of_the_eye_distance() -> None:
    truth = np.array([[0.0, 0.0], [10.0, 0.0], [5.0, 5.0]])
    errors = metrics.point_errors(truth + np.array([3, 4]), truth, (0, 1))
    assert errors == pytest.approx(np.array([0.5, 0.5, 0.5]))


def test_depth_errors_leave_x_and_y_alone() -> None:
    truth = np.array([[0.0, 0.0, 1.0], [10.0, 0.0, 2.0]])
    assert metrics.depth_errors(truth + np.array([7, 7, -2]), truth, (0, 1)) == pytest.approx(
        np.array([0.2, 0.2])
    )


@given(arrays(float, (3, 5, 2), elements=pixels), pixels, st.floats(0.1, 10))
def test_point_errors_do_not_depend_on_place_and_size(points: np.ndarray, move: float, scale: float) -> None:
    truth = np.array([[0.0, 0.0], [40.0, 3.0], [10.0, 20.0], [25.0, 30.0], [0.0, 50.0]])
    moved = metrics.point_errors(points * scale + move, truth * scale + move, (0, 1))
    assert moved == pytest.approx(metrics.point_errors(points, truth, (0, 1)), abs=1e-9)


@pytest.mark.parametrize(
    ("errors", "confidence", "expected"),
    [
        ([1, 2, 3, 6], [0.9, 0.8, 0.2, 0.1], 1 / 3),
        ([1, 99, 4], [0.9, 0.5, 0.1], 1 / 4),
        ([6, 3, 2, 1], [0.9, 0.8, 0.2, 0.1], 3.0),
        ([1, 3], [0.5, 0.5], 3.0),
    ],
    ids=["trusted are better", "the middle is left out", "trusted are worse", "ties never help"],
)
def test_halves_ratio(errors: list, confidence: list, expected: float) -> None:
    assert metrics.halves_ratio(np.array(errors), np.array(confidence)) == pytest.approx(expected)


def test_halves_ratio_per_point_looks_at_each_point_alone() -> None:
    errors = np.array([[1.0, 4.0], [2.0, 1.0]])
    confidence = np.array([[0.9, 0.9], [0.1, 0.1]])
    assert metrics.halves_ratio_per_point(errors, confidence) == pytest.approx(np.array([0.5, 4.0]))


@given(arrays(float, 9, elements=st.floats(0.01, 1)), st.permutations(list(range(9))))
def test_halves_ratio_does_not_depend_on_the_order(errors: np.ndarray, order: list[int]) -> None:
    confidence = np.arange(9) / 9
    expected = metrics.halves_ratio(errors, confidence)
    assert metrics.halves_ratio(errors[order], confidence[order]) == pytest.approx(expected)
