"""WFLW in its layout: two lists, subsets by attribute, several faces in one photo."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets.published import wflw

COORDINATES = np.arange(196.0).reshape(98, 2) / 8
LISTS = "WFLW_annotations/list_98pt_rect_attr_train_test"
PARADE, DRESSES = "0--Parade/0_Parade_1_116.jpg", "51--Dresses/51_Dresses_51_377.jpg"


def line(photo: str, attributes: str) -> str:
    return " ".join([*(f"{value:.6f}" for value in COORDINATES.ravel()), "1 2 11 9", attributes, photo])


@pytest.fixture
def root(tmp_path: Path, write_photo: Callable[..., Path]) -> Path:
    for photo in (PARADE, DRESSES):
        write_photo(f"WFLW_images/{photo}")
    folder = tmp_path / LISTS
    folder.mkdir(parents=True)
    (folder / "list_98pt_rect_attr_train.txt").write_text(
        "\n".join([line(PARADE, "0 0 0 0 0 0"), line(DRESSES, "1 0 0 0 0 0")]) + "\n"
    )
    (folder / "list_98pt_rect_attr_test.txt").write_text(
        "\n".join([line(PARADE, "0 0 0 0 1 0"), line(PARADE, "0 0 0 1 1 0")]) + "\n"
    )
    return tmp_path


def test_all_faces(root: Path, check_records: Callable[..., None]) -> None:
    records = wflw.records(root)
    check_records(records, "wflw98")
    assert [(record.name, record.split) for record in records] == [
        (f"WFLW_images/{PARADE}#0", "train"),
        (f"WFLW_images/{DRESSES}", "train"),
        (f"WFLW_images/{PARADE}#1", "test"),
        (f"WFLW_images/{PARADE}#2", "test"),
    ]
    np.testing.assert_array_equal(records[0].points, COORDINATES)
    np.testing.assert_array_equal(records[0].box_xyxy, [1, 2, 11, 9])


@pytest.mark.parametrize(
    ("split", "numbers"),
    [("train", "0"), ("test", "12"), ("test-occlusion", "12"), ("test-makeup", "2"), ("test-pose", "")],
)
def test_splits_keep_the_names(root: Path, split: str, numbers: str) -> None:
    names = [record.name for record in wflw.records(root, split)]
    assert [name[-1] for name in names if "#" in name] == list(numbers)


@pytest.mark.parametrize(
    "missing", [f"WFLW_images/{PARADE}", f"{LISTS}/list_98pt_rect_attr_train.txt", "WFLW_annotations"]
)
def test_a_missing_part_is_named(root: Path, missing: str) -> None:
    (root / missing).rename(root / "elsewhere")
    name = "list_98pt_rect_attr_train.txt" if "annotations" in missing else "0_Parade_1_116.jpg"
    with pytest.raises(InputError, match=rf"expected '{name}' of WFLW at .*wywu.github.io"):
        wflw.records(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace("0.125000 ", "", 1),
            r"train.txt:1: expected 206 numbers and a photo, got 206",
        ),
        (lambda text: text.replace("0.125000", "?", 1), r"train.txt:1: expected 206 numbers, got could not"),
        (lambda text: text + "the end", r"train.txt:3: expected 206 numbers and a photo, got 2 fields"),
    ],
)
def test_a_damaged_list_is_named(root: Path, change: Callable[[str], str], message: str) -> None:
    path = root / LISTS / "list_98pt_rect_attr_train.txt"
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=message):
        wflw.records(root)


def test_a_list_that_is_no_text(root: Path) -> None:
    (root / LISTS / "list_98pt_rect_attr_test.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="expected a text file"):
        wflw.records(root)


def test_damaged_files(root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("wflw", root)
