"""A picture and its smaller copies: means of pixels, made once, and what crops take of them."""

import numpy as np
import pytest
from PIL import Image

from facegeom.image.crop import cut
from facegeom.image.pyramid import Levels

NOISE = np.random.default_rng(2).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def smooth() -> Image.Image:
    """Waves that are long against every step taken here."""
    y, x = np.mgrid[:300, :400] / 40
    waves = [127 + 90 * np.sin(x + y), 127 + 90 * np.cos(x - 2 * y), 127 + 90 * np.sin(2 * x)]
    return Image.fromarray(np.stack(waves, axis=2).astype(np.uint8))


@pytest.mark.parametrize("factor", [1, 2, 3, 6])
def test_copies_are_means(factor: int) -> None:
    means = NOISE.reshape(90 // factor, factor, 120 // factor, factor, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(np.asarray(Levels(Image.fromarray(NOISE)).at(factor)), means, atol=0.6)


def test_a_copy_is_made_once_and_of_a_smaller_one() -> None:
    levels = Levels(Image.fromarray(NOISE))
    half = levels.at(2)
    assert levels.at(2) is half and levels.at(1) is levels.whole and levels.size == (120, 90)
    np.testing.assert_array_equal(np.asarray(levels.at(6)), np.asarray(half.reduce(3)))
    assert Levels.of(levels) is levels and Levels.of(levels.whole).whole is levels.whole


def test_the_smallest_copy_of_those_there_are() -> None:
    levels = Levels(Image.fromarray(NOISE))
    assert levels.smallest(5)[1] == 1
    levels.at(2), levels.at(6)
    assert [levels.smallest(most)[1] for most in (0.3, 1, 1.9, 2, 5.9, 6, 100)] == [1, 1, 1, 2, 2, 6, 6]


@pytest.mark.parametrize("side", [40.0, 150.0, 270.0, 500.0])
def test_crops_from_copies_are_those_of_the_picture(side: float) -> None:
    levels = Levels(smooth())
    levels.at(2), levels.at(4)
    square = np.array([[60.3, 30.7, 60.3 + side, 30.7 + side]])
    exact, quick = cut(levels.whole, square, 64), cut(levels, square, 64, reducing_gap=1.0)
    step = side / 64
    np.testing.assert_allclose(quick.astype(int), exact.astype(int), atol=2 + 3 * step)
    assert np.abs(quick.astype(int) - exact).mean() < 0.5 * step
    np.testing.assert_array_equal(cut(levels, square, 64), exact)  # not asked to be quick
