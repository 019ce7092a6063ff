"""The face network's predictor with networks of known answers: crop units back to the photo's pixels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facegeom.geometry.boxes import square
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_6d
from facegeom.geometry.schemes import MESH478_EYE_CORNERS
from facegeom.models.batching import BATCH
from facegeom.models.face import CROP_PX, CROP_SCALE, NEAR, Answers, FacePredictor

SQUARE = np.array([[10.0, 20, 50, 60]])  # its crop: centre (30, 40), side 52
EYES = 0.5
ROTATION = rotation_from_angles(20, -10, 5)


class FakeNet:
    """Answers each crop with the same geometry; the score is the crop's mean red, of 255."""

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
        box, turn = np.array([-0.5, -0.5, 0.5, 0.25]), rotation_to_6d(ROTATION) * 3
        scales = np.full(68, self.scale), np.full(478, self.scale)
        every = [np.stack([part] * len(crops)) for part in (box, turn, landmarks, mesh, *scales)]
        return [crops[..., 0].mean(axis=(1, 2)) / 255, *every]


class CentredNet(FakeNet):
    """Finds the face's box to be just the square that it was given."""

    def __call__(self, crops: np.ndarray) -> list[np.ndarray]:
        answer = super().__call__(crops)
        answer[1][:] = np.array([-0.5, -0.5, 0.5, 0.5]) / CROP_SCALE
        return answer


class RedDotNet(FakeNet):
    """Puts all points where the crop is red."""

    def __call__(self, crops: np.ndarray) -> list[np.ndarray]:
        answer = super().__call__(crops)
        red = crops[..., 0].astype(float)
        unit = (np.arange(CROP_PX) + 0.5) / CROP_PX - 0.5
        centre = (
            np.stack([red.sum(axis=1) @ unit, red.sum(axis=2) @ unit], axis=1) / red.sum(axis=(1, 2))[:, None]
        )
        answer[3] = np.broadcast_to(centre[:, None], (len(crops), 68, 2))
        return answer


def plain(red: int = 100, size_wh: tuple[int, int] = (80, 80)) -> Image.Image:
    return Image.new("RGB", size_wh, (red, 0, 0))


def confidence(scale: float) -> np.ndarray:
    answer = FacePredictor(FakeNet(scale))([plain()], [SQUARE])[0]
    return np.concatenate([answer.landmarks_confidence[0], answer.mesh_confidence[0]])


def test_crop_units_to_pixels_of_the_photo() -> None:
    answer = FacePredictor(FakeNet())([plain()], [SQUARE])[0]
    side = 40 * CROP_SCALE
    np.testing.assert_allclose(
        answer.box_xyxy, [[30 - side / 2, 40 - side / 2, 30 + side / 2, 40 + side / 4]]
    )
    np.testing.assert_allclose(answer.landmarks_px[0, :2], [[30, 40], [30 + side / 4, 40 - side / 4]])
    np.testing.assert_allclose(answer.mesh_px[0, 5], [30 + side / 2, 40 - side / 2, side / 10])
    np.testing.assert_allclose(answer.rotation[0], ROTATION, atol=1e-12)


@pytest.mark.parametrize("dot", [(30, 40), (22, 51), (9, 61)])
def test_the_crop_shows_what_the_answer_is_laid_over(dot: tuple[int, int]) -> None:
    picture = Image.new("RGB", (80, 80))
    picture.putpixel(dot, (255, 0, 0))
    answer = FacePredictor(RedDotNet())([picture], [SQUARE])[0]
    np.testing.assert_allclose(answer.landmarks_px[0], np.tile(dot, (68, 1)), atol=0.05)


def test_longer_side_of_a_box_makes_the_crop() -> None:
    tall = np.array([[20.0, 20, 40, 60]])
    pair = (FacePredictor(FakeNet())([plain()], [box])[0] for box in (SQUARE, tall))
    np.testing.assert_allclose(*(answer.landmarks_px for answer in pair))


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


def test_photos_share_batches_and_keep_their_answers() -> None:
    net, reds, counts = FakeNet(), [50, 100, 150, 200], [3, 0, BATCH + 5, 2]
    photos = [plain(red) for red in reds]
    squares = [np.tile([[20.0, 20, 40, 40]], (count, 1)) + np.arange(count)[:, None] / 8 for count in counts]
    answers = FacePredictor(net)(photos, squares)
    assert net.batches == [BATCH, sum(counts) - BATCH]
    for red, part, answer in zip(reds, squares, answers, strict=True):
        np.testing.assert_allclose(answer.score, [red / 255] * len(part))
        np.testing.assert_allclose(answer.landmarks_px[:, 0], part[:, :2] + 10)


def shapes(answers: Answers) -> list[tuple[int, ...]]:
    return [getattr(answers, name).shape for name in answers.__dataclass_fields__]


@pytest.mark.parametrize("photos", [1, 3])
def test_no_squares(photos: int) -> None:
    net = FakeNet()
    answers = FacePredictor(net)([plain()] * photos, [np.zeros((0, 4))] * photos)
    assert net.batches == [] and len(answers) == photos
    one = FacePredictor(net)([plain()], [SQUARE])[0]
    assert all(shapes(answer) == [(0, *shape[1:]) for shape in shapes(one)] for answer in answers)


def test_choosing_faces() -> None:
    answers = FacePredictor(FakeNet())([plain()], [SQUARE + np.array([[0], [5], [9]])])[0]
    chosen = answers[np.array([2, 0])]
    assert shapes(chosen) == [(2, *shape[1:]) for shape in shapes(answers)]
    np.testing.assert_array_equal(chosen.landmarks_px, answers.landmarks_px[[2, 0]])


def test_faces_aside_are_looked_at_again() -> None:
    """The fake network's box is wider than the square: the second look goes to the box's own square."""
    net = FakeNet()
    predictor = FacePredictor(net)
    first = predictor([plain()], [SQUARE])
    second = predictor.look_again([plain()], first)[0]
    expected = predictor([plain()], [square(first[0].box_xyxy)])[0]
    assert net.batches == [1, 1, 1]
    np.testing.assert_allclose(second.landmarks_px, expected.landmarks_px, rtol=1e-6)
    np.testing.assert_allclose(second.box_xyxy, expected.box_xyxy, rtol=1e-6)
    assert not np.allclose(second.box_xyxy, first[0].box_xyxy)


def test_faces_in_their_square_are_not_looked_at_again() -> None:
    net = CentredNet()
    predictor = FacePredictor(net)
    first = predictor([plain(), plain()], [np.tile(SQUARE, (2, 1)), np.zeros((0, 4))])
    second = predictor.look_again([plain(), plain()], first)
    assert net.batches == [2]
    for before, after in zip(first, second, strict=True):
        np.testing.assert_array_equal(after.box_xyxy, before.box_xyxy)
        assert shapes(after) == shapes(before)


def test_second_look_replaces_only_the_faces_aside() -> None:
    predictor = FacePredictor(FakeNet())
    first = predictor([plain()], [np.tile(SQUARE, (3, 1))])[0]
    centred = replace(first, box=first.box.copy())
    centred.box[[0, 2]] = np.array([-0.5, -0.5, 0.5, 0.5]) / CROP_SCALE
    second = predictor.look_again([plain()], [centred])[0]
    np.testing.assert_array_equal(second.box_xyxy[[0, 2]], centred.box_xyxy[[0, 2]])
    assert not np.allclose(second.box_xyxy[1], centred.box_xyxy[1])


def test_enlarged_answers_lie_in_the_larger_picture() -> None:
    """What the network says of a square is what it says of the same square in a picture of finer pixels."""
    small = FacePredictor(FakeNet())([Image.new("RGB", (80, 80))], [SQUARE])[0]
    fine = FacePredictor(FakeNet())([Image.new("RGB", (240, 240))], [(SQUARE + 0.5) * 3 - 0.5])[0]
    large = small.enlarged(3, 3)
    for name in Answers.__dataclass_fields__:
        np.testing.assert_allclose(getattr(large, name), getattr(fine, name), atol=1e-3)
    flat = small.enlarged(2, 4)
    np.testing.assert_allclose(flat.mesh_px[..., 1], (small.mesh_px[..., 1] + 0.5) * 4 - 0.5, rtol=1e-5)
    np.testing.assert_allclose(flat.mesh_px[..., 2], small.mesh_px[..., 2] * 8**0.5, rtol=1e-5)
