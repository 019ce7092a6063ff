"""The browser's resizing is bit-equal to Pillow's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

Noise = Callable[[int, int], Image.Image]


@pytest.mark.parametrize(
    ("size_wh", "new_wh", "box"),
    [
        pytest.param((31, 17), (31, 17), None, id="same size"),
        pytest.param((64, 48), (32, 24), None, id="half"),
        pytest.param((61, 47), (13, 29), None, id="smaller"),
        pytest.param((9, 7), (40, 33), None, id="larger"),
        pytest.param((60, 50), (24, 24), (3.3, 7.9, 40.1, 45.25), id="part"),
        pytest.param((60, 50), (24, 24), (10.5, 11.25, 16.125, 16.875), id="small part, enlarged"),
        pytest.param((90, 80), (5, 3), (0.1, 0.2, 89.9, 79.7), id="far smaller"),
        pytest.param((1, 1), (3, 2), None, id="one pixel"),
        pytest.param((31, 64), (30, 20), None, id="lower"),
        pytest.param((40, 64), (50, 20), (3.3, 7.9, 37.1, 60.25), id="part, lower and wider"),
        pytest.param((48, 64), (24, 24), None, id="upright"),
    ],
)
def test_resize(
    call: Any,
    noise: Noise,
    size_wh: tuple[int, int],
    new_wh: tuple[int, int],
    box: tuple[float, float, float, float] | None,
) -> None:
    image = noise(*size_wh)
    expected = image.resize(new_wh, Image.Resampling.BILINEAR, box=box)
    found = call("resample.js", "resize", image, new_wh, *([box] if box else []))
    np.testing.assert_array_equal(found, np.asarray(expected))


@pytest.mark.parametrize("gap", [1.0, 1.5])
@pytest.mark.parametrize("box", [(0, 0, 90, 80), (3.3, 7.9, 80.1, 45.25), (20.5, 30.5, 40.0, 79.9)])
def test_resize_of_averaged_pixels(
    call: Any, noise: Noise, box: tuple[float, float, float, float], gap: float
) -> None:
    image = noise(90, 80)
    expected = image.resize((12, 12), Image.Resampling.BILINEAR, box=box, reducing_gap=gap)
    found = call("resample.js", "resize", image, (12, 12), box, gap)
    np.testing.assert_array_equal(found, np.asarray(expected))


@pytest.mark.parametrize("factors", [(2, 2), (3, 3), (4, 4), (5, 5), (7, 2), (1, 11)])
def test_reduce_with_partial_blocks_at_the_edges(call: Any, noise: Noise, factors: tuple[int, int]) -> None:
    image = noise(47, 38)
    np.testing.assert_array_equal(
        call("resample.js", "reduce", image, factors), np.asarray(image.reduce(factors))
    )
