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
    ("photo_wh", "min_face"),
    [((640, 480), 35.2), ((448, 448), 14.0), ((100, 80), 1.0), ((4000, 3000), 20.0), ((20, 10), 12.0)],
)
def test_levels(call: Any, photo_wh: tuple[int, int], min_face: float) -> None:
    assert call("onepass.js", "levels", photo_wh, min_face, SETTINGS) == onepass._levels(photo_wh, min_face)


@pytest.mark.parametrize("longer_px", [32, 64, 96, 256])
def test_canvas(call: Any, noise: Callable[[int, int], Image.Image], longer_px: int) -> None:
    image = noise(190, 71)
    expected, seen_wh = onepass._painted(image, longer_px)
    assert call("onepass.js", "seenSize", {"width": 190, "height": 71}, longer_px) == list(seen_wh)
    np.testing.assert_array_equal(call("onepass.js", "painted", image, longer_px, SETTINGS), expected)
