"""Training images of the detectors: boxes follow the pixels, sizes suit the window."""

import numpy as np
import pytest
import torch

from facegeom.geometry.boxes import face_box, iou, square
from facegeom.geometry.rotation import rotation_from_angles
from facegeom_lab.datasets.training import detection
from facegeom_lab.datasets.training.detection import DetectionImages, PhotoPyramid, transformed_squares

SIDES = (8.4, 17.4)
EMPTY = [PhotoPyramid.build(np.full((90, 150, 3), 40, np.uint8), np.zeros((0, 4)))]


def red_square(width: int, height: int, left: int, top: int, side: int) -> PhotoPyramid:
    """Draw a grey photo with a red square for a face."""
    image = np.full((height, width, 3), 90, np.uint8)
    image[top : top + side, left : left + side] = 255, 0, 0
    return PhotoPyramid.build(image, np.array([[left, top, left + side, top + side]]) - 0.5)


def redness(image: np.ndarray) -> np.ndarray:
    return np.clip(image[..., 0].astype(float) - image[..., 1], 0, None)


def centre_and_side(image: np.ndarray) -> tuple[np.ndarray, float]:
    red = redness(image)
    y, x = np.mgrid[: red.shape[0], : red.shape[1]]
    return np.array([(red * x).sum(), (red * y).sum()]) / red.sum(), float(np.sqrt(red.sum() / 255))


@pytest.fixture
def uncoloured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DetectionImages, "_recolour", staticmethod(lambda rng, image: image))


@pytest.fixture
def uncovered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "OCCLUDED", 0.0)


def samples(images: DetectionImages, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw images (S, S, 3) and their boxes."""
    torch.manual_seed(5)
    drawn = [images[0] for _ in range(count)]
    return [
        (item["image"].permute(1, 2, 0).numpy(), item["boxes"][torch.isfinite(item["boxes"][:, 0])].numpy())
        for item in drawn
    ]


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


def test_turned_boxes_keep_their_size() -> None:
    linear = rotation_from_angles(0, 0, 90)[:2, :2] * 2
    matrix = np.concatenate([linear, [[100], [50]]], axis=1)
    found = transformed_squares(np.array([[10.0, 20, 14, 28]]), matrix)
    np.testing.assert_allclose(found, [[100 - 48 - 8, 50 + 24 - 8, 100 - 48 + 8, 50 + 24 + 8]])
    assert transformed_squares(np.zeros((0, 4)), matrix).shape == (0, 4)


@pytest.mark.parametrize("window", [12, 24])
def test_boxes_lie_on_the_faces(uncoloured: None, uncovered: None, window: int) -> None:
    photos = [red_square(300, 240, 120, 90, 60), red_square(90, 90, 20, 30, 40)]
    images = DetectionImages(photos, EMPTY, photos, sides_px=(0.7 * window, 1.45 * window), size_px=112)
    found = [(image, boxes) for image, boxes in samples(images, 250) if len(boxes) == 1]
    wide = [square(boxes[0], 1.42) for _, boxes in found]  # with the corners of a turned face
    found = [pair for pair, box in zip(found, wide, strict=True) if box.min() > -0.5 and box.max() < 111.5]
    assert len(found) > 50
    for image, boxes in found:
        centre, side = centre_and_side(image)
        np.testing.assert_allclose(centre, (boxes[0, :2] + boxes[0, 2:]) / 2, atol=0.6)
        assert side == pytest.approx(boxes[0, 2] - boxes[0, 0], abs=1)
        assert 0.69 * window < boxes[0, 2] - boxes[0, 0] < 1.46 * window


def test_covers_hide_a_part_of_a_face(uncoloured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "OCCLUDED", 1.0)
    photos = [red_square(300, 240, 120, 90, 60)]
    images = DetectionImages(photos, EMPTY, photos, sides_px=(40, 60), size_px=112)
    hidden = []
    for image, boxes in samples(images, 120):
        if len(boxes) == 1 and boxes.min() > -0.5 and boxes.max() < 111.5:
            hidden.append(1 - (redness(image) / 255).sum() / np.prod(boxes[0, 2:] - boxes[0, :2]))
    assert len(hidden) > 30
    assert 0.15 < np.mean(hidden) < 0.45 and max(hidden) < 0.75


def test_kinds_of_pictures(uncoloured: None) -> None:
    tiles = [red_square(60, 60, 15, 15, 30)]
    images = DetectionImages([red_square(300, 240, 120, 90, 60)], EMPTY, tiles, SIDES)
    counts = np.array([len(boxes) for _, boxes in samples(images, 300)])
    assert 0.1 < np.mean(counts == 0) < 0.3
    assert np.mean(counts > 1) > 0.08 and counts.max() <= 6


def test_where_no_face_is_there_is_no_box(uncoloured: None, uncovered: None) -> None:
    images = DetectionImages(
        [red_square(300, 240, 120, 90, 60)], EMPTY, [red_square(60, 60, 15, 15, 30)], SIDES
    )
    for image, boxes in samples(images, 100):
        assert (redness(image).max() > 100) == bool(len(boxes))


def test_crowds_do_not_hide_one_another(uncoloured: None) -> None:
    images = DetectionImages(
        [red_square(300, 240, 120, 90, 60)], EMPTY, [red_square(60, 60, 15, 15, 30)], SIDES
    )
    for _, boxes in samples(images, 150):
        assert (iou(boxes, boxes) - np.eye(len(boxes)) <= 1e-6).all()


def test_sample_has_a_fixed_form() -> None:
    many = red_square(400, 300, 10, 10, 20)
    many = PhotoPyramid(many.levels, np.tile(many.boxes_xyxy, (40, 1)))
    images = DetectionImages([many], EMPTY, [red_square(60, 60, 15, 15, 30)], SIDES, size_px=96, length=17)
    assert len(images) == 17
    torch.manual_seed(0)
    for _ in range(40):
        item = images[0]
        assert item["image"].shape == (3, 96, 96) and item["image"].dtype == torch.uint8
        assert item["boxes"].shape == (16, 4) and item["boxes"].dtype == torch.float32


def test_loading(training_pack: object) -> None:
    data = training_pack.data
    scenes = detection.load_scenes(data, "train")
    assert [len(photo.boxes_xyxy) for photo in scenes] == [1, 1, 1]
    expected = face_box(training_pack.heads[1].landmarks) + np.array([90, 30, 90, 30])
    np.testing.assert_allclose(scenes[1].boxes_xyxy[0], expected, atol=1e-6)
    assert len(detection.load_scenes(data, "val")) == 1
    empty = detection.load_empty(data, "val")
    assert len(empty) == 100 and not any(len(photo.boxes_xyxy) for photo in empty)


def test_tiles_are_free_of_the_border(training_pack: object) -> None:
    shards = sorted(training_pack.rendered.glob("*.npz"))
    tiles = detection.load_tiles(training_pack.data, training_pack.labels, shards)
    assert len(tiles) == 13  # ten real, three rendered
    first, rendered = tiles[0], tiles[-1]
    assert first.levels[0].shape[2] == 3 and 136 <= first.levels[0].shape[1] <= 140
    border = 160 - first.levels[0].shape[1] - 1  # one pixel more goes on the right
    expected = face_box(training_pack.heads[0].landmarks + 1) - np.array([border, 1, border, 1])
    np.testing.assert_allclose(first.boxes_xyxy[0], expected, atol=1e-3)
    assert rendered.levels[0].shape == (160, 160, 3)
