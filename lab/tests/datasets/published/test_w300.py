"""300W in its layout: points counted from 1, splits by folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets.published import w300

COORDINATES = np.arange(136.0).reshape(68, 2) / 2 + 1
PHOTOS = (
    "afw/1051618982_1.jpg",
    "helen/trainset/100032540_1.jpg",
    "helen/testset/296814969_3.jpg",
    "lfpw/trainset/image_0001.png",
    "lfpw/testset/image_0001.png",
    "ibug/image_092 _01.jpg",
    "300W/01_Indoor/indoor_001.png",
    "300W/02_Outdoor/outdoor_001.png",
)


def pts(points: np.ndarray) -> str:
    rows = "\n".join(f"{x:.6f} {y:.6f}" for x, y in points)
    return f"version: 1\nn_points:  {len(points)}\n{{\n{rows}\n}}\n"


@pytest.fixture
def root(tmp_path: Path, write_photo: Callable[..., Path]) -> Path:
    for place in PHOTOS:
        write_photo(place).with_suffix(".pts").write_text(pts(COORDINATES))
    return tmp_path


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", {("afw", PHOTOS[0]), ("helen", PHOTOS[1]), ("lfpw", PHOTOS[3])}),
        ("test", {("helen", PHOTOS[2]), ("lfpw", PHOTOS[4]), ("ibug", PHOTOS[5])}),
        ("test-common", {("helen", PHOTOS[2]), ("lfpw", PHOTOS[4])}),
        ("test-challenge", {("ibug", PHOTOS[5])}),
        ("test-300w", {("300w-indoor", PHOTOS[6]), ("300w-outdoor", PHOTOS[7])}),
    ],
)
def test_published_splits(root: Path, split: str, expected: set[tuple[str, str]]) -> None:
    records = w300.records(root, split)
    assert {(record.source, record.name) for record in records} == expected
    assert {record.split for record in records} == {split[:5].rstrip("-")}


def test_all_faces(root: Path, check_records: Callable[..., None]) -> None:
    records = w300.records(root)
    check_records(records, "ibug68")
    assert len(records) == 6


def test_points_are_counted_from_0(root: Path) -> None:
    (record,) = w300.records(root, "test-challenge")
    np.testing.assert_allclose(record.points, COORDINATES - 1)


def test_indoor_and_outdoor_may_lie_at_the_root(root: Path) -> None:
    for folder in ("01_Indoor", "02_Outdoor"):
        (root / "300W" / folder).rename(root / folder)
    assert len(w300.records(root, "test-300w")) == 2


@pytest.mark.parametrize(
    ("missing", "split", "message"),
    [
        ("ibug", "test", r"expected 'ibug' of 300W at .*ibug, found nothing; .*ibug.doc.ic.ac.uk"),
        ("300W/01_Indoor", "test-300w", r"expected '01_Indoor' of 300W at .*300W/01_Indoor.*nor 01_Indoor"),
        ("afw/1051618982_1.jpg", "train", r"expected '1051618982_1.jpg' .*nor 1051618982_1.png there"),
    ],
)
def test_a_missing_part_is_named(root: Path, missing: str, split: str, message: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(InputError, match=message):
        w300.records(root, split)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected points between { and }, got 0 lines"),
        (pts(COORDINATES)[:-2], "expected points between { and }"),
        (pts(COORDINATES[:51]), "expected 68 points, got 51"),
        (pts(COORDINATES).replace("2.500000", "-", 1), "expected 2 numbers, got could not convert"),
    ],
)
def test_a_damaged_file_is_named(root: Path, content: str, message: str) -> None:
    (root / "ibug/image_092 _01.pts").write_text(content)
    with pytest.raises(InputError, match=rf"image_092 _01.pts: {message}"):
        w300.records(root, "test-challenge")


def test_a_folder_without_points(root: Path) -> None:
    (root / "afw/1051618982_1.pts").unlink()
    with pytest.raises(InputError, match=r"afw: expected a .pts file for each photo, got none"):
        w300.records(root, "train")


def test_damaged_files(root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("300w", root)
