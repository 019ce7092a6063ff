"""Crops equal the runtime's, also where they extend beyond the image."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facegeom.image.crop import OUTSIDE, cut


@pytest.mark.parametrize(
    "square",
    [
        pytest.param((10.2, 5.7, 40.2, 35.7), id="within"),
        pytest.param((-0.5, -0.5, 23.5, 23.5), id="pixel by pixel"),
        pytest.param((-20.3, -11.1, 30.7, 39.9), id="beyond the top left"),
        pytest.param((30.0, 20.0, 90.0, 80.0), id="beyond the bottom right"),
        pytest.param((-30.0, -40.0, 110.0, 100.0), id="around the image"),
        pytest.param((200.0, 200.0, 230.0, 230.0), id="outside"),
        pytest.param((12.1, 12.1, 15.4, 15.4), id="enlarged"),
        pytest.param((9.0, 9.0, 9.0, 9.0), id="empty"),
        pytest.param((40.0, 35.0, 10.0, 5.0), id="inverted"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_one_square(call: Any, noise: Callable[[int, int], Image.Image], square: tuple[float, ...]) -> None:
    image = noise(60, 50)
    found = np.reshape(call("crop.js", "cut", image, [square], 24, OUTSIDE), (1, 24, 24, 3))
    np.testing.assert_array_equal(found, cut(image, np.array([square]), 24))


def test_many_squares_lie_one_after_the_other(call: Any, noise: Callable[[int, int], Image.Image]) -> None:
    image, rng = noise(80, 60), np.random.default_rng(3)
    corner, side = rng.uniform(-30, 60, (12, 2)), rng.uniform(1, 70, (12, 1))
    squares = np.concatenate([corner, corner + side], axis=1)
    for gap in (None, 1.0):
        found = np.reshape(call("crop.js", "cut", image, squares, 16, OUTSIDE, gap), (12, 16, 16, 3))
        np.testing.assert_array_equal(found, cut(image, squares, 16, gap))
