"""The lists of hard faces, made from small pictures."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.geometry import topology
from facegeom.results import Faces
from facegeom_lab.bench.hard_pictures import half_covered, masked, profiled, small
from facegeom_lab.datasets.pack_photos import Picture

SIDE = 96


@pytest.fixture
def photo(tmp_path: Path) -> Picture:
    """A bright photo with a wide and a narrow face."""
    path = tmp_path / "photo.png"
    Image.new("RGB", (240, 180), (200, 180, 160)).save(path)
    boxes = np.array([[9.5, 9.5, 99.5, 99.5], [150.0, 20.0, 170.0, 50.0]])
    return Picture(path, "helen", 2, boxes, np.full((2, 4), np.nan), np.zeros((2, 68, 2)))


@pytest.fixture
def background(tmp_path: Path) -> Picture:
    path = tmp_path / "background.png"
    Image.new("RGB", (120, 80), (0, 0, 90)).save(path)
    return Picture(path, "backgrounds")


def test_small_faces_are_the_narrow_ones_of_both_sizes(photo: Picture, tmp_path: Path) -> None:
    whole, third = small([photo], tmp_path / "hard")
    assert whole.path == photo.path
    np.testing.assert_allclose(whole.box_xyxy, [[150, 20, 170, 50]])
    assert Image.open(third.path).size == (80, 60)
    np.testing.assert_allclose(third.box_xyxy, [[10 / 3 - 0.5, 10 / 3 - 0.5, 100 / 3 - 0.5, 100 / 3 - 0.5]])


def test_photos_without_narrow_faces_are_left_out(photo: Picture, tmp_path: Path) -> None:
    huge = replace(photo, box_xyxy=photo.box_xyxy[:0], teacher_box_xyxy=photo.teacher_box_xyxy[:0])
    assert small([replace(huge, landmarks_px=photo.landmarks_px[:0])], tmp_path / "hard") == []


def test_one_half_of_each_face_is_covered(photo: Picture, background: Picture, tmp_path: Path) -> None:
    (made,) = half_covered([photo], [background], tmp_path / "hard")
    pixels, before = np.array(Image.open(made.path)), np.array(Image.open(photo.path))
    changed = (pixels != before).any(axis=2)
    assert changed[12:98, 12:53].all()  # the left half of the first face
    assert not changed[12:98, 56:98].any()
    assert changed[22:48, 162:168].all()  # the right half of the second
    assert not changed[22:48, 151:159].any()
    np.testing.assert_array_equal(made.box_xyxy, photo.box_xyxy)


def test_masked_faces_lose_their_black_border(tmp_path: Path) -> None:
    pixels = np.full((SIDE, SIDE, 3), 150, np.uint8)
    pixels[:20] = 0
    Image.fromarray(pixels).save(tmp_path / "face.png")
    (made,) = masked([Picture(tmp_path / "face.png", "masks", 1)], tmp_path / "hard")
    shown = np.array(Image.open(made.path))
    assert shown.min() == 150 and shown.shape[:2] == (74, 94)  # one more row and column at each edge
    np.testing.assert_array_equal(made.box_xyxy, [[23, 3, 71, 51]])


def test_profiled_faces_lie_in_their_pictures(
    make_faces: Callable[..., Faces], background: Picture, tmp_path: Path
) -> None:
    path = tmp_path / "frontal.png"
    Image.fromarray(np.random.default_rng(1).integers(60, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
    head = topology.canonical_mm()
    mesh = (head - head.mean(axis=0)) * (SIDE / 2 / np.ptp(head[:, 1])) + np.array([SIDE / 2, SIDE / 2, 0])
    frontal = Picture(path, "helen", 1)
    answers = [replace(make_faces(), mesh_px=mesh[None]), Faces.empty(SIDE, SIDE)]
    made = list(profiled([frontal, frontal], answers, [background], tmp_path / "hard"))
    assert len(made) == 1  # the one without an answer is left out
    left, top, right, bottom = made[0].box_xyxy[0]
    width, height = Image.open(made[0].path).size
    assert 0 <= left < right < width and 0 <= top < bottom < height
    assert right - left < np.ptp(mesh[:, 0])  # a turned head is narrower
