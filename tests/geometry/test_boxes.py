"""Boxes: overlaps, suppression, squares, the face's box."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegeom.geometry import boxes

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(0, 12)


def random_boxes(seed: int, count: int) -> np.ndarray:
    """(count, 4) that overlap often."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-20, 100, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 60, (count, 2))], axis=1)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0, 0, 10, 10), 1),
        ((5, 0, 15, 10), 50 / 150),
        ((2, 2, 4, 7), 10 / 100),
        ((10, 0, 20, 10), 0),  # they share an edge
        ((30, 30, 40, 40), 0),
        ((3, 3, 3, 3), 0),
        ((4, 4, 1, 1), 0),  # inverted
    ],
)
def test_iou_by_hand(other: tuple[float, ...], expected: float) -> None:
    found = boxes.iou(np.array([[0.0, 0, 10, 10]]), np.array([other], float))
    np.testing.assert_allclose(found, [[expected]])


@given(seeds, counts, counts)
def test_iou_is_symmetric_and_bounded(seed: int, first: int, second: int) -> None:
    a, b = random_boxes(seed, first), random_boxes(seed + 1, second)
    overlap = boxes.iou(a, b)
    assert overlap.shape == (first, second)
    assert ((overlap >= 0) & (overlap <= 1 + 1e-9)).all()
    np.testing.assert_allclose(overlap, boxes.iou(b, a).T)
    np.testing.assert_allclose(np.diag(boxes.iou(a, a)), 1)


@given(seeds, counts, st.floats(0.1, 10), st.floats(-50, 50))
def test_iou_does_not_depend_on_place_and_scale(seed: int, count: int, scale: float, shift: float) -> None:
    found = random_boxes(seed, count)
    moved = found * scale + shift
    np.testing.assert_allclose(boxes.iou(moved, moved), boxes.iou(found, found), atol=1e-7)


def test_nms_by_hand() -> None:
    found = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [22, 2, 26, 6]], float)
    scores = np.array([0.8, 0.9, 0.5, 0.6])
    assert boxes.nms(found, scores, 0.5).tolist() == [1, 3, 2]
    assert boxes.nms(found, scores, 0.5, over_smaller=True).tolist() == [1, 3]
    assert boxes.nms(found, scores, 1.0).tolist() == [1, 0, 3, 2]


def test_nms_of_nothing() -> None:
    kept = boxes.nms(np.zeros((0, 4)), np.zeros(0), 0.5)
    assert kept.shape == (0,) and kept.dtype.kind == "i"


@given(seeds, counts, st.floats(0.05, 0.95), st.booleans())
def test_nms_is_idempotent_and_leaves_no_overlap(
    seed: int, count: int, threshold: float, over_smaller: bool
) -> None:
    found = random_boxes(seed, count)
    scores = np.random.default_rng(seed).random(count)
    kept = boxes.nms(found, scores, threshold, over_smaller=over_smaller)
    assert (np.diff(scores[kept]) <= 0).all()
    again = boxes.nms(found[kept], scores[kept], threshold, over_smaller=over_smaller)
    assert again.tolist() == list(range(len(kept)))
    apart = boxes.iou(found[kept], found[kept]) - np.eye(len(kept))
    assert (apart <= threshold + 1e-9).all()


@given(seeds, st.integers(1, 12), st.floats(0.05, 0.95))
def test_nms_keeps_the_best_box(seed: int, count: int, threshold: float) -> None:
    scores = np.random.default_rng(seed).random(count)
    assert boxes.nms(random_boxes(seed, count), scores, threshold)[0] == scores.argmax()


def test_square_by_hand() -> None:
    found = boxes.square(np.array([[10.0, 20, 14, 30], [0, 0, 6, 2]]), scale=1.5)
    np.testing.assert_allclose(found, [[4.5, 17.5, 19.5, 32.5], [-1.5, -3.5, 7.5, 5.5]])


@given(seeds, counts)
def test_square_keeps_the_centre_and_holds_the_box(seed: int, count: int) -> None:
    found = random_boxes(seed, count)
    squares = boxes.square(found)
    size = squares[:, 2:] - squares[:, :2]
    np.testing.assert_allclose(size[:, 0], size[:, 1])
    np.testing.assert_allclose(squares[:, :2] + squares[:, 2:], found[:, :2] + found[:, 2:], atol=1e-9)
    assert (squares[:, :2] <= found[:, :2] + 1e-9).all() and (squares[:, 2:] >= found[:, 2:] - 1e-9).all()


def test_from_points_of_a_batch_in_3d() -> None:
    points = np.array([[[1, 5, 9], [3, 2, -9]], [[0, 0, 0], [-4, 8, 1]]], float)
    np.testing.assert_array_equal(boxes.from_points(points), [[1, 2, 3, 5], [-4, 0, 0, 8]])


def test_face_box_adds_forehead() -> None:
    points = np.full((68, 2), 50.0)
    points[0], points[1] = (0, 100), (100, 200)
    points[2:] = 50, 150
    np.testing.assert_allclose(boxes.face_box(points), [-2, 72, 102, 203])


def test_overlap_over_the_smaller_box() -> None:
    outer, inner, aside = [0.0, 0, 10, 10], [2.0, 2, 4, 4], [8.0, 0, 12, 10]
    found = boxes.overlap(np.array([outer]), np.array([inner, aside]), over_smaller=True)
    np.testing.assert_allclose(found, [[1.0, 0.5]])
