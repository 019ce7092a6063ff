"""The cascade with networks that measure red squares on black, and its packed pyramid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facegeom.image.crop import OUTSIDE
from facegeom.image.pyramid import Pyramid
from facegeom.models.cascade import (
    FACTOR,
    GAP,
    CascadeDetector,
    PyramidPlan,
    Thresholds,
    paint_pyramid,
    plan_pyramid,
    windows_to_image,
)

Square = tuple[float, float, float]  # centre x, y, side

WINDOW = 12

sides = st.integers(1, 3000)
scales = st.floats(0.01, 1)


def red_squares(image: np.ndarray) -> np.ndarray:
    """Return the edges (F, 4) of the red squares in an image (H, W, 3), from their mass and its centre."""
    red = image[..., 0].astype(float) - image[..., 1]
    labels = connected(red > 5)
    found = []
    for label in np.unique(labels[red > 5]):
        row, column = np.nonzero(labels == label)
        weight = red[row, column]
        centre = np.array([weight @ column, weight @ row]) / weight.sum()
        half = np.sqrt(weight.sum() / 255) / 2
        found.append(np.concatenate([centre - half, centre + half]))
    return np.array(found).reshape(-1, 4)


def connected(mask: np.ndarray) -> np.ndarray:
    """Label the connected parts of a mask (H, W), in the order of their first pixels."""
    labels = np.where(mask, np.arange(mask.size).reshape(mask.shape), mask.size)
    while True:
        around = np.pad(labels, 1, constant_values=mask.size)
        near = (labels, around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
        grown = np.where(mask, np.min(near, axis=0), mask.size)
        if (grown == labels).all():
            return labels
        labels = grown


def overlap(windows: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the intersection over union (K, F) of windows (K, 4) and faces (F, 4)."""
    low = np.maximum(windows[:, None, :2], faces[:, :2])
    high = np.minimum(windows[:, None, 2:], faces[:, 2:])
    inter = np.prod(np.clip(high - low, 0, None), axis=2)
    sizes = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (windows, faces)]
    return inter / (sizes[0][:, None] + sizes[1] - inter)


class FakePNet:
    """Score a window by its overlap with a red square, whose edges are predicted too wide by ``slack``."""

    def __init__(self, slack: float = 1.0) -> None:
        self.slack = slack

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        rows, columns = ((side - 2) // 2 - 4 for side in images.shape[1:3])
        y, x = np.mgrid[:rows, :columns]
        corner = np.stack([x.ravel(), y.ravel()], axis=1) * 2 - 0.5
        windows = np.concatenate([corner, corner + 12], axis=1)
        faces = red_squares(images[0])
        if not len(faces):
            return [np.zeros((1, rows, columns)), np.zeros((1, 4, rows, columns))]
        shared = overlap(windows, faces)
        best = faces[shared.argmax(axis=1)]
        grow = (best[:, 2:] - best[:, :2]) * (self.slack - 1) / 2
        offsets = (best + np.concatenate([-grow, grow], axis=1) - windows) / 12
        return [shared.max(axis=1).reshape(1, rows, columns), offsets.T.reshape(1, 4, rows, columns)]


class FakeRNet:
    """Find the edges of the red square in each window."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, windows: np.ndarray) -> list[np.ndarray]:
        self.batches.append(len(windows))
        faces = [red_squares(window) for window in windows]
        score = [0.9 if len(found) else 0.0 for found in faces]
        offsets = [
            (found[0] - (-0.5, -0.5, 23.5, 23.5)) / 24 if len(found) else np.zeros(4) for found in faces
        ]
        return [np.array(score), np.array(offsets)]


def photo(width: int, height: int, *squares: Square) -> Pyramid:
    image = np.zeros((height, width, 3), np.uint8)
    for x, y, side in squares:
        low, high = np.array([x, y]) - side / 2 + 0.5, np.array([x, y]) + side / 2 + 0.5
        (left, top), (right, bottom) = low.astype(int), high.astype(int)
        image[top:bottom, left:right, 0] = 255
    return Pyramid(image)


def edges(*squares: Square) -> np.ndarray:
    return np.array([[x - side / 2, y - side / 2, x + side / 2, y + side / 2] for x, y, side in squares])


@pytest.mark.parametrize("slack", [1.0, 1.3])
@pytest.mark.parametrize(
    ("size_wh", "square", "min_face"),
    [
        ((120, 90), (40.5, 50.5, 20), 12.0),
        ((640, 480), (400.5, 130.5, 60), 35.0),
        ((640, 480), (110.5, 350.5, 200), 35.0),
        ((900, 1200), (450.5, 1000.5, 300), 66.0),
        ((1001, 333), (930.5, 200.5, 100), 60.0),
    ],
)
def test_square_at_the_right_place_and_scale(
    size_wh: tuple[int, int], square: Square, min_face: float, slack: float
) -> None:
    cascade = CascadeDetector(FakePNet(slack), FakeRNet())
    found, scores = cascade([photo(*size_wh, square)], [min_face])[0]
    np.testing.assert_allclose(found, edges(square), atol=0.03 * square[2])
    np.testing.assert_allclose(scores, [0.9])


def test_two_faces_of_different_sizes() -> None:
    pair = (60.5, 60.5, 30), (300.5, 180.5, 160)
    found, _ = CascadeDetector(FakePNet(), FakeRNet())([photo(480, 320, *pair)], [24.0])[0]
    assert len(found) == 2
    np.testing.assert_allclose(found[np.argsort(found[:, 0])], edges(*pair), atol=4)


def test_faces_smaller_than_min_face_are_left_out() -> None:
    image = photo(400, 400, (200.5, 200.5, 20))
    cascade = CascadeDetector(FakePNet(), FakeRNet())
    assert len(cascade([image], [16.0])[0][0]) == 1
    assert len(cascade([image], [60.0])[0][0]) == 0


def test_no_proposals() -> None:
    rnet = FakeRNet()
    found = CascadeDetector(FakePNet(), rnet)([photo(100, 80), photo(30, 200)], [12.0, 12.0])
    assert [(squares.shape, scores.shape) for squares, scores in found] == [((0, 4), (0,))] * 2
    assert rnet.batches == []
    assert CascadeDetector(FakePNet(), rnet)([], []) == []


def test_batch_of_mixed_sizes_equals_one_by_one() -> None:
    photos = [
        photo(120, 90, (40.5, 50.5, 20)),
        photo(64, 64),
        photo(640, 480, (400.5, 130.5, 90), (100.5, 300.5, 70)),
        photo(11, 7),
    ]
    smallest, rnet = [12.0, 12.0, 35.0, 12.0], FakeRNet()
    cascade = CascadeDetector(FakePNet(1.2), rnet)
    together = cascade(photos, smallest)
    assert len(rnet.batches) == 1  # all windows in one call
    assert [len(squares) for squares, _ in together] == [1, 0, 2, 0]
    for image, face, (squares, scores) in zip(photos, smallest, together, strict=True):
        alone = cascade([image], [face])[0]
        np.testing.assert_allclose(squares, alone[0])
        np.testing.assert_allclose(scores, alone[1])


def test_thresholds() -> None:
    image = photo(120, 90, (40.5, 50.5, 20))
    for limits in (Thresholds(propose=1.1), Thresholds(refine=0.95)):
        assert len(CascadeDetector(FakePNet(), FakeRNet(), limits)([image], [12.0])[0][0]) == 0


def test_best_windows_alone_are_refined() -> None:
    rnet = FakeRNet()
    limits = Thresholds(propose=0.05, propose_overlap=1.0, propose_most=7)
    CascadeDetector(FakePNet(), rnet, limits)([photo(120, 90, (40.5, 50.5, 20))], [12.0])
    assert rnet.batches == [7]


# From here on: the packed pyramid.


def rectangles(plan: PyramidPlan) -> np.ndarray:
    """Return left, top, right, bottom (L, 4) of the plan, right and bottom exclusive."""
    return np.concatenate([plan.corners_xy, plan.corners_xy + plan.sizes_wh], axis=1)


@given(sides, sides, scales)
def test_levels_lie_apart_on_the_canvas(width: int, height: int, scale: float) -> None:
    plan = plan_pyramid(width, height, scale, WINDOW)
    boxes = rectangles(plan)
    assert boxes[:, :2].min() == GAP
    np.testing.assert_array_equal(boxes[:, 2:].max(axis=0) + GAP, plan.canvas_wh)
    for index, box in enumerate(boxes):
        others = boxes[index + 1 :]
        gap = np.maximum(others[:, :2] - box[2:], box[:2] - others[:, 2:]).max(axis=1)
        assert (gap >= GAP).all()


@given(sides, sides, scales)
def test_sizes_of_the_levels(width: int, height: int, scale: float) -> None:
    sizes = plan_pyramid(width, height, scale, WINDOW).sizes_wh
    wanted = np.maximum(np.rint(np.array([width, height]) * scale), 1)
    np.testing.assert_array_equal(sizes[0], np.maximum(wanted, WINDOW))
    assert (sizes >= WINDOW).all()
    assert len(sizes) == 1 or sizes[-1].min() * FACTOR < WINDOW + 0.5
    np.testing.assert_allclose(sizes[1:], wanted * FACTOR ** np.c_[1 : len(sizes)], atol=0.51)


@given(st.integers(200, 2000), st.integers(200, 2000))
def test_all_levels_lie_beside_the_first(width: int, height: int) -> None:
    plan = plan_pyramid(width, height, 1, WINDOW)
    assert plan.canvas_wh[1] == height + 2 * GAP
    assert plan.canvas_wh[0] < 2 * width


def test_painted_levels() -> None:
    plan = plan_pyramid(90, 60, 0.8, WINDOW)
    canvas = paint_pyramid(Image.new("RGB", (90, 60), (250, 20, 20)), plan)
    assert canvas.shape == (plan.canvas_wh[1], plan.canvas_wh[0], 3)
    expected = np.full_like(canvas, OUTSIDE)
    for left, top, right, bottom in rectangles(plan).tolist():
        expected[top:bottom, left:right] = 250, 20, 20
    np.testing.assert_array_equal(canvas, expected)


@given(st.floats(0.2, 0.8), st.floats(0.2, 0.8), st.floats(0.1, 1))
def test_a_point_is_mapped_back_from_every_level(x: float, y: float, scale: float) -> None:
    photo_wh = np.array([640, 400])
    plan = plan_pyramid(640, 400, scale, WINDOW)
    plan = PyramidPlan(plan.sizes_wh[:3], plan.corners_xy[:3], plan.canvas_wh)
    point = np.array([x, y]) * photo_wh - 0.5
    centre = plan.corners_xy + plan.sizes_wh * (x, y) - 0.5
    found, inside = windows_to_image(np.concatenate([centre - 1, centre + 1], axis=1), plan, (640, 400))
    assert inside.all()
    np.testing.assert_allclose((found[:, :2] + found[:, 2:]) / 2, np.tile(point, (len(found), 1)), atol=1e-6)
    np.testing.assert_allclose(found[:, 2:] - found[:, :2], 2 * photo_wh / plan.sizes_wh)


def test_windows_that_reach_another_level_are_dropped() -> None:
    plan = plan_pyramid(200, 150, 0.9, WINDOW)
    y, x = np.mgrid[: plan.canvas_wh[1] - 11, : plan.canvas_wh[0] - 11]
    corner = np.stack([x.ravel(), y.ravel()], axis=1)
    windows = np.concatenate([corner, corner + WINDOW], axis=1)
    _, kept = windows_to_image(windows - 0.5, plan, (200, 150))
    shared = [
        np.clip(np.minimum(windows[:, 2:], box[2:]) - np.maximum(windows[:, :2], box[:2]), 0, None).prod(
            axis=1
        )
        for box in rectangles(plan)
    ]
    inside = np.max(shared, axis=0) == WINDOW**2
    assert (np.count_nonzero(shared, axis=0)[kept] == 1).all()  # its own level and no other
    assert kept[inside].all()
    assert inside.sum() < kept.sum() < len(kept)  # those that reach into the grey a little are kept too


@pytest.mark.parametrize("size_wh", [(1, 1), (20000, 10), (10, 20000)])
def test_photos_smaller_than_a_window(size_wh: tuple[int, int]) -> None:
    plan = plan_pyramid(*size_wh, 0.1, WINDOW)
    canvas = paint_pyramid(Image.new("RGB", size_wh, (9, 9, 9)), plan)
    assert len(plan.sizes_wh) == 1 and min(canvas.shape[:2]) == WINDOW + 2 * GAP
    assert (canvas[GAP:-GAP, GAP:-GAP] == 9).all()
