"""LaPa in its layout."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets.published import lapa

COORDINATES = np.arange(212.0).reshape(106, 2) / 4


def text(points: np.ndarray) -> str:
    return "\n".join([str(len(points)), *(f"{x:.6f} {y:.6f}" for x, y in points)]) + "\n"


@pytest.fixture
def root(tmp_path: Path, write_photo: Callable[..., Path]) -> Path:
    for part, names in (("train", ("10009865324_0", "1000_1")), ("val", ("20_0",)), ("test", ("30_0",))):
        for name in names:
            write_photo(f"LaPa/{part}/images/{name}.jpg")
            place = tmp_path / "LaPa" / part / "landmarks" / f"{name}.txt"
            place.parent.mkdir(exist_ok=True)
            place.write_text(text(COORDINATES))
    return tmp_path


@pytest.mark.parametrize("inside", ["", "LaPa"])
def test_all_faces(root: Path, inside: str, check_records: Callable[..., None]) -> None:
    records = lapa.records(root / inside)
    check_records(records, "lapa106")
    assert [(record.name, record.split) for record in records] == [
        ("train/images/10009865324_0.jpg", "train"),
        ("train/images/1000_1.jpg", "train"),
        ("val/images/20_0.jpg", "val"),
        ("test/images/30_0.jpg", "test"),
    ]
    np.testing.assert_array_equal(records[0].points, COORDINATES)  # counted from 0 as published
    assert records[0].visible is None and records[0].box_xyxy is None


def test_one_split_needs_no_other(root: Path) -> None:
    for part in ("train", "test"):
        (root / "LaPa" / part).rename(root / part)
    assert [record.name for record in lapa.records(root, "val")] == ["val/images/20_0.jpg"]
    with pytest.raises(InputError, match=r"'landmarks' of LaPa at .*train.*JDAI-CV"):
        lapa.records(root, "train")


def test_a_missing_photo_is_named(root: Path) -> None:
    (root / "LaPa/train/images/1000_1.jpg").unlink()
    with pytest.raises(InputError, match=r"expected '1000_1.jpg' of LaPa at .*JDAI-CV/lapa-dataset"):
        lapa.records(root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected 106 in the first line, then as many lines, got '' and 0"),
        (text(COORDINATES[:68]), "got '68' and 68"),
        (text(COORDINATES).replace("0.750000", "nan", 1), r"1000_1.txt:3: expected 2 numbers, got 2"),
        (text(COORDINATES).replace("0.750000", "x", 1), r"1000_1.txt:3: expected 2 numbers, got could not"),
        (text(COORDINATES).replace(" 0.750000", "", 1), r"1000_1.txt:3: expected 2 numbers, got 1"),
    ],
)
def test_a_damaged_file_is_named(root: Path, content: str, message: str) -> None:
    (root / "LaPa/train/landmarks/1000_1.txt").write_text(content)
    with pytest.raises(InputError, match=message):
        lapa.records(root, "train")


def test_a_folder_without_texts(root: Path) -> None:
    (root / "LaPa/val/landmarks/20_0.txt").unlink()
    with pytest.raises(InputError, match=r"landmarks: expected a text file for each photo, got none"):
        lapa.records(root, "val")


def test_an_unknown_split() -> None:
    with pytest.raises(InputError, match="expected one of train, val, test as the split of LaPa, got 'dev'"):
        lapa.records(Path("nowhere"), "dev")


def test_damaged_files(root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("lapa", root)
