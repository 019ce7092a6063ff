"""The packed pyramid: levels apart, windows back in the photo."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facegeom.image.crop import OUTSIDE
from facegeom.models import packed_pyramid

SMALLEST = 12

sides = st.integers(1, 3000)
scales = st.floats(0.01, 1)


def rectangles(levels: packed_pyramid.Plan) -> np.ndarray:
    """(L, 4) left, top, right, bottom of the levels, right and bottom exclusive."""
    return np.concatenate([levels.corners_xy, levels.corners_xy + levels.sizes_wh], axis=1)


@given(sides, sides, scales)
def test_levels_lie_apart_on_the_canvas(width: int, height: int, scale: float) -> None:
    levels = packed_pyramid.plan(width, height, scale, SMALLEST)
    boxes = rectangles(levels)
    assert boxes[:, :2].min() == packed_pyramid.GAP
    np.testing.assert_array_equal(boxes[:, 2:].max(axis=0) + packed_pyramid.GAP, levels.canvas_wh)
    for index, box in enumerate(boxes):
        others = boxes[index + 1 :]
        gap = np.maximum(others[:, :2] - box[2:], box[:2] - others[:, 2:]).max(axis=1)
        assert (gap >= packed_pyramid.GAP).all()


@given(sides, sides, scales)
def test_sizes_of_the_levels(width: int, height: int, scale: float) -> None:
    sizes = packed_pyramid.plan(width, height, scale, SMALLEST).sizes_wh
    wanted = np.maximum(np.rint(np.array([width, height]) * scale), 1)
    np.testing.assert_array_equal(sizes[0], np.maximum(wanted, SMALLEST))
    assert (sizes >= SMALLEST).all()
    assert len(sizes) == 1 or sizes[-1].min() * packed_pyramid.FACTOR < SMALLEST + 0.5
    np.testing.assert_allclose(sizes[1:], wanted * packed_pyramid.FACTOR ** np.c_[1 : len(sizes)], atol=0.51)


@given(st.integers(200, 2000), st.integers(200, 2000))
def test_everything_stands_beside_the_first_level(width: int, height: int) -> None:
    levels = packed_pyramid.plan(width, height, 1, SMALLEST)
    assert levels.canvas_wh[1] == height + 2 * packed_pyramid.GAP
    assert levels.canvas_wh[0] < 2 * width


def test_paint() -> None:
    levels = packed_pyramid.plan(90, 60, 0.8, SMALLEST)
    canvas = packed_pyramid.paint(Image.new("RGB", (90, 60), (250, 20, 20)), levels)
    assert canvas.shape == (levels.canvas_wh[1], levels.canvas_wh[0], 3)
    expected = np.full_like(canvas, OUTSIDE)
    for left, top, right, bottom in rectangles(levels).tolist():
        expected[top:bottom, left:right] = 250, 20, 20
    np.testing.assert_array_equal(canvas, expected)


@given(st.floats(0.2, 0.8), st.floats(0.2, 0.8), st.floats(0.1, 1))
def test_a_point_comes_back_from_every_level(x: float, y: float, scale: float) -> None:
    photo_wh = np.array([640, 400])
    levels = packed_pyramid.plan(640, 400, scale, SMALLEST)
    levels = packed_pyramid.Plan(levels.sizes_wh[:3], levels.corners_xy[:3], levels.canvas_wh)
    point = np.array([x, y]) * photo_wh - 0.5
    centre = levels.corners_xy + levels.sizes_wh * (x, y) - 0.5
    found, whole = packed_pyramid.windows_to_photo(
        np.concatenate([centre - 1, centre + 1], axis=1), levels, (640, 400)
    )
    assert whole.all()
    np.testing.assert_allclose((found[:, :2] + found[:, 2:]) / 2, np.tile(point, (len(found), 1)), atol=1e-6)
    np.testing.assert_allclose(found[:, 2:] - found[:, :2], 2 * photo_wh / levels.sizes_wh)


def test_windows_that_reach_another_level_are_dropped() -> None:
    levels = packed_pyramid.plan(200, 150, 0.9, SMALLEST)
    y, x = np.mgrid[: levels.canvas_wh[1] - 11, : levels.canvas_wh[0] - 11]
    corner = np.stack([x.ravel(), y.ravel()], axis=1)
    windows = np.concatenate([corner, corner + SMALLEST], axis=1)
    _, kept = packed_pyramid.windows_to_photo(windows - 0.5, levels, (200, 150))
    shared = [
        np.clip(np.minimum(windows[:, 2:], box[2:]) - np.maximum(windows[:, :2], box[:2]), 0, None).prod(
            axis=1
        )
        for box in rectangles(levels)
    ]
    inside = np.max(shared, axis=0) == SMALLEST**2
    assert (np.count_nonzero(shared, axis=0)[kept] == 1).all()  # its own level and no other
    assert kept[inside].all()
    assert inside.sum() < kept.sum() < len(kept)  # those that reach into the grey a little are kept too


@pytest.mark.parametrize("size_wh", [(1, 1), (20000, 10), (10, 20000)])
def test_photos_smaller_than_a_window(size_wh: tuple[int, int]) -> None:
    levels = packed_pyramid.plan(*size_wh, 0.1, SMALLEST)
    canvas = packed_pyramid.paint(Image.new("RGB", size_wh, (9, 9, 9)), levels)
    assert len(levels.sizes_wh) == 1 and min(canvas.shape[:2]) == SMALLEST + 2 * packed_pyramid.GAP
    assert (
        canvas[packed_pyramid.GAP : -packed_pyramid.GAP, packed_pyramid.GAP : -packed_pyramid.GAP] == 9
    ).all()
