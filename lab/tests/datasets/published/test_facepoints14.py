"""The task of 14 points: gt.csv and images, flat or in train and test."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets.published import facepoints14

HEADER = ",".join(facepoints14.HEADER)
VALUES = [str(number) for number in range(28)]


def row(name: str, *values: str) -> str:
    return ",".join([name, *(values or VALUES)])


@pytest.fixture
def root(tmp_path: Path, write_photo: Callable[..., Path]) -> Path:
    for part, names in (("train", [f"{n:05d}.jpg" for n in range(30)]), ("test", ["00000.jpg"])):
        for name in names:
            write_photo(f"{part}/images/{name}")
        table = "\n".join([HEADER, *map(row, names)])
        (tmp_path / part / "gt.csv").write_text(table + "\n")
    return tmp_path


def test_train_and_test(root: Path, check_records: Callable[..., None]) -> None:
    records = facepoints14.records(root)
    check_records(records, "facepoints14")
    assert [record.split for record in records] == ["train"] * 30 + ["test"]
    np.testing.assert_array_equal(records[0].points, np.arange(28).reshape(14, 2))
    assert records[-1].name == "test/images/00000.jpg"


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_split(root: Path, split: str) -> None:
    assert {record.split for record in facepoints14.records(root, split)} == {split}


def test_flat(root: Path) -> None:
    records = facepoints14.records(root / "test")
    assert [record.name for record in records] == ["images/00000.jpg"]


def test_points_not_annotated(root: Path) -> None:
    values = ["", "1", "NaN", " nan", *VALUES[4:]]
    (root / "test/gt.csv").write_text("\n".join([HEADER, row("00000.jpg", *values)]))
    (record,) = facepoints14.records(root, "test")
    assert np.isnan(record.points).all(axis=1).tolist() == [True, True] + [False] * 12
    np.testing.assert_array_equal(record.points[2:].ravel(), np.arange(4, 28))


@pytest.mark.parametrize(
    ("missing", "name"),
    [("test/gt.csv", "gt.csv"), ("test/images", "images"), ("test/images/00000.jpg", "00000.jpg")],
)
def test_a_missing_part_is_named(root: Path, missing: str, name: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(InputError, match=rf"expected '{name}' of 14 facial points at "):
        facepoints14.records(root, "test")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "gt.csv: expected the header filename,x1,y1"),
        (row("00000.jpg"), "gt.csv: expected the header filename,x1,y1"),
        (f"{HEADER}\n{row('00000.jpg', '1', '2')}", "gt.csv:2: expected 28 finite numbers, got 2"),
        (f"{HEADER}\n{row('00000.jpg', 'x', *VALUES[1:])}", "gt.csv:2: expected 28 numbers, got could not"),
        (f"{HEADER}\n{row('00000.jpg', 'inf', *VALUES[1:])}", "gt.csv:2: expected 28 finite numbers"),
    ],
)
def test_a_damaged_table_is_named(root: Path, content: str, message: str) -> None:
    (root / "test/gt.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        facepoints14.records(root, "test")


def test_damaged_files(root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("facepoints14", root)
