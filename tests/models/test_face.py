"""FaceNet with networks of known outputs: from crop units to pixels of the photo."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facegeom.geometry.boxes import square
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_6d
from facegeom.geometry.schemes import MESH478_EYE_CORNERS
from facegeom.image.pyramid import Pyramid
from facegeom.models.engine import BATCH, Engine
from facegeom.models.face import CROP_PX, CROP_SCALE, NEAR, FaceGeometry, FaceNet, FacePredictions

SQUARE = np.array([[10.0, 20, 50, 60]])  # its crop: centre (30, 40), side 52
EYES = 0.5
ROTATION = rotation_from_angles(20, -10, 5)


class FakeNet:
    """Predicts the same geometry for each crop; the score is the crop's mean red over 255."""

    batched = Engine.batched

    def __init__(self, scale: float = 0.01) -> None:
        self.scale = scale
        self.batches: list[int] = []

    def __call__(self, crops: np.ndarray) -> list[np.ndarray]:
        assert crops.shape[1:] == (CROP_PX, CROP_PX, 3) and crops.dtype == np.uint8
        self.batches.append(len(crops))
        landmarks, mesh = np.zeros((68, 2)), np.zeros((478, 3))
        landmarks[1] = 0.25, -0.25
        landmarks[36], landmarks[45] = (-EYES / 2, 0), (EYES / 2, 0)
        mesh[MESH478_EYE_CORNERS[0]], mesh[MESH478_EYE_CORNERS[1]] = (-EYES / 2, 0, 0), (EYES / 2, 0, 0)
        mesh[5] = 0.5, -0.5, 0.1
        box, vectors = np.array([-0.5, -0.5, 0.5, 0.25]), rotation_to_6d(ROTATION) * 3
        scales = np.full(68, self.scale), np.full(478, self.scale)
        every = [np.stack([part] * len(crops)) for part in (box, vectors, landmarks, mesh, *scales)]
        return [crops[..., 0].mean(axis=(1, 2)) / 255, *every]


class CentredNet(FakeNet):
    """Predicts the crop's face square as the box."""

    def __call__(self, crops: np.ndarray) -> list[np.ndarray]:
        outputs = super().__call__(crops)
        outputs[1][:] = np.array([-0.5, -0.5, 0.5, 0.5]) / CROP_SCALE
        return outputs


class RedDotNet(FakeNet):
    """Predicts all points where the crop is red."""

    def __call__(self, crops: np.ndarray) -> list[np.ndarray]:
        outputs = super().__call__(crops)
        red = crops[..., 0].astype(float)
        unit = (np.arange(CROP_PX) + 0.5) / CROP_PX - 0.5
        centre = (
            np.stack([red.sum(axis=1) @ unit, red.sum(axis=2) @ unit], axis=1) / red.sum(axis=(1, 2))[:, None]
        )
        outputs[3] = np.broadcast_to(centre[:, None], (len(crops), 68, 2))
        return outputs


def plain(red: int = 100, size_wh: tuple[int, int] = (80, 80)) -> Pyramid:
    return Pyramid(Image.new("RGB", size_wh, (red, 0, 0)))


def geometry(net: FakeNet, image: Pyramid, square_xyxy: np.ndarray) -> FaceGeometry:
    return FaceNet(net)([image], [square_xyxy])[0].in_photo()


def confidence(scale: float) -> np.ndarray:
    found = geometry(FakeNet(scale), plain(), SQUARE)
    return np.concatenate([found.landmarks_confidence[0], found.mesh_confidence[0]])


def test_crop_units_to_pixels_of_the_photo() -> None:
    predictions = FaceNet(FakeNet())([plain()], [SQUARE])[0]
    found, side = predictions.in_photo(), 40 * CROP_SCALE
    box = [[30 - side / 2, 40 - side / 2, 30 + side / 2, 40 + side / 4]]
    np.testing.assert_allclose(predictions.box_xyxy, box)
    np.testing.assert_allclose(found.box_xyxy, box)
    np.testing.assert_allclose(found.landmarks_px[0, :2], [[30, 40], [30 + side / 4, 40 - side / 4]])
    np.testing.assert_allclose(found.mesh_px[0, 5], [30 + side / 2, 40 - side / 2, side / 10])
    np.testing.assert_allclose(found.rotation[0], ROTATION, atol=1e-12)


@pytest.mark.parametrize("dot", [(30, 40), (22, 51), (9, 61)])
def test_predictions_lie_where_the_crop_shows_them(dot: tuple[int, int]) -> None:
    image = Image.new("RGB", (80, 80))
    image.putpixel(dot, (255, 0, 0))
    found = geometry(RedDotNet(), Pyramid(image), SQUARE)
    np.testing.assert_allclose(found.landmarks_px[0], np.tile(dot, (68, 1)), atol=0.05)


def test_longer_side_of_a_box_makes_the_crop() -> None:
    tall = np.array([[20.0, 20, 40, 60]])
    pair = (geometry(FakeNet(), plain(), box) for box in (SQUARE, tall))
    np.testing.assert_allclose(*(found.landmarks_px for found in pair))


@given(st.floats(1e-6, 1e3))
def test_confidence_lies_in_0_to_1(scale: float) -> None:
    found = confidence(scale)
    assert ((found >= 0) & (found <= 1)).all()


def test_confidence_falls_with_the_expected_error() -> None:
    found = np.array([confidence(scale) for scale in (0.002, 0.01, 0.05, 0.25)])
    assert (np.diff(found, axis=0) < 0).all()


def test_confidence_by_hand() -> None:
    """An expected error of just the tolerance: an exponential error is below its mean with 1 - 1/e."""
    np.testing.assert_allclose(confidence(NEAR * EYES), 1 - np.exp(-1))


def test_photos_share_batches() -> None:
    net, reds, counts = FakeNet(), [50, 100, 150, 200], [3, 0, BATCH + 5, 2]
    photos = [plain(red) for red in reds]
    squares = [np.tile([[20.0, 20, 40, 40]], (count, 1)) + np.arange(count)[:, None] / 8 for count in counts]
    predictions = FaceNet(net)(photos, squares)
    assert net.batches == [BATCH, sum(counts) - BATCH]
    for red, part, each in zip(reds, squares, predictions, strict=True):
        np.testing.assert_allclose(each.score, [red / 255] * len(part))
        np.testing.assert_allclose(each.in_photo().landmarks_px[:, 0], part[:, :2] + 10)


def shapes(record: FacePredictions | FaceGeometry) -> list[tuple[int, ...]]:
    return [getattr(record, name).shape for name in record.__dataclass_fields__]


@pytest.mark.parametrize("photos", [1, 3])
def test_no_squares(photos: int) -> None:
    net = FakeNet()
    predictions = FaceNet(net)([plain()] * photos, [np.zeros((0, 4))] * photos)
    assert net.batches == [] and len(predictions) == photos
    one = FaceNet(net)([plain()], [SQUARE])[0]
    for each in predictions:
        assert shapes(each) == [(0, *shape[1:]) for shape in shapes(one)]
        assert shapes(each.in_photo()) == [(0, *shape[1:]) for shape in shapes(one.in_photo())]


def test_choosing_faces() -> None:
    predictions = FaceNet(FakeNet())([plain()], [SQUARE + np.array([[0], [5], [9]])])[0]
    chosen = predictions[np.array([2, 0])]
    assert shapes(chosen) == [(2, *shape[1:]) for shape in shapes(predictions)]
    np.testing.assert_array_equal(chosen.in_photo().landmarks_px, predictions.in_photo().landmarks_px[[2, 0]])
    both = chosen.joined(predictions[1:2])
    np.testing.assert_array_equal(both.crop_xyxy, predictions.crop_xyxy[[2, 0, 1]])


def test_drifted_faces_are_refined() -> None:
    """The fake network's box is wider than the square: the second crop is the box's own square."""
    net = FakeNet()
    face_net = FaceNet(net)
    first = face_net([plain()], [SQUARE])
    second = face_net.refine([plain()], first)[0]
    expected = face_net([plain()], [square(first[0].box_xyxy)])[0]
    assert net.batches == [1, 1, 1]
    np.testing.assert_allclose(second.in_photo().landmarks_px, expected.in_photo().landmarks_px, rtol=1e-6)
    np.testing.assert_allclose(second.box_xyxy, expected.box_xyxy, rtol=1e-6)
    np.testing.assert_allclose(second.in_photo().box_xyxy, expected.box_xyxy, rtol=1e-6)
    assert not np.allclose(second.box_xyxy, first[0].box_xyxy)


def test_faces_in_their_square_are_not_refined() -> None:
    net = CentredNet()
    face_net = FaceNet(net)
    first = face_net([plain(), plain()], [np.tile(SQUARE, (2, 1)), np.zeros((0, 4))])
    second = face_net.refine([plain(), plain()], first)
    assert net.batches == [2]
    for before, after in zip(first, second, strict=True):
        np.testing.assert_array_equal(after.box_xyxy, before.box_xyxy)
        assert shapes(after) == shapes(before)


def test_refining_replaces_only_drifted_faces() -> None:
    face_net = FaceNet(FakeNet())
    first = face_net([plain()], [np.tile(SQUARE, (3, 1))])[0]
    centred = replace(first, box=first.box.copy(), box_xyxy=first.box_xyxy.copy(), score=np.array([1, 2, 3]))
    centred.box[[0, 2]] = np.array([-0.5, -0.5, 0.5, 0.5]) / CROP_SCALE
    centred.box_xyxy[[0, 2]] = SQUARE
    second = face_net.refine([plain()], [centred])[0]
    np.testing.assert_array_equal(second.box_xyxy[[0, 2]], centred.box_xyxy[[0, 2]])
    np.testing.assert_allclose(second.in_photo().box_xyxy[[0, 2]], centred.box_xyxy[[0, 2]])
    assert not np.allclose(second.box_xyxy[1], centred.box_xyxy[1])
    assert second.score.tolist() == [1, 2, 3]


def test_predictions_of_a_reduced_photo_are_in_pixels_of_the_whole_one() -> None:
    """The network predicts the same for a square and for the same square in an image of finer pixels."""
    small = FaceNet(FakeNet())([Pyramid(Image.new("RGB", (80, 80)))], [SQUARE])[0]
    fine = FaceNet(FakeNet())([Pyramid(Image.new("RGB", (240, 240)))], [(SQUARE + 0.5) * 3 - 0.5])[0]
    large, expected = small.in_photo((3, 3)), fine.in_photo()
    for name in FaceGeometry.__dataclass_fields__:
        np.testing.assert_allclose(getattr(large, name), getattr(expected, name), atol=1e-3)
    for name in set(FacePredictions.__dataclass_fields__) - {"crop_xyxy", "box_xyxy"}:
        np.testing.assert_allclose(getattr(small, name), getattr(fine, name), atol=1e-3)
    flat, own = small.in_photo((2, 4)), small.in_photo()
    np.testing.assert_allclose(flat.mesh_px[..., 1], (own.mesh_px[..., 1] + 0.5) * 4 - 0.5, rtol=1e-5)
    np.testing.assert_allclose(flat.mesh_px[..., 2], own.mesh_px[..., 2] * 8**0.5, rtol=1e-5)
