"""The one-pass detector around its network equals that of the runtime."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facegeom.detection import onepass
from facegeom.serve import model_data

SETTINGS = model_data.shared()["detection"]


@pytest.mark.parametrize(
    ("longer_px", "min_face"), [(640, 35.2), (448, 24.6), (448, 12.0), (100, 1.0), (4000, 20.0), (20, 12.0)]
)
def test_scales(call: Any, longer_px: int, min_face: float) -> None:
    assert call("onepass.js", "scales", longer_px, min_face, SETTINGS) == onepass._scales(longer_px, min_face)


@pytest.mark.parametrize("scale", [1.6, 1 / 2, 1 / 5])
def test_canvas(call: Any, noise: Callable[[int, int], Image.Image], scale: float) -> None:
    image = noise(190, 71)
    canvas, _ = onepass.painted(image, scale)
    np.testing.assert_array_equal(call("onepass.js", "painted", image, scale, SETTINGS), canvas)
