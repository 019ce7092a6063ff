"""AFLW as a database, and as the lists of 19 points."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from facegeom.errors import InputError
from facegeom_lab.datasets.published import aflw, aflw19

TABLES = """
    CREATE TABLE Faces (face_id INTEGER PRIMARY KEY, file_id TEXT, db_id TEXT);
    CREATE TABLE FaceImages (
        image_id INTEGER PRIMARY KEY, db_id TEXT, file_id TEXT, filepath TEXT,
        bw INTEGER, width INTEGER, height INTEGER
    );
    CREATE TABLE FeatureCoords (face_id INTEGER, feature_id INTEGER, x REAL, y REAL, annot_type_id INTEGER);
    CREATE TABLE FeatureCoordTypes (feature_id INTEGER, descr TEXT, code TEXT, x REAL, y REAL, z REAL);
    CREATE TABLE FaceRect (face_id INTEGER, x REAL, y REAL, w REAL, h REAL, annot_type_id INTEGER);
    CREATE TABLE FacePose (face_id INTEGER, roll REAL, pitch REAL, yaw REAL, annot_type_id INTEGER);
"""
PHOTOS = ("0/image00002.jpg", "2/image00013.jpg", "3/image00035.jpg")


def write_database(path: Path) -> None:
    """Two faces in the second photo; one face without points; one without a box."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as base:
        base.executescript(TABLES)
        types = [(number, name, "", 0, 0, 0) for number, name in enumerate(aflw.FEATURES, 1)]
        base.executemany("INSERT INTO FeatureCoordTypes VALUES (?, ?, ?, ?, ?, ?)", types)
        for number, photo in enumerate(PHOTOS):
            row = (number, "flickr", f"image{number}.jpg", photo, 0, 12, 10)
            base.execute("INSERT INTO FaceImages VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        faces = [(39341, "image0.jpg"), (39343, "image1.jpg"), (39342, "image1.jpg"), (39344, "image2.jpg")]
        base.executemany("INSERT INTO Faces VALUES (?, ?, 'flickr')", faces)
        coords = [(39341, 1, 4.5, 5.5), (39341, 21, 6, 9), (39342, 15, 3, 4), (39343, 15, 7, 8)]
        base.executemany("INSERT INTO FeatureCoords VALUES (?, ?, ?, ?, 1)", coords)
        base.executemany("INSERT INTO FaceRect VALUES (?, 2, 3, 4, 5, 1)", [(39341,), (39342,)])
        base.execute("INSERT INTO FacePose VALUES (39341, 0.1, 0.2, 0.3, 1)")
        base.commit()


@pytest.fixture
def root(tmp_path: Path, write_photo: Callable[..., Path]) -> Path:
    for photo in PHOTOS:
        write_photo(f"data/flickr/{photo}")
    write_database(tmp_path / "data" / "aflw.sqlite")
    return tmp_path


def test_database(root: Path, check_records: Callable[..., None]) -> None:
    records = aflw.records(root)
    check_records(records, "aflw21")
    assert [record.name for record in records] == [PHOTOS[0], f"{PHOTOS[1]}#0", f"{PHOTOS[1]}#1"]
    first, second, third = records
    assert np.flatnonzero(first.visible).tolist() == [0, 20]
    np.testing.assert_array_equal(first.points[[0, 20]], [[4.5, 5.5], [6, 9]])
    assert np.isnan(first.points[1:20]).all()
    np.testing.assert_array_equal(first.box_xyxy, [2, 3, 6, 8])
    np.testing.assert_array_equal(second.points[14], [3, 4])
    assert third.box_xyxy is None


def test_parts_of_the_database_divide_the_photos(root: Path) -> None:
    parts = [{record.name for record in aflw.records(root, split)} for split in ("train", "test")]
    assert set().union(*parts) == {record.name for record in aflw.records(root)}
    assert sum(map(len, parts)) == 3


def test_a_tenth_of_the_photos_is_test() -> None:
    parts = [aflw.split_of(f"0/image{number:05d}.jpg") for number in range(2000)]
    assert set(parts) == {"train", "test"}
    assert parts.count("test") / 2000 == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(
    ("missing", "name"),
    [
        ("data/aflw.sqlite", "aflw.sqlite"),
        ("data/flickr", "flickr"),
        ("data/flickr/0/image00002.jpg", "image00002.jpg"),
    ],
)
def test_a_missing_part_of_the_database_is_named(root: Path, missing: str, name: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(InputError, match=rf"expected '{name}' of AFLW at .*tugraz"):
        aflw.records(root)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE FeatureCoords", "no such table: FeatureCoords"),
        (
            "UPDATE FeatureCoordTypes SET descr = 'Chin' WHERE feature_id = 21",
            "expected the features.*'Chin'",
        ),
    ],
)
def test_a_damaged_database_is_named(root: Path, statement: str, message: str) -> None:
    with closing(sqlite3.connect(root / "data/aflw.sqlite")) as base:
        base.execute(statement)
        base.commit()
    with pytest.raises(InputError, match=rf"aflw.sqlite: .*{message}"):
        aflw.records(root)


def test_a_file_that_is_no_database(root: Path) -> None:
    (root / "data/aflw.sqlite").write_bytes(b"not a database at all, only bytes" * 40)
    with pytest.raises(InputError, match=r"aflw.sqlite: expected the database of AFLW, got file is not"):
        aflw.records(root)


def lists(**changes: object) -> dict[str, object]:
    """Four faces; the third in the order is the second of the file and has a hidden point."""
    data = np.arange(4 * 38.0).reshape(4, 38)
    mask = np.ones((4, 19))
    mask[1, 4] = 0
    names = np.array([PHOTOS[0], PHOTOS[1], PHOTOS[1], PHOTOS[2]], dtype=object)[:, None]
    boxes = np.tile([2.0, 9, 3, 8], (4, 1))
    table = {"nameList": names, "data": data, "bbox": boxes, "mask_new": mask, "ra": np.array([[4, 1, 2, 3]])}
    return {name: value for name, value in {**table, **changes}.items() if value is not None}


@pytest.fixture
def lists_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    savemat(root / "AFLWinfo_release.mat", lists())
    monkeypatch.setattr(aflw19, "TRAIN_FACES", 2)
    return root


def test_lists(lists_root: Path, check_records: Callable[..., None]) -> None:
    records = aflw19.records(lists_root)
    check_records(records, "aflw19")
    assert [(record.name, record.split) for record in records] == [
        (PHOTOS[2], "train"),
        (PHOTOS[0], "train"),
        (f"{PHOTOS[1]}#0", "test"),
        (f"{PHOTOS[1]}#1", "test"),
    ]
    np.testing.assert_array_equal(records[1].points, np.column_stack([np.arange(19), np.arange(19, 38)]))
    np.testing.assert_array_equal(records[1].box_xyxy, [2, 3, 9, 8])  # published as left, right, top, bottom
    assert np.flatnonzero(~records[2].visible).tolist() == [4]


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", [PHOTOS[2], PHOTOS[0]]),
        ("test", [f"{PHOTOS[1]}#0", f"{PHOTOS[1]}#1"]),
        ("test-frontal", [f"{PHOTOS[1]}#1"]),
    ],
)
def test_splits_of_the_lists(lists_root: Path, split: str, names: list[str]) -> None:
    assert [record.name for record in aflw19.records(lists_root, split)] == names


def test_missing_lists_are_named(root: Path) -> None:
    with pytest.raises(InputError, match=r"expected 'AFLWinfo_release.mat' of AFLW-19 at .*mmlab"):
        aflw19.records(root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_new": None}, "KeyError.*mask_new"),
        ({"data": np.zeros((4, 42))}, "cannot reshape"),
        ({"ra": np.array([[1, 2, 3]])}, "expected an order of 4 faces in ra, got 3 numbers"),
    ],
)
def test_damaged_lists_are_named(lists_root: Path, changes: dict[str, object], message: str) -> None:
    savemat(lists_root / "AFLWinfo_release.mat", lists(**changes))
    with pytest.raises(InputError, match=rf"AFLWinfo_release.mat: .*{message}"):
        aflw19.records(lists_root)


def test_lists_that_are_no_matlab_file(lists_root: Path) -> None:
    (lists_root / "AFLWinfo_release.mat").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"AFLWinfo_release.mat: expected the variables nameList"):
        aflw19.records(lists_root)


def test_damaged_files_of_aflw(root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("aflw", root)


def test_damaged_files_of_aflw19(lists_root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    check_damaged("aflw19", lists_root)
