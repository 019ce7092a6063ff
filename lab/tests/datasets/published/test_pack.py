"""Reading the data pack: a tiny one in the exact layout, and what is said when a part is missing."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets.published import pack

TABLE = """\
file,source,split,size_px,landmarks,origin,person
helen/00001.jpg,helen,train,224,68,100_1.jpg,helen:100
ytf/00002.jpg,ytf,val,180,,video_7.jpg,ytf:7
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two faces, three scenes; the backgrounds are empty files, which nobody decodes here."""
    for folder in ("faces", "scenes", "backgrounds"):
        (tmp_path / folder).mkdir()
    (tmp_path / "faces" / "faces.csv").write_text(TABLE, encoding="utf-8")
    points = np.arange(136.0).reshape(1, 68, 2)
    np.savez(tmp_path / "faces" / "landmarks68.npz", files=np.array(["helen/00001.jpg"]), points_xy=points)
    scenes = [{"file": f"{split}.jpg", "split": split, "faces": []} for split in ("train", "val", "test")]
    (tmp_path / "scenes" / "scenes.json").write_text(json.dumps(scenes), encoding="utf-8")
    for number in range(300):
        (tmp_path / "backgrounds" / f"{number:03d}.jpg").touch()
    return tmp_path


def test_rows_keep_the_order_of_the_table(data: Path) -> None:
    assert pack.face_rows(data) == [
        pack.FaceRow("helen/00001.jpg", "helen", "train", 224, "helen:100"),
        pack.FaceRow("ytf/00002.jpg", "ytf", "val", 180, "ytf:7"),
    ]


def test_landmarks_by_file(data: Path) -> None:
    known = pack.face_landmarks(data)
    assert list(known) == ["helen/00001.jpg"]
    assert known["helen/00001.jpg"].shape == (68, 2) and known["helen/00001.jpg"].dtype == np.float32
    np.testing.assert_array_equal(known["helen/00001.jpg"][67], (134, 135))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_scenes_of_a_split(data: Path, split: str) -> None:
    assert [entry["file"] for entry in pack.scenes(data, split)] == [f"{split}.jpg"]


def test_backgrounds_are_divided(data: Path) -> None:
    train, val = pack.backgrounds(data, "train"), pack.backgrounds(data, "val")
    assert [path.name for path in (train[0], train[-1], val[0], val[-1])] == [
        *("000.jpg", "199.jpg", "200.jpg", "299.jpg")
    ]
    assert len(train) == 200 and len(val) == 100


@pytest.mark.parametrize(
    ("missing", "read"),
    [
        ("faces/faces.csv", pack.face_rows),
        ("faces/landmarks68.npz", pack.face_landmarks),
        ("scenes/scenes.json", lambda data: pack.scenes(data, "train")),
        ("backgrounds/250.jpg", lambda data: pack.backgrounds(data, "val")),
    ],
)
def test_a_missing_part_is_named(data: Path, missing: str, read: Callable[[Path], object]) -> None:
    (data / missing).unlink()
    with pytest.raises(InputError, match=rf"{Path(missing).name}.*check --data"):
        read(data)
