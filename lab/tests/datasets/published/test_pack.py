"""The data pack: its tables, its labelled photos, its faces as records, errors that name a missing part."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom_lab.datasets.published import pack

HEADER = "file,source,split,size_px,landmarks,origin,person\n"
TABLE = f"""{HEADER}\
helen/00001.jpg,helen,train,224,68,100_1.jpg,helen:100
ytf/00002.jpg,ytf,val,180,,video_7.jpg,ytf:7
"""
RECORDS = f"""{HEADER}\
helen/1.jpg,helen,train,12,68,1.jpg,helen:1
lfpw/2.jpg,lfpw,val,12,68,2.jpg,lfpw:2
afw/3.jpg,afw,test,12,68,3.jpg,afw:3
ytf/4.jpg,ytf,train,12,68,4.jpg,ytf:4
masks/5.jpg,masks,train,12,,5.jpg,masks:5
masks/6.jpg,masks,train,12,,6.jpg,masks:6
"""
FILES = ["helen/1.jpg", "lfpw/2.jpg", "afw/3.jpg", "ytf/4.jpg", "masks/5.jpg", "masks/6.jpg"]


def write_faces(root: Path, table: str, files: list[str], points: np.ndarray) -> None:
    (root / "faces").mkdir(exist_ok=True)
    (root / "faces" / "faces.csv").write_text(table, encoding="utf-8")
    np.savez(root / "faces" / "landmarks68.npz", files=np.array(files), points_xy=points)


def write_scenes(root: Path, entries: list[dict[str, object]]) -> None:
    (root / "scenes").mkdir()
    (root / "scenes" / "scenes.json").write_text(json.dumps(entries), encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write two faces, three scenes, and backgrounds as empty files, which are not decoded here."""
    write_faces(tmp_path, TABLE, ["helen/00001.jpg"], np.arange(136.0).reshape(1, 68, 2))
    write_scenes(tmp_path, [{"file": f"{s}.jpg", "split": s, "faces": []} for s in ("train", "val", "test")])
    (tmp_path / "backgrounds").mkdir()
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
    assert [entry["file"] for entry in pack.scene_entries(data, split)] == [f"{split}.jpg"]


def test_backgrounds_are_divided(data: Path) -> None:
    train, val = pack.background_files(data, "train"), pack.background_files(data, "val")
    assert [path.name for path in (train[0], train[-1], val[0], val[-1])] == [
        *("000.jpg", "199.jpg", "200.jpg", "299.jpg")
    ]
    assert len(train) == 200 and len(val) == 100


def test_free_backgrounds_are_divided(data: Path) -> None:
    assert pack.free_background_files(data, "train") == []  # a part that may be missing
    folder = data / "free" / "backgrounds"
    folder.mkdir(parents=True)
    for number in range(25):
        (folder / f"{number:02d}.jpg").touch()
    assert [path.stem for path in pack.free_background_files(data, "val")] == ["00", "10", "20"]
    assert len(pack.free_background_files(data, "train")) == 22


def test_crowds_are_divided(data: Path) -> None:
    (data / "crowds").mkdir()
    entries = [{"file": f"{n:03d}.jpg", "faces": [{"box": [0, 1, n, n + 2]}] * (n % 3)} for n in range(453)]
    (data / "crowds" / "crowds.json").write_text(json.dumps(entries))
    train, val = pack.crowd_photos(data, "train"), pack.crowd_photos(data, "val")
    assert [photo.path.name for photo in (train[0], train[-1], val[0], val[-1])] == [
        *("000.jpg", "352.jpg", "353.jpg", "452.jpg")
    ]
    assert val[0].box_xyxy.tolist() == [[0, 1, 353, 355]] * 2 and np.isnan(val[0].teacher_box_xyxy).all()
    assert val[1].box_xyxy.shape == (0, 4) and len(train) == 353 and len(val) == 100


@pytest.mark.parametrize(
    ("missing", "read"),
    [
        ("faces/faces.csv", pack.face_rows),
        ("faces/landmarks68.npz", pack.face_landmarks),
        ("scenes/scenes.json", lambda data: pack.scene_entries(data, "train")),
        ("backgrounds/250.jpg", lambda data: pack.background_files(data, "val")),
    ],
)
def test_a_missing_part_is_named(data: Path, missing: str, read: Callable[[Path], object]) -> None:
    (data / missing).unlink()
    with pytest.raises(InputError, match=rf"{Path(missing).name}.*check --data"):
        read(data)


def test_colours_are_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((4, 4, 3), (0, 0, 250), np.uint8))
    assert pack.read_images([tmp_path / "red.png"])[0][0, 0].tolist() == [250, 0, 0]


@pytest.fixture
def labelled_photos(data: Path) -> Path:
    """Write two val scenes, the second with MTCNN's boxes, and four val faces, one of them masked."""
    points = np.random.default_rng(5).uniform(20, 42, (68, 2))
    face = {"box": [22, 16, 42, 36], "landmarks68": points.tolist(), "origin": "human"}
    found = {"box": [0, 0, 9, 9], "score": 0.9, "origin": "teacher"}
    faces = [[face], [{**face, "teacher_box": [20, 10, 44, 40]}, found]]
    entries = [{"file": "a.png", "source": "afw", "split": "val", "faces": each} for each in faces]
    (data / "scenes" / "scenes.json").write_text(json.dumps(entries), encoding="utf-8")
    rows = [
        f"{split}_{index}.png,{source},{split},64,,o,p"
        for split in ("train", "val")
        for index, source in enumerate(["helen"] * 3 + ["masks"])
    ]
    files = [row.split(",")[0] for row in rows if "helen" in row]
    write_faces(data, HEADER + "\n".join(rows), files, np.stack([points] * len(files)))
    return data


def test_scenes_keep_the_human_annotations(labelled_photos: Path) -> None:
    first, second = pack.scene_photos(labelled_photos, "val")
    assert (first.labelled, second.labelled) == (1, 2)
    assert first.landmarks_px.shape == second.landmarks_px.shape == (1, 68, 2)
    assert np.isnan(first.teacher_box_xyxy).all()
    assert second.teacher_box_xyxy.tolist() == [[20, 10, 44, 40]]


def test_faces_with_and_without_landmarks(labelled_photos: Path) -> None:
    photos = pack.face_photos(labelled_photos, "val")
    assert [photo.source for photo in photos] == ["helen"] * 3 + ["masks"]
    assert [len(photo.landmarks_px) for photo in photos] == [1, 1, 1, 0]
    assert len(pack.face_photos(labelled_photos, "train", ("masks",))) == 1


def test_backgrounds_are_the_held_out_hundred(data: Path) -> None:
    photos = pack.background_photos(data)
    assert len(photos) == 100
    assert photos[0].box_xyxy.shape == (0, 4)


def test_a_folder_that_is_no_pack_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scenes\.json"):
        pack.scene_photos(tmp_path, "val")


@pytest.fixture
def faces(tmp_path: Path, write_photo: Callable[..., Path]) -> Path:
    """Write six faces, four of them with points."""
    for file in FILES:
        write_photo(f"faces/{file}")
    write_faces(tmp_path, RECORDS, FILES[:4], np.arange(4 * 136.0).reshape(4, 68, 2))
    return tmp_path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    keep = np.array([True, False, True, True, True, False])
    mesh = np.arange(6.0)[:, None, None] + np.zeros((6, 478, 3))
    np.savez(tmp_path / "labels.npz", files=FILES, keep=keep, mesh=mesh)
    return tmp_path / "labels.npz"


def test_records_have_the_human_annotations(faces: Path, check_records: Callable[..., None]) -> None:
    records = pack.records(faces)
    check_records(records, "ibug68")
    assert [(record.name, record.split, record.source) for record in records] == [
        ("faces/helen/1.jpg", "train", "helen"),
        ("faces/lfpw/2.jpg", "val", "lfpw"),
        ("faces/afw/3.jpg", "test", "afw"),
    ]
    np.testing.assert_array_equal(records[1].points, np.arange(136, 272).reshape(68, 2))


def test_split_and_sources(faces: Path) -> None:
    assert [record.name for record in pack.records(faces, "test")] == ["faces/afw/3.jpg"]
    names = [record.name for record in pack.records(faces, "train", sources=["ytf", "masks"])]
    assert names == ["faces/ytf/4.jpg"]  # an image without points is no labelled face


def test_meshes_of_the_teacher(faces: Path, labels: Path, check_records: Callable[..., None]) -> None:
    records = pack.records(faces, sources=["helen", "lfpw", "masks"], labels=labels)
    check_records(records, "ibug68")
    meshes = [None if record.mesh is None else record.mesh[0, 0] for record in records]
    assert meshes == [0, None, 4]
    assert [record.points is None for record in records] == [False, False, True]


def test_an_unknown_source(faces: Path) -> None:
    with pytest.raises(InputError, match=r"expected sources of the data pack \(afw, .*ytf\), got cat"):
        pack.records(faces, sources=["helen", "cat"])


@pytest.mark.parametrize("missing", ["faces.csv", "landmarks68.npz"])
def test_a_missing_table_of_the_faces_is_named(faces: Path, missing: str) -> None:
    (faces / "faces" / missing).unlink()
    with pytest.raises(InputError, match=missing):
        pack.records(faces)


def test_missing_labels_are_named(faces: Path) -> None:
    with pytest.raises(InputError, match="facegeom lab label"):
        pack.records(faces, labels=faces / "none.npz")
