"""Levels of the image pyramid, and crops of them, equal the runtime's."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from facegeom.image.crop import OUTSIDE, cut
from facegeom.image.pyramid import Levels

_LEVELS_AND_CROPS = """async ([width, height, pixels, factors, squares, size, outside, gap]) => {
  const { Levels } = await import(new URL("/static/local/levels.js", location));
  const { cut } = await import(new URL("/static/local/crop.js", location));
  const levels = new Levels({ width, height, data: Uint8Array.from(pixels) });
  const copies = factors.map((factor) => [...levels.at(factor).data]);
  return { copies, crops: [...cut(levels, squares, size, outside, gap)] };
}"""

FACTORS, SIZE = (2, 6), 16


@pytest.mark.parametrize("gap", [None, 1.0, 2.0])
def test_levels_and_crops(
    module_page: Page, noise: Callable[[int, int], Image.Image], gap: float | None
) -> None:
    image, rng = noise(131, 90), np.random.default_rng(3)
    corner, side = rng.uniform(-30, 60, (12, 2)), rng.uniform(4, 150, (12, 1))
    squares = np.concatenate([corner, corner + side], axis=1)
    pixels = np.asarray(image).ravel().tolist()
    given = [image.width, image.height, pixels, FACTORS, squares.tolist(), SIZE, OUTSIDE, gap]
    found, levels = module_page.evaluate(_LEVELS_AND_CROPS, given), Levels(image)
    for factor, copy in zip(FACTORS, found["copies"], strict=True):
        np.testing.assert_array_equal(copy, np.asarray(levels.at(factor)).ravel())
    np.testing.assert_array_equal(found["crops"], cut(levels, squares, SIZE, gap).ravel())
