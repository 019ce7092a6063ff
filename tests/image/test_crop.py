"""Crops: the half-pixel rule on ramps, pixels beyond the image, the map and its inverse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facegeom.geometry.transforms import apply, box_to_square, invert
from facegeom.image.crop import OUTSIDE, crop_images, crop_squares
from facegeom.image.pyramid import Pyramid

WIDTH, HEIGHT, SLOPE = 32, 26, 8
BLUE = 30  # differs from the grey outside

sizes = st.sampled_from([7, 24, 50])


def ramp() -> Image.Image:
    """Red grows by 8 a pixel to the right, green by 8 a pixel down."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return Image.fromarray(np.stack([SLOPE * x, SLOPE * y, np.full_like(x, BLUE)], axis=2).astype(np.uint8))


def centres(square: np.ndarray, size: int) -> np.ndarray:
    """Return the places (size, size, 2) in the image of the crop's pixel centres."""
    y, x = np.mgrid[:size, :size]
    grid = np.stack([x.ravel(), y.ravel()], axis=1).astype(float)
    return apply(invert(box_to_square(square[None], size)[0]), grid).reshape(size, size, 2)


@given(st.floats(4, 20), st.floats(4, 12), st.floats(1, 10), sizes)
def test_values_are_those_at_the_mapped_centres(left: float, top: float, side: float, size: int) -> None:
    square = np.array([left, top, left + side, top + side])
    crop = crop_squares(ramp(), square[None], size)[0]
    expected = SLOPE * centres(square, size)
    # rounded once for each axis, in fixed point
    np.testing.assert_allclose(crop[..., :2].astype(float), expected, atol=1.25)
    assert (crop[..., 2] == BLUE).all()


def test_whole_image_at_its_own_size_is_a_copy() -> None:
    image = ramp().crop((0, 0, HEIGHT, HEIGHT))
    crop = crop_squares(image, np.array([[-0.5, -0.5, HEIGHT - 0.5, HEIGHT - 0.5]]), HEIGHT)
    np.testing.assert_array_equal(crop[0], np.asarray(image))


@given(st.floats(-60, 40), st.floats(-60, 40), st.floats(2, 80), sizes)
def test_grey_exactly_where_the_centre_lies_outside(left: float, top: float, side: float, size: int) -> None:
    square = np.array([left, top, left + side, top + side])
    crop = crop_squares(ramp(), square[None], size)[0]
    where = centres(square, size)
    margin = np.minimum(where + 0.5, (WIDTH - 0.5, HEIGHT - 0.5) - where).min(axis=2)
    blue = crop[..., 2]
    assert (blue[margin > 1e-3] == BLUE).all()
    assert (crop[margin < -1e-3] == OUTSIDE).all()


@given(st.floats(-30, 20), st.floats(-30, 20), st.floats(10, 60), sizes)
def test_beyond_the_image_the_ramp_moves_by_less_than_a_crop_pixel(
    left: float, top: float, side: float, size: int
) -> None:
    square = np.array([left, top, left + side, top + side])
    crop = crop_squares(ramp(), square[None], size)[0].astype(float)
    where, step = centres(square, size), side / size
    inner = ((where > 2 * step) & (where < (WIDTH - 1, HEIGHT - 1) - np.array(2 * step))).all(axis=2)
    np.testing.assert_allclose(crop[..., :2][inner], SLOPE * where[inner], atol=SLOPE * step * 0.51 + 1.1)


@pytest.mark.parametrize("side", [13.0, 24.0, 25.3])
def test_averaging_first_moves_nothing(side: float) -> None:
    """Smaller crops of larger squares: means of whole groups of pixels keep the ramp where it is."""
    square = np.array([[0.2, -0.1, 0.2 + side, side - 0.1]])
    crops = [crop_squares(ramp(), square, 4, gap)[0].astype(float) for gap in (None, 1.5)]
    np.testing.assert_allclose(crops[1][1:3, 1:3], crops[0][1:3, 1:3], atol=2.5)
    np.testing.assert_allclose(crops[1], crops[0], atol=SLOPE)


@pytest.mark.parametrize("square", [(-50, 0, -10, 40), (40, 5, 60, 25), (0, 30, 9, 39), (-9, -9, -0.5, -0.5)])
def test_square_outside_the_image(square: tuple[float, ...]) -> None:
    assert (crop_squares(ramp(), np.array([square], float), 16) == OUTSIDE).all()


def test_tiny_image() -> None:
    image = Image.new("RGB", (1, 1), (200, 100, 50))
    crop = crop_squares(image, np.array([[-1.5, -1.5, 1.5, 1.5]]), 6)[0]
    expected = np.full((6, 6, 3), OUTSIDE)
    expected[2:4, 2:4] = 200, 100, 50
    np.testing.assert_array_equal(crop, expected)


def test_no_squares() -> None:
    assert crop_squares(ramp(), np.zeros((0, 4)), 12).shape == (0, 12, 12, 3)


def test_fine_pattern_is_averaged_not_sampled() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    crop = crop_squares(Image.fromarray(stripes), np.array([[-0.5, -0.5, 63.5, 63.5]]), 8)
    np.testing.assert_allclose(crop[:, :, 1:-1], 100, atol=4)


@given(st.floats(-99, 99), st.floats(-99, 99), st.floats(0.5, 99), sizes)
def test_map_and_inverse(left: float, top: float, side: float, size: int) -> None:
    square = np.array([[left, top, left + side, top + side]])
    there = box_to_square(square, size)
    edges = apply(there[0], square.reshape(2, 2))
    np.testing.assert_allclose(edges, [[-0.5, -0.5], [size - 0.5, size - 0.5]], atol=1e-9 * size / side * 1e3)
    points = np.random.default_rng(1).uniform(-50, 50, (5, 2))
    np.testing.assert_allclose(apply(invert(there)[0], apply(there[0], points)), points, atol=1e-9)


def test_an_array_gives_the_same_crops_as_its_image() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    squares = np.array([[10.3, 12.7, 60.1, 62.5], [-20, -11, 40, 49], [70, 40, 170, 140], [50, 50, 54, 54]])
    for size in (12, 96):
        crops, expected = (
            crop_squares(pixels, squares, size),
            crop_squares(Image.fromarray(pixels), squares, size),
        )
        np.testing.assert_allclose(crops.astype(int), expected, atol=1)  # Pillow counts in single precision


def test_crops_of_several_images_in_their_order() -> None:
    images = [Pyramid(ramp()), Pyramid(np.asarray(ramp())), Pyramid(ramp())]
    squares = [np.array([[2.0, 3, 9, 10]]), np.zeros((0, 4)), np.array([[-4.0, 0, 12, 16], [5, 5, 9, 9]])]
    crops = crop_images(images, squares, 12, reducing_gap=1.5)
    np.testing.assert_array_equal(crops[:1], crop_squares(ramp(), squares[0], 12, 1.5))
    np.testing.assert_array_equal(crops[1:], crop_squares(ramp(), squares[2], 12, 1.5))
