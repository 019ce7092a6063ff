"""Maps between images: edges meet edges, and every map is undone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegeom.geometry import transforms

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 512)


def random_boxes(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-200, 1000, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(4, 800, (count, 2))], axis=1)


@pytest.mark.parametrize(
    ("box", "size_px", "matrix"),
    [
        ((-0.5, -0.5, 127.5, 127.5), 128, [[1, 0, 0], [0, 1, 0]]),  # a whole image onto itself
        ((-0.5, -0.5, 255.5, 255.5), 128, [[0.5, 0, -0.25], [0, 0.5, -0.25]]),  # halved
        ((10, 20, 20, 30), 100, [[10, 0, -100.5], [0, 10, -200.5]]),
        ((0, 0, 10, 20), 10, [[1, 0, -0.5], [0, 0.5, -0.5]]),  # not a square: squeezed
    ],
)
def test_box_to_square_by_hand(box: tuple[float, ...], size_px: int, matrix: list[list[float]]) -> None:
    np.testing.assert_allclose(transforms.box_to_square(np.array(box, float), size_px), matrix)


@given(seeds, st.integers(1, 5), sizes)
def test_edges_meet_edges(seed: int, count: int, size_px: int) -> None:
    boxes = random_boxes(seed, count)
    matrix = transforms.box_to_square(boxes, size_px)
    corners = transforms.apply(matrix, boxes.reshape(count, 2, 2))
    expected = np.broadcast_to([[-0.5, -0.5], [size_px - 0.5, size_px - 0.5]], corners.shape)
    np.testing.assert_allclose(corners, expected, atol=1e-6)


@given(seeds, st.integers(1, 5), sizes)
def test_inverse_undoes_the_map(seed: int, count: int, size_px: int) -> None:
    matrix = transforms.box_to_square(random_boxes(seed, count), size_px)
    points = np.random.default_rng(seed).uniform(-100, 1000, (count, 6, 2))
    back = transforms.apply(transforms.invert(matrix), transforms.apply(matrix, points))
    np.testing.assert_allclose(back, points, atol=1e-6)
    np.testing.assert_allclose(transforms.invert(transforms.invert(matrix)), matrix, rtol=1e-9, atol=1e-9)


def test_inverse_of_a_turned_map() -> None:
    quarter = np.array([[0.0, -2, 5], [2, 0, 7]])  # a quarter turn, twice as large, moved
    np.testing.assert_allclose(transforms.apply(quarter, np.array([[3.0, 1]])), [[3, 13]])
    np.testing.assert_allclose(transforms.apply(transforms.invert(quarter), np.array([[3.0, 13]])), [[3, 1]])


@given(seeds, sizes, sizes)
def test_edges_of_a_resized_image_meet_its_edges(seed: int, old: int, new: int) -> None:
    """Resizing is the map of the whole image onto the new one, and a box is resized as its corners are."""
    whole = np.array([-0.5, -0.5, old - 0.5, old - 0.5])
    np.testing.assert_allclose(transforms.resize_points(whole, new / old)[2:], new - 0.5, atol=1e-9)
    boxes = random_boxes(seed, 3)
    expected = transforms.apply(transforms.box_to_square(whole, new), boxes.reshape(-1, 2)).reshape(-1, 4)
    np.testing.assert_allclose(transforms.resize_points(boxes, new / old), expected, atol=1e-6)


def test_a_factor_for_each_coordinate() -> None:
    resized = transforms.resize_points(np.array([[1.5, 1.5]]), np.array([2.0, 0.5]))
    np.testing.assert_array_equal(resized, [[3.5, 0.5]])
