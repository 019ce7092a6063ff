"""The trees run in numpy: by hand, and beside dlib itself."""

from pathlib import Path

import dlib
import numpy as np
import pytest

from facegeom_lab.studies.baselines import dlib_file
from facegeom_lab.studies.baselines.dlib_trees import predict
from facegeom_lab.studies.baselines.shape_predictor import ShapePredictor, intensity
from facegeom_lab.studies.baselines.trees import TREES, BoxedFaces

BOX = np.array([10.0, 20, 30, 40])


@pytest.fixture
def stump() -> ShapePredictor:
    """One split: is the pixel at the first point brighter than that right of the second by more than 50?"""
    leaves = np.zeros((1, 1, 2, 2, 2), np.float32)
    leaves[0, 0, 0], leaves[0, 0, 1] = [[0.5, 0], [0, 0]], [[0, 0], [0, 0.25]]
    return ShapePredictor(
        initial=np.array([[0.25, 0.5], [0.75, 0.5]], np.float32),
        anchors=np.array([[0, 1]]),
        deltas=np.array([[[0, 0], [0.25, 0]]], np.float32),
        pixels=np.array([[[[0, 1]]]]),
        thresholds=np.array([[[50]]], np.float32),
        leaves=leaves,
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (151, 100, [[25, 30], [25, 30]]),  # left: the first point goes right by half a box
        (150, 100, [[15, 30], [25, 35]]),  # right: the second one goes down by a quarter
    ],
)
def test_a_stump_by_hand(stump: ShapePredictor, first: int, second: int, expected: list[list[float]]) -> None:
    image = np.zeros((60, 60), np.uint8)
    image[30, 15], image[30, 30] = first, second
    np.testing.assert_allclose(stump.predict(image, BOX), expected)
    np.testing.assert_allclose(stump.predict(np.repeat(image[..., None], 3, axis=2), BOX + 0.4), expected)


def test_outside_the_picture_is_black(stump: ShapePredictor) -> None:
    image = np.full((60, 30), 51, np.uint8)  # the second pixel is in the column behind the last
    assert stump.predict(image, BOX)[0, 0] == 25
    assert stump.predict(image, BOX - (60, 0, 60, 0))[0, 0] == 15 - 60


def test_features_turn_with_the_shape(stump: ShapePredictor) -> None:
    """A second forest looks for its pixels in the shape that the first one made."""
    two = ShapePredictor(
        initial=stump.initial,
        anchors=np.repeat(stump.anchors, 2, axis=0),
        deltas=np.repeat(stump.deltas, 2, axis=0),
        pixels=np.repeat(stump.pixels, 2, axis=0),
        thresholds=np.repeat(stump.thresholds, 2, axis=0),
        leaves=np.repeat(stump.leaves, 2, axis=0),
    )
    two.leaves[0, 0, 1] = [
        [0.25, -0.25],
        [-0.25, 0.25],
    ]  # a quarter turn: the points now lie one above the other
    image = np.zeros((60, 60), np.uint8)
    image[25, 20], image[40, 20] = 200, 149
    np.testing.assert_allclose(two.predict(image, BOX), [[30, 25], [20, 35]])
    image[40, 20] = 150
    np.testing.assert_allclose(two.predict(image, BOX), [[20, 25], [20, 40]])


def test_grey_levels_are_means_rounded_down() -> None:
    assert intensity(np.array([[[255, 255, 255], [1, 2, 2]]], np.uint8)).tolist() == [[255, 1]]


@pytest.mark.parametrize("turn", [False, True], ids=["upright", "transposed"])
def test_dlib_says_the_same(run_folder: Path, test_faces: BoxedFaces, turn: bool) -> None:
    ours, theirs = dlib_file.read(run_folder / TREES), dlib.shape_predictor(str(run_folder / TREES))
    for record, box in zip(test_faces.records, test_faces.boxes_xyxy, strict=True):
        photo = record.read()
        if turn:  # far from what it has learned, half outside: other leaves, black pixels
            photo, box = np.ascontiguousarray(photo.swapaxes(0, 1)), box[[1, 0, 3, 2]] - (30, 10, 20, 0)
        found = ours.predict(photo, box)
        assert np.abs(found - predict(theirs, photo, box)).max() <= 0.5 + 1e-4
