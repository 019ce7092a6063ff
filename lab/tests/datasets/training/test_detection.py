"""Training images of the detectors: boxes follow the pixels, sizes suit the window."""

import numpy as np
import pytest
import torch

from facegeom.geometry.boxes import iou, square
from facegeom.geometry.rotation import rotation_from_angles
from facegeom_lab.datasets.training import detection
from facegeom_lab.datasets.training.detection import DetectionImages, frame, transformed_squares
from facegeom_lab.datasets.training.detection_photos import PhotoPyramid

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
    many = PhotoPyramid(many.levels, np.tile(many.boxes_xyxy, (40, 1)), np.ones(40, bool))
    images = DetectionImages([many], EMPTY, [red_square(60, 60, 15, 15, 30)], SIDES, size_px=96, length=17)
    assert len(images) == 17
    torch.manual_seed(0)
    for _ in range(40):
        item = images[0]
        assert item["image"].shape == (3, 96, 96) and item["image"].dtype == torch.uint8
        assert item["boxes"].shape == (32, 4) and item["boxes"].dtype == torch.float32
        assert item["sure"].shape == (32,) and not item["sure"][torch.isnan(item["boxes"][:, 0])].any()


def test_crowds_keep_what_is_not_sure() -> None:
    crowd = red_square(300, 240, 120, 90, 60)
    boxes = np.concatenate([crowd.boxes_xyxy, crowd.boxes_xyxy + 40])
    crowd = PhotoPyramid(crowd.levels, boxes, np.array([True, False]))
    images = DetectionImages([crowd], EMPTY, [crowd], (20, 40), crowds=[crowd])
    torch.manual_seed(1)
    for item in (images[0] for _ in range(40)):
        known = torch.isfinite(item["boxes"][:, 0])
        sides = (item["boxes"][:, 2] - item["boxes"][:, 0])[known]
        assert bool((item["sure"] <= known).all()) and bool(((sides > 19.9) & (sides < 40.1)).all())
        assert not len(sides) or 1 <= int(item["sure"].sum()) <= len(sides)


@pytest.mark.parametrize("side", [24, 80])
def test_frames_cut_all_sides_alike(side: int) -> None:
    image = np.random.default_rng(0).integers(1, 255, (112, 112, 3), dtype=np.uint8)
    boxes = np.array([[56 - side / 2, 50 - side / 2, 56 + side / 2, 50 + side / 2], [150.0, 0, 170, 20]])
    cut = dict.fromkeys(("left", "top", "right", "bottom", "all"), 0)
    for seed in range(200):
        framed, moved, sure = frame(np.random.default_rng(seed), image, boxes, np.ones(2, bool))
        assert sure.tolist() == [True, False]
        shift = np.round(moved[0, :2] - boxes[0, :2]).astype(int)
        np.testing.assert_allclose(moved, boxes + np.tile(shift, 2))
        back = np.roll(framed, (-shift[1], -shift[0]), (0, 1))
        same = (back == image).all(axis=2)
        rows, columns = np.flatnonzero(same.mean(axis=1) > 0.2), np.flatnonzero(same.mean(axis=0) > 0.2)
        left = np.array([columns[0], rows[0], 111 - columns[-1], 111 - rows[-1]])
        assert len(np.unique(back[~same], axis=0)) == 1  # the rest has one colour
        inner = boxes[0] * (1, 1, -1, -1) + (0, 0, 111, 111)
        hidden = (left - inner) / side
        assert hidden.max() < 0.52
        sides = np.flatnonzero(left > 0)
        cut["all" if len(sides) > 1 else ("left", "top", "right", "bottom")[sides[0]]] += 1
    assert (cut.pop("all") > 30) == (side > 48)
    assert min(cut.values()) > 0.6 * max(cut.values())


def test_frames_leave_photos_without_a_face() -> None:
    image, nothing = np.zeros((40, 40, 3), np.uint8), np.zeros((0, 4))
    framed, boxes, sure = frame(np.random.default_rng(0), image, nothing, np.zeros(0, bool))
    assert framed is image and boxes is nothing and not len(sure)


def test_a_part_of_the_images_is_spoiled(
    uncoloured: None, uncovered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blur keeps to a share of the smallest face."""
    reaches = []

    def spoil(rng: np.random.Generator, image: np.ndarray, most_px: float) -> np.ndarray:
        reaches.append(most_px)
        return image // 8

    monkeypatch.setattr(detection, "spoil", spoil)
    photos, tiles = [red_square(300, 240, 120, 90, 60)], [red_square(60, 60, 15, 15, 30)]
    assert not reaches and samples(DetectionImages(photos, EMPTY, tiles, SIDES), 50) and not reaches
    spoiled = samples(DetectionImages(photos, EMPTY, tiles, SIDES, spoiled=0.5), 200)
    dark = [image.max() < 32 for image, _ in spoiled]
    assert 0.4 < np.mean(dark) < 0.6 and sum(dark) == len(reaches)
    least = [(boxes[:, 2] - boxes[:, 0]).min(initial=112) for image, boxes in spoiled if image.max() < 32]
    assert min(reaches) <= 0.15 * min(least) + 1e-6 and max(reaches) == pytest.approx(0.15 * 112)
