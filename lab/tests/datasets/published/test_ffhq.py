"""FFHQ in its layout, whole or in part, with and without its JSON file."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets.published import ffhq

COORDINATES = np.arange(136.0).reshape(68, 2)
PICTURES = ("00000/00000.png", "00000/00007.png", "60000/60001.png")


@pytest.fixture
def root(tmp_path: Path, write_photo: Callable[..., Path]) -> Path:
    for picture in PICTURES:
        write_photo(f"images1024x1024/{picture}")
    return tmp_path


def entries(**changes: object) -> dict[str, object]:
    numbers = [str(int(Path(picture).stem)) for picture in PICTURES]
    return {number: {"image": {"face_landmarks": COORDINATES.tolist(), **changes}} for number in numbers}


def test_without_json(root: Path, check_records: Callable[..., None]) -> None:
    records = ffhq.records(root)
    check_records(records, "ibug68")
    assert [record.name for record in records] == [f"images1024x1024/{picture}" for picture in PICTURES]
    assert [record.split for record in records] == ["train", "train", "val"]
    assert all(record.points is None for record in records)


def test_with_json(root: Path, check_records: Callable[..., None]) -> None:
    (root / "ffhq-dataset-v2.json").write_text(json.dumps(entries()))
    records = ffhq.records(root, "val")
    check_records(records, "ibug68")
    assert [record.name for record in records] == [f"images1024x1024/{PICTURES[2]}"]
    np.testing.assert_array_equal(records[0].points, COORDINATES)


def test_pictures_without_folders_of_thousands(tmp_path: Path, write_photo: Callable[..., Path]) -> None:
    write_photo("images1024x1024/00012.png")
    assert [record.name for record in ffhq.records(tmp_path)] == ["images1024x1024/00012.png"]


def test_missing_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected 'images1024x1024' of FFHQ at .*NVlabs/ffhq-dataset"):
        ffhq.records(tmp_path)
    (tmp_path / "images1024x1024").mkdir()
    with pytest.raises(InputError, match=r"expected images such as 00000/00000.png, got none"):
        ffhq.records(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected a JSON object, got Expecting"),
        ("[]", "expected a JSON object, got list"),
        ('{"0": {}}', "expected the 68 points of 00000.png, got KeyError"),
        (
            json.dumps(entries(face_landmarks=[[1, 2]])),
            r"expected the 68 points of 00000.png, got numbers \(1, 2\)",
        ),
    ],
)
def test_a_damaged_json_is_named(root: Path, content: str, message: str) -> None:
    (root / "ffhq-dataset-v2.json").write_text(content)
    with pytest.raises(InputError, match=rf"ffhq-dataset-v2.json: {message}"):
        ffhq.records(root)


def test_damaged_files(root: Path, check_damaged: Callable[[str, Path], None]) -> None:
    (root / "ffhq-dataset-v2.json").write_text(json.dumps(entries()))
    check_damaged("ffhq", root)
