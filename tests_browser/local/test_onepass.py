"""The one-pass detector's scales and input images equal the runtime's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from facegeom.image.pyramid import Levels
from facegeom.models import detector
from facegeom.serve.pages import model_data

_CANVASES = """async ([width, height, pixels, minFace, settings]) => {
  const { levels, painted } = await import(new URL("/static/local/onepass.js", location));
  const { Levels } = await import(new URL("/static/local/levels.js", location));
  const all = levels(new Levels({ width, height, data: Uint8Array.from(pixels) }), minFace, settings);
  return Array.from(all, ({ level, ratio }) => ({ ratio, data: [...painted(level, settings).data] }));
}"""

SETTINGS = model_data()["detection"]


@pytest.mark.parametrize(
    ("longer_px", "min_face"), [(640, 35.2), (448, 24.6), (448, 12.0), (100, 1.0), (4000, 20.0), (20, 12.0)]
)
def test_scales(call: Any, longer_px: int, min_face: float) -> None:
    assert call("onepass.js", "scales", longer_px, min_face, SETTINGS) == detector._scales(
        longer_px, min_face
    )


@pytest.mark.parametrize("min_face", [10.0, 16.0, 33.0, 100.0])
def test_canvases(module_page: Page, noise: Callable[[int, int], Image.Image], min_face: float) -> None:
    image = noise(290, 171)
    pixels = np.asarray(image).ravel().tolist()
    found = module_page.evaluate(_CANVASES, [image.width, image.height, pixels, min_face, SETTINGS])
    expected = list(detector._levels(Levels(image), min_face))
    assert [one["ratio"] for one in found] == [ratio.tolist() for _, ratio in expected]
    for one, (level, _) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one["data"], detector.painted(level).ravel())
