"""FaceNet with networks of known outputs: from crop units to pixels of the photo."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facegeom.geometry.boxes import square
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_6d
from facegeom.geometry.schemes import MESH478_EYE_CORNERS
from facegeom.image.crop import crop_squares
from facegeom.image.pyramid import Pyramid
from facegeom.models import face
from facegeom.models.engine import BATCH, Engine
from facegeom.models.face import CROP_PX, CROP_SCALE, NEAR, FaceGeometry, FaceNet, FacePredictions

SQUARE = np.array([[10.0, 20, 50, 60]])  # its crop: centre (30, 40), side 52
EYES = 0.5
ROTATION = rotation_from_angles(20, -10, 5)


class FakeNet:
    """Predicts the same geometry for each crop; the score is the crop's mean red over 255."""

    batched = Engine.batched
    threads, device = 1, "cpu"

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
        outputs[3] = np.repeat(centre[:, None], 68, axis=1)
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


# From here on: crops through virtual cameras, rolled crops, and second looks at doubtful faces.

LENS = Camera(160, 160, 110)
ASIDE = np.array([[95.0, 95, 125, 125]])  # its middle is 36° off the axis; its crop has a side of 39


@pytest.mark.parametrize("dot", [(110, 110), (99, 116), (120, 103)])
@pytest.mark.parametrize(
    ("lens", "roll_deg"), [(LENS, None), (LENS, 40.0), (None, -70.0), (None, 180.0), (LENS, 90.0)]
)
def test_predictions_of_a_view_lie_where_it_shows_them(
    dot: tuple[int, int], lens: Camera | None, roll_deg: float | None
) -> None:
    image = Image.new("RGB", (160, 160))
    image.putpixel(dot, (255, 0, 0))
    rolls = None if roll_deg is None else [np.array([roll_deg])]
    found = FaceNet(RedDotNet())([Pyramid(image)], [ASIDE], [lens], rolls)[0].in_photo()
    np.testing.assert_allclose(found.landmarks_px[0], np.tile(dot, (68, 1)), atol=0.2)


def test_a_view_keeps_rotation_depth_and_expected_errors() -> None:
    image = plain(100, (160, 160))
    upright, seen = (FaceNet(FakeNet())([image], [ASIDE], [lens])[0] for lens in (None, LENS))
    np.testing.assert_array_equal(seen.rotation6d, upright.rotation6d)
    np.testing.assert_array_equal(seen.mesh[..., 2], upright.mesh[..., 2])
    np.testing.assert_array_equal(seen.mesh_scale, upright.mesh_scale)
    np.testing.assert_array_equal(seen.crop_xyxy, upright.crop_xyxy)
    apart = np.abs(seen.in_photo().landmarks_px - upright.in_photo().landmarks_px)
    assert apart[0, 0].max() < 1e-6 and apart[0, 1].max() > 0.5  # the middle stays, what is beside it moves


def test_a_box_of_a_view_holds_its_corners() -> None:
    """Away from the axis a lens stretches along the radius: at the lower right, down to the right."""
    found = FaceNet(CentredNet())([plain(100, (160, 160))], [ASIDE], [LENS])[0].box_xyxy[0]
    assert (found[:2] > ASIDE[0, :2] - 3).all() and (found[2:] > ASIDE[0, 2:] + 1).all()
    assert found[2] - found[0] == pytest.approx(found[3] - found[1])  # symmetric about the diagonal


def test_a_rolled_crop_by_hand() -> None:
    """A quarter turn clockwise carries x to y and y to -x."""
    side = 30 * CROP_SCALE
    found = FaceNet(FakeNet())([plain(100, (160, 160))], [ASIDE], None, [np.array([90.0])])[0]
    placed = found.in_photo()
    np.testing.assert_allclose(placed.landmarks_px[0, 1], (110 + side / 4, 110 + side / 4), atol=1e-6)
    np.testing.assert_allclose(placed.mesh_px[0, 5], (110 + side / 2, 110 + side / 2, side / 10), atol=1e-6)
    np.testing.assert_allclose(placed.rotation[0], rotation_from_angles(0, 0, 90) @ ROTATION, atol=1e-6)
    middle, half = 110 + side / 8, (side * 0.375, side / 2)  # the box was (-1/2, -1/2, 1/2, 1/4)
    box = (middle - half[0], 110 - half[1], middle + half[0], 110 + half[1])
    np.testing.assert_allclose(placed.box_xyxy[0], box, atol=1e-6)


def test_photos_with_and_without_a_lens_share_batches() -> None:
    net, images = FakeNet(), [plain(50, (160, 160)), plain(100, (160, 160)), plain(150, (160, 160))]
    squares = [np.concatenate([ASIDE, ASIDE - 30]), np.zeros((0, 4)), ASIDE]
    lenses = [None, LENS, LENS]
    together = FaceNet(net)(images, squares, lenses)
    assert net.batches == [3]
    for image, part, lens, found in zip(images, squares, lenses, together, strict=True):
        alone = FaceNet(FakeNet())([image], [part], [lens])[0]
        for name in FacePredictions.__dataclass_fields__:
            np.testing.assert_allclose(getattr(found, name), getattr(alone, name), atol=1e-9, err_msg=name)


def test_crops_with_a_view_are_not_cut_upright_too(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def counted(image: Pyramid, squares: np.ndarray, *others: int) -> np.ndarray:
        counts.append(len(squares))
        return crop_squares(image, squares, *others)

    monkeypatch.setattr(face, "crop_squares", counted)
    FaceNet(FakeNet())([plain(100, (160, 160))], [np.concatenate([ASIDE, ASIDE - 30])], [LENS])
    assert sum(counts) == 1


def test_drifted_faces_are_refined_through_the_lens() -> None:
    face_net, image = FaceNet(FakeNet()), plain(100, (160, 160))
    first = face_net([image], [ASIDE], [LENS])
    second = face_net.refine([image], first, [LENS])[0]
    expected = face_net([image], [square(first[0].box_xyxy)], [LENS])[0]
    np.testing.assert_allclose(second.landmarks, expected.landmarks, atol=1e-6)
    assert not np.allclose(second.landmarks, face_net.refine([image], first, [None])[0].landmarks)


class ListedNet(FakeNet):
    """Predicts listed scores and expected errors; records the crops."""

    def __init__(self, scores: list[float], scales: list[float]) -> None:
        super().__init__()
        self.scores, self.scales = scores, scales
        self.crops = np.zeros(0)

    def __call__(self, crops: np.ndarray) -> list[np.ndarray]:
        outputs = super().__call__(crops)
        self.crops, outputs[0] = crops, np.array(self.scores)
        outputs[5] = np.tile(np.array(self.scales)[:, None], (1, 68))
        return outputs


SURE, UNSURE = 0.01, 0.05  # expected errors: confidences of 0.92 and 0.39


@pytest.mark.parametrize(
    ("own", "turned", "is_kept"),
    [
        ((0.9, UNSURE), (0.5, UNSURE), True),
        ((0.4, UNSURE), (0.5, UNSURE), False),  # its own square shows no face
        ((0.9, UNSURE), (0.99, SURE), False),  # it stands upside down
        ((0.9, UNSURE), (0.99, UNSURE), False),
        ((0.9, UNSURE), (0.97, SURE), True),
        ((0.9, SURE), (0.99, UNSURE), True),
    ],
)
def test_doubtful_faces_are_confirmed(
    own: tuple[float, float], turned: tuple[float, float], is_kept: bool
) -> None:
    found = FaceNet(FakeNet(UNSURE))([plain()], [SQUARE])[0]
    ramp = np.repeat(np.arange(80, dtype=np.uint8)[:, None, None] * 3, 80, axis=1).repeat(3, axis=2)
    net = ListedNet([own[0], turned[0]], [own[1], turned[1]])
    (kept,) = FaceNet(net).confirm([Pyramid(ramp)], [found])
    np.testing.assert_array_equal(net.crops[1], net.crops[0][::-1, ::-1])
    assert len(kept.score) == is_kept
    np.testing.assert_array_equal(kept.mesh, found.mesh[: len(kept.score)])


@pytest.mark.parametrize(("yaw_deg", "is_kept"), [(-60, True), (-30, False), (30, False), (60, True)])
def test_heads_turned_far_are_not_taken_for_upside_down(yaw_deg: float, is_kept: bool) -> None:
    class Turned(ListedNet):
        def __call__(self, crops: np.ndarray) -> list[np.ndarray]:
            outputs = super().__call__(crops)
            outputs[2][:] = rotation_to_6d(rotation_from_angles(yaw_deg, 0, 0))
            return outputs

    found = FaceNet(FakeNet(UNSURE))([plain()], [SQUARE])[0]
    (kept,) = FaceNet(Turned([0.9, 0.999], [UNSURE, UNSURE])).confirm([plain()], [found])
    assert len(kept.score) == is_kept


def test_sure_faces_are_not_looked_at_again() -> None:
    net = FakeNet(SURE)
    found = FaceNet(net)([plain(), plain()], [SQUARE, np.zeros((0, 4))])
    for before, after in zip(found, FaceNet(net).confirm([plain(), plain()], found), strict=True):
        assert shapes(after) == shapes(before)
    assert net.batches == [1] and FaceNet(net).confirm([], []) == []


def test_only_doubtful_faces_are_looked_at_again_and_order_stays() -> None:
    """Of three photos with a sure and two doubtful faces, none, and one doubtful face."""
    sure = FaceNet(FakeNet(SURE))([plain()], [SQUARE])[0]
    unsure = FaceNet(FakeNet(UNSURE))([plain()], [np.concatenate([SQUARE, SQUARE + 5])])[0]
    found = [unsure[:1].joined(sure).joined(unsure[1:]), FacePredictions.empty(), unsure[1:]]
    net = ListedNet([0.4, 0.9, 0.9, 0, 0, 0], [UNSURE] * 6)
    first, second, third = FaceNet(net).confirm([plain()] * 3, found, [None] * 3)
    assert net.batches == [6]
    np.testing.assert_array_equal(
        first.crop_xyxy, np.concatenate([SQUARE, SQUARE + 5]) + first.crop_xyxy[0] - SQUARE
    )
    np.testing.assert_array_equal(first.landmarks_scale[:, 0], [SURE, UNSURE])
    assert len(second.score) == 0 and len(third.score) == 1
