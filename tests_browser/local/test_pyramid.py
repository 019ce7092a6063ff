"""The packed pyramid equals that of the runtime."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facegeom.crop import OUTSIDE
from facegeom.detection import cascade, pyramid

SETTINGS = {"window": cascade.WINDOW, "factor": pyramid.FACTOR, "gap": pyramid.GAP}


@pytest.mark.parametrize(
    ("width", "height", "scale"),
    [(640, 480, 0.26), (97, 205, 1.0), (5, 4, 1.0), (4000, 13, 0.5), (90, 90, 0.05)],
)
def test_plan(call: Any, width: int, height: int, scale: float) -> None:
    found = call("pyramid.js", "plan", width, height, scale, SETTINGS)
    expected = pyramid.plan(width, height, scale, cascade.WINDOW)
    assert [level["size"] for level in found["levels"]] == expected.sizes_wh.tolist()
    assert [level["corner"] for level in found["levels"]] == expected.corners_xy.tolist()
    assert found["canvasWh"] == list(expected.canvas_wh)


def test_canvas(call: Any, noise: Callable[[int, int], Image.Image]) -> None:
    image = noise(90, 70)
    levels = call("pyramid.js", "plan", 90, 70, 0.8, SETTINGS)
    expected = pyramid.paint(image, pyramid.plan(90, 70, 0.8, cascade.WINDOW))
    np.testing.assert_array_equal(call("pyramid.js", "paint", image, levels, OUTSIDE), expected)


def test_windows_of_the_whole_canvas(call: Any, call_each: Any) -> None:
    levels, plan = call("pyramid.js", "plan", 120, 90, 0.7, SETTINGS), pyramid.plan(120, 90, 0.7, 12)
    columns, rows = np.meshgrid(np.arange(0, plan.canvas_wh[0], 9), np.arange(0, plan.canvas_wh[1], 9))
    corners = np.stack([columns.ravel(), rows.ravel()], axis=1) - 0.5
    windows = np.concatenate([corners, corners + 12], axis=1)
    boxes, whole = pyramid.windows_to_photo(windows, plan, (120, 90))
    assert 0 < whole.sum() < len(whole)
    args = [(window, levels, (120, 90), pyramid.GAP) for window in windows]
    for found, box, good in zip(call_each("pyramid.js", "windowToPhoto", args), boxes, whole, strict=True):
        assert found == (pytest.approx(box.tolist()) if good else None)
