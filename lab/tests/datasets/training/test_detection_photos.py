"""Photos that the detectors' training images are made of: levels, loading, crowds, drawn masks."""

import numpy as np
import pytest

from facegeom.geometry.boxes import face_box
from facegeom.geometry.rotation import rotation_from_angles
from facegeom_lab.datasets.training import detection_photos
from facegeom_lab.datasets.training.detection_photos import PhotoPyramid, crowd_squares, draw_mask


def red_square(width: int, height: int, left: int, top: int, side: int) -> PhotoPyramid:
    """Draw a grey photo with a red square for a face."""
    image = np.full((height, width, 3), 90, np.uint8)
    image[top : top + side, left : left + side] = 255, 0, 0
    return PhotoPyramid.build(image, np.array([[left, top, left + side, top + side]]) - 0.5)


def centre_and_side(image: np.ndarray) -> tuple[np.ndarray, float]:
    red = np.clip(image[..., 0].astype(float) - image[..., 1], 0, None)
    y, x = np.mgrid[: red.shape[0], : red.shape[1]]
    return np.array([(red * x).sum(), (red * y).sum()]) / red.sum(), float(np.sqrt(red.sum() / 255))


def test_halved_copies() -> None:
    photo = red_square(300, 200, 40, 60, 80)
    assert [level.shape[:2] for level in photo.levels] == [(200, 300), (100, 150), (50, 75), (25, 37)]
    assert len(PhotoPyramid.build(np.zeros((30, 500, 3), np.uint8), np.zeros((0, 4))).levels) == 1


@pytest.mark.parametrize("scale", [0.06, 0.2, 0.5, 0.9, 1.4])
@pytest.mark.parametrize("turn_deg", [0, 35])
def test_cut_obeys_the_map_at_every_level(scale: float, turn_deg: float) -> None:
    photo = red_square(403, 302, 150, 100, 101)
    linear = rotation_from_angles(0, 0, turn_deg)[:2, :2] * scale
    middle = np.array([200.0, 150])  # of the square
    matrix = np.concatenate([linear, (np.array([130.3, 120.8]) - linear @ middle)[:, None]], axis=1)
    centre, side = centre_and_side(photo.warp(matrix, 256))
    np.testing.assert_allclose(centre, (130.3, 120.8), atol=0.15)
    assert side == pytest.approx(101 * scale, rel=0.04)


def test_cut_is_antialiased() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    small = PhotoPyramid.build(stripes, np.zeros((0, 4))).warp(np.array([[0.125, 0, 0], [0, 0.125, 0]]), 24)
    np.testing.assert_allclose(small[4:-4, 4:-4], 100, atol=4)


def test_loading(training_pack: object) -> None:
    data = training_pack.data
    scenes = detection_photos.load_scenes(data, "train")
    assert [len(photo.boxes_xyxy) for photo in scenes] == [1, 1, 1]
    expected = face_box(training_pack.heads[1].landmarks) + np.array([90, 30, 90, 30])
    np.testing.assert_allclose(scenes[1].boxes_xyxy[0], expected, atol=1e-6)
    assert len(detection_photos.load_scenes(data, "val")) == 1
    empty = detection_photos.load_empty(data, "val")
    assert len(empty) == 100 + 1 and not any(len(photo.boxes_xyxy) for photo in empty)


def test_tiles_are_free_of_the_border(training_pack: object) -> None:
    shards = sorted(training_pack.rendered.glob("*.npz"))
    tiles = detection_photos.load_tiles(training_pack.data, training_pack.labels, shards)
    assert len(tiles) == 13  # ten real, three rendered
    first, rendered = tiles[0], tiles[-1]
    assert first.levels[0].shape[2] == 3 and 136 <= first.levels[0].shape[1] <= 140
    border = 160 - first.levels[0].shape[1] - 1  # one pixel more goes on the right
    expected = face_box(training_pack.heads[0].landmarks + 1) - np.array([border, 1, border, 1])
    np.testing.assert_allclose(first.boxes_xyxy[0], expected, atol=1e-3)
    assert rendered.levels[0].shape == (160, 160, 3)


class Suspicious:
    """An analyzer that finds the labelled faces, and one more in a corner."""

    def __init__(self, known: np.ndarray) -> None:
        self.box_xyxy = np.concatenate([known, [[0.0, 0, 12, 12]]])

    def __call__(self, image: np.ndarray, min_score: float) -> "Suspicious":
        assert image.dtype == np.uint8 and min_score <= 0.6
        return self


def test_crowds(training_pack: object) -> None:
    known = crowd_squares(np.array([[100.0, 60, 140, 110], [20, 20, 30, 30]]))
    (photo,) = detection_photos.load_crowds(training_pack.data, "train", Suspicious(known))
    assert photo.sure.tolist() == [True, False, False]  # large; small; without a label
    np.testing.assert_allclose(photo.boxes_xyxy, [*known, [0, 0, 12, 12]])


def test_faces_of_scenes_without_a_label_are_no_background(training_pack: object) -> None:
    (plain,) = detection_photos.load_scenes(training_pack.data, "val")
    (photo,) = detection_photos.load_scenes(training_pack.data, "val", Suspicious(plain.boxes_xyxy))
    assert plain.sure.tolist() == [True] and photo.sure.tolist() == [True, False]
    np.testing.assert_allclose(photo.boxes_xyxy, [*plain.boxes_xyxy, [0, 0, 12, 12]])


def test_crowd_boxes_become_squares_about_the_whole_face() -> None:
    (square,) = crowd_squares(np.array([[100.0, 60, 140, 110]]))
    side = square[2] - square[0]
    assert side == pytest.approx(square[3] - square[1]) and 50 < side < 56
    assert square[1] < 55 and abs(square[3] - 110) < 5 and abs(square[0] + square[2] - 240) < 5


def test_free_photos_weigh_as_much_as_scenes(training_pack: object) -> None:
    empty = detection_photos.load_empty(training_pack.data, "train")
    assert len(empty) == 200 + 3 and not any(len(photo.boxes_xyxy) for photo in empty)


def test_a_mask_covers_the_lower_face_alone(make_head: object) -> None:
    landmarks = make_head(20, 0, 0).landmarks
    image = np.random.default_rng(0).integers(0, 256, (160, 160, 4), dtype=np.uint8)
    drawn = draw_mask(np.random.default_rng(1), image, landmarks)
    changed = (drawn != image).any(axis=2)
    np.testing.assert_array_equal(drawn[..., 3], image[..., 3])
    for point in landmarks[[33, 51, 57, 62, 66]]:  # nose and mouth
        assert changed[tuple(np.round(point[::-1]).astype(int))]
    for point in landmarks[[19, 24, 37, 43]]:  # brows, lids
        assert not changed[tuple(np.round(point[::-1]).astype(int))]
    assert 0.05 < changed.mean() < 0.4
    outside = draw_mask(np.random.default_rng(1), image, landmarks + 1000)
    np.testing.assert_array_equal(outside, image)
