"""The detector's boxes around labelled faces: which face is meant, and that they are kept."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import facegeom
from facegeom_lab.datasets.records import FaceRecord, photo
from facegeom_lab.datasets.training import boxes
from facegeom_lab.datasets.training.boxes import detected_boxes

POINTS = np.array([[30.0, 30], [50, 30], [40, 40], [32, 50], [48, 50]])
AROUND, BESIDE, LARGE = [28.0, 26, 52, 54], [70.0, 26, 94, 54], [20.0, 10, 60, 60]


class Finder:
    """Finds the boxes that a photo's first pixel names, and counts the photos."""

    def __init__(self, *found: list[list[float]]) -> None:
        self.found, self.looked = found, 0

    def __call__(self, picture: np.ndarray) -> SimpleNamespace:
        self.looked += 1
        return SimpleNamespace(box_xyxy=np.array(self.found[picture[0, 0, 0]], np.float32).reshape(-1, 4))


def records(count: int, points: np.ndarray = POINTS) -> list[FaceRecord]:
    return [
        FaceRecord(f"{k}.png", lambda k=k: np.full((2, 2, 3), k, np.uint8), "val", "celeba5", points)
        for k in range(count)
    ]


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> Finder:
    """Photos with the face among others, with another one, without any, and with a box all around."""
    found = Finder([BESIDE, LARGE, AROUND], [BESIDE], [], [LARGE])
    monkeypatch.setattr(boxes, "FaceAnalyzer", lambda: found)
    return found


def test_the_face_that_overlaps_most(finder: Finder) -> None:
    found = detected_boxes(records(4))
    none = [np.nan] * 4
    np.testing.assert_array_equal(found, [AROUND, none, none, LARGE])  # few points span a part of the face
    assert found.shape == (4, 4) and finder.looked == 4


def test_points_that_nobody_annotated_do_not_count(finder: Finder) -> None:
    points = POINTS.copy()
    points[2] = np.nan
    points[0, 1] = np.nan
    np.testing.assert_array_equal(detected_boxes(records(1, points))[0], AROUND)


def test_boxes_are_kept(finder: Finder, tmp_path: Path) -> None:
    first = detected_boxes(records(3), tmp_path / "boxes")
    assert finder.looked == 3
    np.testing.assert_array_equal(detected_boxes(records(3), tmp_path / "boxes"), first)
    assert finder.looked == 3
    assert detected_boxes(records(2), tmp_path / "boxes").shape == (2, 4)  # other records, looked at anew
    assert finder.looked == 5
    assert len(list((tmp_path / "boxes").iterdir())) == 2


def test_without_a_folder_nothing_is_kept(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        detected_boxes(records(1))
    assert finder.looked == 2 and not list(tmp_path.iterdir())


def test_the_demo_photo() -> None:
    """One face among shoulders, flag and shuttle; the same photo labelled elsewhere is another face."""
    read = photo(Path(facegeom.__file__).parent / "data" / "astronaut.jpg")
    face = np.array(
        [[182.0, 100], [196, 88], [253, 90], [269, 104], [223, 180]]
    )  # temples, brows, chin, by eye
    told = [FaceRecord(name, read, "test", "celeba5", face + shift) for name, shift in (("a", 0), ("b", 150))]
    found = detected_boxes(told)
    left, top, right, bottom = found[0]
    assert 160 < left < 190 and 30 < top < 88 and 262 < right < 290 and 170 < bottom < 200
    assert np.isnan(found[1]).all()
