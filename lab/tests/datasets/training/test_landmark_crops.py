"""Crops of labelled faces: landmarks follow the pixels; which detected box belongs to which face."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import facegeom
from facegeom.errors import FacegeomError, InputError
from facegeom.geometry.transforms import apply, box_to_square, invert
from facegeom_lab.datasets.records import FaceRecord, photo_reader
from facegeom_lab.datasets.training import landmark_crops
from facegeom_lab.datasets.training.landmark_crops import (
    CropChanges,
    LandmarkCrops,
    detected_boxes,
    points_to_photo,
    rotated_box_to_square,
    warp,
    widen,
)

SIDE = 64
POINTS = np.array([[92.4, 85.7], [70.3, 60.8], [118.0, 64.5], [76.0, 104.0], [112.0, 106.0]])
EXTENT = np.array([70.3, 60.8, 118.0, 106.0])
DETECTED = np.array([62.0, 40.0, 124.0, 118.0], np.float32)
CHANGES = CropChanges(truth_share=0.5, jitter=0.05, turn_deg=35.0, colour=0.0)
STILL = CropChanges(truth_share=0.0, jitter=0.0, turn_deg=0.0, colour=0.0)


def dotted(points: np.ndarray, size_wh: tuple[int, int] = (200, 160), width: float = 1.5) -> np.ndarray:
    """(H, W, 3) a grey photo with a green dot on the first point."""
    x, y = (np.exp(-((np.arange(size_wh[k]) - points[0, k]) ** 2) / (2 * width**2)) for k in (0, 1))
    share = np.outer(y, x)[..., None].astype(np.float32)
    return np.rint(60 + share * np.array([-60, 195, -60], np.float32)).astype(np.uint8)


def dot(crop: torch.Tensor) -> np.ndarray:
    """(2,) where the crop (3, S, S) is green, in half crops."""
    green = np.clip(crop[1].numpy().astype(float) - crop[0].numpy() - 20, 0, None)
    y, x = np.mgrid[: green.shape[0], : green.shape[1]]
    centre = np.array([(green * x).sum(), (green * y).sum()]) / green.sum()
    return (centre + 0.5) / (len(green) / 2) - 1


def crops_of(
    photo: np.ndarray,
    points: np.ndarray = POINTS,
    changes: CropChanges | None = None,
    detected_xyxy: np.ndarray = DETECTED,
) -> LandmarkCrops:
    record = FaceRecord("face", lambda: photo, "train", "celeba5", points.astype(np.float32))
    return LandmarkCrops([record], detected_xyxy[None], SIDE, 0.1, changes)


@pytest.mark.parametrize("changes", [None, CHANGES, replace(CHANGES, truth_share=1, jitter=0.3)])
def test_the_dot_stays_under_its_point(changes: CropChanges | None) -> None:
    torch.manual_seed(2)
    crops = crops_of(dotted(POINTS), changes=changes)
    for sample in [crops[0] for _ in range(12)]:
        assert sample["crop"].shape == (3, SIDE, SIDE) and sample["crop"].dtype == torch.uint8
        np.testing.assert_allclose(sample["points"][0], dot(sample["crop"]), atol=0.13 / (SIDE / 2))


@pytest.mark.parametrize("times", [3.0, 5.3])
@pytest.mark.parametrize("changes", [None, CHANGES])
def test_the_dot_stays_in_a_crop_much_smaller_than_its_face(
    changes: CropChanges | None, times: float
) -> None:
    torch.manual_seed(3)
    size_wh = round(200 * times), round(160 * times)
    photo = dotted(POINTS * times, size_wh, 1.5 * times)
    crops = crops_of(photo, POINTS * times, changes, DETECTED * times)
    for sample in [crops[0] for _ in range(4)]:
        np.testing.assert_allclose(sample["points"][0], dot(sample["crop"]), atol=0.13 / (SIDE / 2))


def test_points_are_in_half_crops() -> None:
    """The corners of the grown box are the corners of the crop, ±1; its middle is 0."""
    left, top, right, bottom = widen(DETECTED.astype(np.float64), 0.1)
    corners = np.array([[left, top], [right, bottom], [(left + right) / 2, (top + bottom) / 2]])
    sample = crops_of(dotted(POINTS), corners)[0]
    np.testing.assert_allclose(sample["points"], [[-1, -1], [1, 1], [0, 0]], atol=1e-5)
    np.testing.assert_allclose(sample["half_px"], [(right - left) / 2, (bottom - top) / 2], rtol=1e-6)
    assert sample["index"] == 0


def test_half_px_measures_in_the_photo() -> None:
    torch.manual_seed(4)
    expected = np.linalg.norm(POINTS[:, None] - POINTS[None], axis=2)
    crops = crops_of(dotted(POINTS), changes=CHANGES)
    for sample in [crops[0] for _ in range(10)]:
        points = sample["points"] * sample["half_px"]
        np.testing.assert_allclose(torch.cdist(points, points), expected, atol=1e-3)


def test_points_that_nobody_annotated_weigh_nothing() -> None:
    points = POINTS.copy()
    points[1] = np.nan
    points[3, 0] = np.nan
    torch.manual_seed(5)
    for changes in (None, replace(CHANGES, truth_share=1)):
        sample = crops_of(dotted(points), points, changes)[0]
        assert sample["weight"].tolist() == [1, 0, 1, 0, 1]
        assert all(torch.isfinite(value.float()).all() for value in sample.values())


@pytest.mark.parametrize(
    ("truth_share", "detected", "expected"),
    [(0.0, DETECTED, DETECTED), (1.0, DETECTED, EXTENT), (0.0, np.full(4, np.nan), EXTENT)],
)
def test_which_box(truth_share: float, detected: np.ndarray, expected: np.ndarray) -> None:
    changes = replace(STILL, truth_share=truth_share)
    for seed in range(5):
        torch.manual_seed(seed)
        found = crops_of(dotted(POINTS), changes=changes, detected_xyxy=detected).matrix(0)
        np.testing.assert_allclose(found, box_to_square(widen(expected, 0.1), SIDE), rtol=1e-5)


def test_half_of_the_boxes_come_from_the_true_points() -> None:
    torch.manual_seed(6)
    crops = crops_of(dotted(POINTS), changes=replace(STILL, truth_share=0.5))
    wide = [SIDE / crops.matrix(0)[0, 0] for _ in range(200)]
    assert {round(width, 2) for width in wide} == {round(1.1 * 47.7, 2), round(1.1 * 62, 2)}
    assert 70 < sum(width < 60 for width in wide) < 130


def test_validation_takes_the_true_points_where_the_detector_finds_nothing() -> None:
    crops = crops_of(dotted(POINTS), detected_xyxy=np.full(4, np.nan))
    np.testing.assert_allclose(crops.matrix(0), box_to_square(widen(EXTENT, 0.1), SIDE), rtol=1e-5)


def test_each_border_moves_by_itself_within_bounds() -> None:
    torch.manual_seed(7)
    crops = crops_of(dotted(POINTS), changes=replace(STILL, jitter=0.05))
    corners = np.array([[-0.5, -0.5], [SIDE - 0.5, SIDE - 0.5]])
    boxes = np.stack([apply(invert(crops.matrix(0)), corners).reshape(4) for _ in range(400)])
    plain = widen(DETECTED.astype(np.float64), 0.1)
    shares = (boxes - plain) / np.tile(plain[2:] - plain[:2], 2)
    assert np.abs(shares).max() <= 0.05 + 1e-9
    assert (shares.min(axis=0) < -0.045).all() and (shares.max(axis=0) > 0.045).all()
    assert np.abs(np.corrcoef(shares.T) - np.eye(4)).max() < 0.2


def test_turns_go_to_both_sides_within_bounds() -> None:
    torch.manual_seed(8)
    square_box = np.array([60.0, 50, 130, 120])
    crops = crops_of(dotted(POINTS), changes=replace(STILL, turn_deg=35), detected_xyxy=square_box)
    matrices = np.stack([crops.matrix(0) for _ in range(300)])
    turns = np.rad2deg(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert turns.min() < -33 and turns.max() > 33 and np.abs(turns).max() <= 35


def test_the_seed_decides_everything() -> None:
    crops = crops_of(dotted(POINTS), changes=replace(CHANGES, colour=0.3))
    samples = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        samples.append(crops[0])
    assert all(torch.equal(samples[0][name], samples[1][name]) for name in samples[0])
    assert not torch.equal(samples[0]["points"], samples[2]["points"])


def test_validation_crops_never_change() -> None:
    crops = crops_of(dotted(POINTS))
    torch.manual_seed(1)
    first = crops[0]
    torch.manual_seed(2)
    assert all(torch.equal(first[name], crops[0][name]) for name in first)


def test_colour_changes_the_pixels_alone() -> None:
    plain = crops_of(dotted(POINTS), changes=STILL)[0]
    changed = crops_of(dotted(POINTS), changes=replace(STILL, colour=0.3))
    torch.manual_seed(9)
    samples = [changed[0] for _ in range(8)]
    assert all(torch.equal(sample["points"], plain["points"]) for sample in samples)
    greys = [int(sample["crop"][0, 0, 0]) for sample in samples]
    assert len(set(greys)) > 4 and min(greys) < 60 < max(greys)


def test_outside_of_the_photo_its_edge_is_repeated() -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (50, 40, 3), dtype=np.uint8)
    crop = warp(photo, box_to_square(np.array([-20.5, -10.5, 43.5, 53.5]), SIDE), SIDE)
    np.testing.assert_array_equal(crop[10:60, 20:60], photo)
    np.testing.assert_array_equal(crop[10:60, :20], np.repeat(photo[:, :1], 20, axis=1))
    np.testing.assert_array_equal(crop[:10], np.repeat(crop[10:11], 10, axis=0))
    np.testing.assert_array_equal(crop[60:], np.repeat(crop[59:60], 4, axis=0))


def test_shrinking_skips_no_pixel() -> None:
    """A chequerboard of single pixels becomes grey, never black or white."""
    board = np.where(np.indices((640, 640)).sum(axis=0) % 2, 255, 0).astype(np.uint8)
    crop = warp(
        np.repeat(board[..., None], 3, axis=2), box_to_square(np.array([37.0, 21, 607, 590]), SIDE), SIDE
    )
    assert np.abs(crop.astype(int) - 127).max() < 30


def test_widen() -> None:
    boxes = np.array([[10.0, 20, 30, 60], [0, 0, 1, 1]])
    np.testing.assert_allclose(widen(boxes, 0.1), [[9, 18, 31, 62], [-0.05, -0.05, 1.05, 1.05]])
    np.testing.assert_array_equal(widen(boxes[0], 0), boxes[0])


def test_turned_by_hand() -> None:
    """At a quarter turn, what lies right of the middle comes to lie below it; the box is stretched."""
    onto = rotated_box_to_square(np.array([10.0, 20, 30, 60]), 40, 90.0)
    points = np.array([[20.0, 40], [25, 40], [20, 30]])
    np.testing.assert_allclose(apply(onto, points), [[19.5, 19.5], [19.5, 24.5], [39.5, 19.5]], atol=1e-9)
    box = np.array([10.0, 20, 30, 60])
    np.testing.assert_allclose(rotated_box_to_square(box, 40, 0.0), box_to_square(box, 40))


@given(st.floats(-180, 180), st.floats(20, 400), st.floats(20, 400), st.integers(16, 256))
def test_to_photo_inverts(turn_deg: float, width: float, height: float, size_px: int) -> None:
    onto = rotated_box_to_square(np.array([11.0, -7.0, 11 + width, -7 + height]), size_px, turn_deg)
    told = (apply(onto, POINTS) + 0.5) / (size_px / 2) - 1
    np.testing.assert_allclose(points_to_photo(told, onto, size_px), POINTS, atol=1e-6)


def test_answers_come_back_to_the_photo() -> None:
    crops = crops_of(dotted(POINTS))
    told = crops[0]["points"].numpy()
    np.testing.assert_allclose(points_to_photo(told, crops.matrix(0), SIDE), POINTS, atol=1e-4)


FIVE_POINTS = np.array([[30.0, 30], [50, 30], [40, 40], [32, 50], [48, 50]])
AROUND, BESIDE, LARGE = [28.0, 26, 52, 54], [70.0, 26, 94, 54], [20.0, 10, 60, 60]


class Finder:
    """Finds the boxes that a photo's first pixel names, and counts the photos."""

    def __init__(self, *found: list[list[float]]) -> None:
        self.found, self.looked = found, 0

    def __call__(self, picture: np.ndarray) -> SimpleNamespace:
        self.looked += 1
        return SimpleNamespace(box_xyxy=np.array(self.found[picture[0, 0, 0]], np.float32).reshape(-1, 4))


def labelled(count: int, points: np.ndarray = FIVE_POINTS) -> list[FaceRecord]:
    return [
        FaceRecord(f"{k}.png", lambda k=k: np.full((2, 2, 3), k, np.uint8), "val", "celeba5", points)
        for k in range(count)
    ]


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> Finder:
    """Photos with the face among others, with another one, without any, and with a box all around."""
    found = Finder([BESIDE, LARGE, AROUND], [BESIDE], [], [LARGE])
    monkeypatch.setattr(landmark_crops, "FaceAnalyzer", lambda: found)
    return found


def test_the_face_that_overlaps_most(finder: Finder) -> None:
    found = detected_boxes(labelled(4))
    none = [np.nan] * 4
    np.testing.assert_array_equal(found, [AROUND, none, none, LARGE])  # few points span a part of the face
    assert found.shape == (4, 4) and finder.looked == 4


def test_points_that_nobody_annotated_do_not_count(finder: Finder) -> None:
    points = FIVE_POINTS.copy()
    points[2] = np.nan
    points[0, 1] = np.nan
    np.testing.assert_array_equal(detected_boxes(labelled(1, points))[0], AROUND)


def test_boxes_are_kept(finder: Finder, tmp_path: Path) -> None:
    first = detected_boxes(labelled(3), tmp_path / "boxes")
    assert finder.looked == 3
    np.testing.assert_array_equal(detected_boxes(labelled(3), tmp_path / "boxes"), first)
    assert finder.looked == 3
    assert detected_boxes(labelled(2), tmp_path / "boxes").shape == (2, 4)  # other records, looked at anew
    assert finder.looked == 5
    assert len(list((tmp_path / "boxes").iterdir())) == 2


def test_without_a_folder_nothing_is_kept(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        detected_boxes(labelled(1))
    assert finder.looked == 2 and not list(tmp_path.iterdir())


def test_the_demo_photo() -> None:
    """One face among shoulders, flag and shuttle; the same photo labelled elsewhere is another face."""
    read = photo_reader(Path(facegeom.__file__).parent / "data" / "astronaut.jpg")
    face = np.array(
        [[182.0, 100], [196, 88], [253, 90], [269, 104], [223, 180]]
    )  # temples, brows, chin, by eye
    told = [FaceRecord(name, read, "test", "celeba5", face + shift) for name, shift in (("a", 0), ("b", 150))]
    found = detected_boxes(told)
    left, top, right, bottom = found[0]
    assert 160 < left < 190 and 30 < top < 88 and 262 < right < 290 and 170 < bottom < 200
    assert np.isnan(found[1]).all()


def test_boxes_of_dlib(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(left=lambda: 10, top=lambda: 12, right=lambda: 50, bottom=lambda: 54)
    hog = SimpleNamespace(get_frontal_face_detector=lambda: lambda photo, upsampled: [found])
    monkeypatch.setitem(sys.modules, "dlib", hog)
    points = np.array([[12.0, 14], [48, 14], [30, 50]])
    record = FaceRecord("a", lambda: np.zeros((80, 80, 3), np.uint8), "train", points=points)
    np.testing.assert_array_equal(detected_boxes([record], detector="hog"), [[10, 12, 50, 54]])
    with pytest.raises(InputError, match="expected the detector facegeom or hog, got 'yolo'"):
        detected_boxes([record], detector="yolo")
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(FacegeomError, match="dlib is not installed; run: pip install"):
        detected_boxes([record], detector="hog")
