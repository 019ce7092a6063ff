"""The image pyramid: levels are means of pixels, made once; which level a crop is cut from."""

import numpy as np
import pytest
from PIL import Image

from facegeom.image.crop import crop_squares
from facegeom.image.pyramid import BAND_PIXELS, Pyramid

NOISE = np.random.default_rng(2).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def smooth() -> Image.Image:
    """Return waves that are long against every step taken here."""
    y, x = np.mgrid[:300, :400] / 40
    waves = [127 + 90 * np.sin(x + y), 127 + 90 * np.cos(x - 2 * y), 127 + 90 * np.sin(2 * x)]
    return Image.fromarray(np.stack(waves, axis=2).astype(np.uint8))


@pytest.mark.parametrize("factor", [1, 2, 3, 6])
def test_levels_are_means(factor: int) -> None:
    means = NOISE.reshape(90 // factor, factor, 120 // factor, factor, 3).mean(axis=(1, 3))
    for image in (NOISE, Image.fromarray(NOISE)):
        np.testing.assert_allclose(np.asarray(Pyramid(image).level(factor)), means, atol=0.6)


def test_a_level_is_made_once_and_from_a_finer_one() -> None:
    image = Image.fromarray(NOISE)
    pyramid = Pyramid(image)
    half = pyramid.level(2)
    assert pyramid.level(2) is half and pyramid.level(1) is image and pyramid.size_wh == (120, 90)
    np.testing.assert_array_equal(np.asarray(pyramid.level(6)), np.asarray(half.reduce(3)))
    assert sorted(pyramid.levels) == [1, 2, 6]


def test_an_array_is_converted_on_demand() -> None:
    pyramid = Pyramid(NOISE)
    assert pyramid.pixels is NOISE and pyramid.size_wh == (120, 90) and not pyramid.levels
    np.testing.assert_array_equal(np.asarray(pyramid.level(1)), NOISE)
    np.testing.assert_array_equal(Pyramid(Image.fromarray(NOISE)).pixels, NOISE)


def test_a_large_array_is_reduced_in_bands_and_never_converted_whole() -> None:
    rows = BAND_PIXELS // 64 + 100
    large = np.random.default_rng(3).integers(0, 256, (rows, 64, 3), dtype=np.uint8)
    whole, pyramid = Image.fromarray(large), Pyramid(large)
    for factor in (3, 7):
        np.testing.assert_array_equal(np.asarray(pyramid.level(factor)), np.asarray(whole.reduce(factor)))
    assert 1 not in pyramid.levels
    box = (5, rows // 2 - 20, 11, rows // 2)
    np.testing.assert_array_equal(np.asarray(pyramid.part(2, box)), np.asarray(Pyramid(whole).part(2, box)))


@pytest.mark.parametrize("side", [11.7, 40.123, 61.4])
def test_crops_of_an_array_are_those_of_its_image(side: float) -> None:
    """They are equal to the byte, whether the array was converted whole or only under the crop."""
    squares = np.array([[20.37, 10.91, 20.37 + side, 10.91 + side], [-5.2, -7.1, side, side - 1.9]])
    of_image = crop_squares(Image.fromarray(NOISE), squares, 16, reducing_gap=1.0)
    np.testing.assert_array_equal(crop_squares(NOISE, squares, 16, reducing_gap=1.0), of_image)


def crop_level(pyramid: Pyramid, step: float) -> int:
    """Return the grey level in the middle of a crop of 3 x 3 pixels, each ``step`` pixels of the image."""
    middle, half = np.array([59.5, 44.5]), 1.5 * step
    square = np.concatenate([middle - half, middle + half])[None]
    return int(crop_squares(pyramid, square, 3, reducing_gap=1.0)[0, 1, 1, 0])


def test_crops_are_cut_from_the_coarsest_level_that_is_fine_enough() -> None:
    """Each level is painted with its factor."""
    pyramid = Pyramid(Image.new("RGB", (120, 90), (1, 1, 1)))
    assert crop_level(pyramid, 5) == 1
    for factor in (2, 6):
        pyramid.level(factor)
        pyramid.levels[factor] = Image.new("RGB", (120 // factor, 90 // factor), (factor,) * 3)
    assert [crop_level(pyramid, most) for most in (0.3, 1, 1.9, 2, 5.9, 6, 100)] == [1, 1, 1, 2, 2, 6, 6]


@pytest.mark.parametrize("side", [40.0, 150.0, 270.0, 500.0])
def test_crops_from_levels_are_those_of_the_image(side: float) -> None:
    pyramid = Pyramid(smooth())
    pyramid.level(2), pyramid.level(4)
    square = np.array([[60.3, 30.7, 60.3 + side, 30.7 + side]])
    exact, quick = crop_squares(smooth(), square, 64), crop_squares(pyramid, square, 64, reducing_gap=1.0)
    step = side / 64
    np.testing.assert_allclose(quick.astype(int), exact.astype(int), atol=2 + 3 * step)
    assert np.abs(quick.astype(int) - exact).mean() < 0.5 * step
    np.testing.assert_array_equal(crop_squares(pyramid, square, 64), exact)  # without a reducing gap
