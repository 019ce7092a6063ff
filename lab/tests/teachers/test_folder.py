"""Labels of a folder: teachers by name, the Parquet file, resuming after a kill, errors."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facegeom.errors import InputError, OutputError
from facegeom_lab.teachers import folder as labelling
from facegeom_lab.teachers import labels
from facegeom_lab.teachers.folder import find_photos, label_folder, make_teacher
from facegeom_lab.teachers.mediapipe import MediaPipeTeacher

PYTHON = Path(sys.executable)


@pytest.fixture
def photos(fake_teacher: object, tmp_path: Path) -> Path:
    """Six photos: two faces, none, one seen in the mirror alone, an unsure one, one damaged, one hidden."""
    folder = tmp_path / "photos"
    fake_teacher.image(folder / "a" / "two.png", 2, 2)
    fake_teacher.image(folder / "none.png", 0, 0)
    fake_teacher.image(folder / "half.PNG", 1, 0)
    fake_teacher.image(folder / "unsure.png", 2, 2, shift=1)
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff no photo")
    (folder / "notes.txt").write_text("no photo")
    fake_teacher.image(folder / ".hidden" / "one.png", 1, 1)
    return folder


def test_rows(fake_teacher: object, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "labels.parquet"
    counts = label_folder(photos, out, MediaPipeTeacher(PYTHON), chunk=2)
    assert counts == {"photos": 5, "unreadable": 1, "without a face": 1, "faces": 5, "kept": 3}
    assert [path.name for path in out.parent.iterdir()] == ["labels.parquet"]
    rows = pq.read_table(out).to_pylist()
    found = [(row["file"], row["face"], row["keep"]) for row in rows]
    assert found == [
        ("a/two.png", 0, True),
        ("a/two.png", 1, True),
        ("damaged.jpg", None, None),
        ("half.PNG", 0, False),
        ("none.png", None, None),
        ("unsure.png", 0, True),
        ("unsure.png", 1, False),
    ]
    assert all((row["points"] is None) == (row["face"] is None) for row in rows)
    np.testing.assert_allclose(np.reshape(rows[1]["points"], (478, 3)), fake_teacher.heads[1], atol=1e-4)
    assert rows[0]["flip_error"] == pytest.approx(0, abs=1e-5) and rows[3]["flip_error"] is None
    assert rows[6]["flip_error"] > 0.05
    assert "damaged" in rows[2]["error"] and rows[2]["width"] is None
    assert [row["error"] for row in rows if row["file"] != "damaged.jpg"] == [None] * 6
    assert (rows[4]["width"], rows[4]["height"], rows[4]["scheme"]) == (60, 60, "mesh478")


@pytest.mark.usefixtures("fake_teacher")
def test_columns(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.parquet"
    label_folder(photos, out, MediaPipeTeacher(PYTHON, max_flip_error=0.1))
    schema = pq.read_schema(out)
    assert schema.names == [
        *("file", "face", "width", "height", "scheme", "points"),
        *("confidence", "flip_error", "keep", "error"),
    ]
    assert schema.field("points").type == pa.list_(pa.float32(), 478 * 3)
    assert json.loads(schema.metadata[labels.METADATA_KEY]) == {
        "teacher": "mediapipe",
        "model": "mediapipe==0.10.21",
        "max_flip_error": 0.1,
        "scheme": "mesh478",
        "dimensions": 3,
    }


def test_finished_photos_are_not_asked_again(fake_teacher: object, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.parquet"
    label_folder(photos, out, MediaPipeTeacher(PYTHON))
    before, asked = pq.read_table(out), fake_teacher.requests()
    assert label_folder(photos, out, MediaPipeTeacher(PYTHON))["photos"] == 5
    assert fake_teacher.requests() == asked and pq.read_table(out).equals(before)
    fake_teacher.image(photos / "a" / "new.png", 1, 1)
    assert label_folder(photos, out, MediaPipeTeacher(PYTHON))["photos"] == 6
    assert fake_teacher.requests() == asked + 1
    assert pq.read_table(out)["file"].to_pylist()[-1] == "a/new.png"


RUN = """
import sys
from pathlib import Path
from facegeom_lab.external import process
from facegeom_lab.teachers.folder import label_folder
from facegeom_lab.teachers.mediapipe import MediaPipeTeacher

worker, photos, out = map(Path, sys.argv[1:])
process.WORKERS = worker
label_folder(photos, out, MediaPipeTeacher(Path(sys.executable)), chunk=4)
"""


def test_a_killed_run_goes_on(fake_teacher: object, tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "labels.parquet"
    for number in range(30):
        fake_teacher.image(folder / f"{number:02d}.png", number % 3, number % 3, wait=5)
    second_part = tmp_path / "labels.parquet.parts" / "part-00001.parquet"
    run = subprocess.Popen([PYTHON, "-c", RUN, fake_teacher.folder, folder, out], stderr=subprocess.DEVNULL)
    while not second_part.exists():
        assert run.poll() is None
        time.sleep(0.01)
    run.kill()
    run.wait()
    kept = len(list(second_part.parent.glob("part-*.parquet"))) * 4
    assert not out.exists() and 8 <= kept < 30
    asked = fake_teacher.requests()
    assert label_folder(folder, out, MediaPipeTeacher(PYTHON), chunk=4)["photos"] == 30
    assert 0 <= fake_teacher.requests() - asked - (30 - kept) <= 2  # the killed run's last two may come late
    rows = [(row["file"], row["face"]) for row in pq.read_table(out, columns=["file", "face"]).to_pylist()]
    expected = [(f"{n:02d}.png", face) for n in range(30) for face in (range(n % 3) if n % 3 else [None])]
    assert rows == expected
    assert not second_part.parent.exists()


@pytest.mark.usefixtures("fake_teacher")
def test_parts_that_were_merged_already_are_not_merged_again(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.parquet"
    label_folder(photos, out, MediaPipeTeacher(PYTHON))
    before = pq.read_table(out)
    leftover = tmp_path / "labels.parquet.parts" / "part-00003.parquet"
    leftover.parent.mkdir()
    pq.write_table(before[:3], leftover)
    label_folder(photos, out, MediaPipeTeacher(PYTHON))
    assert pq.read_table(out).equals(before) and not leftover.exists()


@pytest.mark.usefixtures("fake_teacher")
def test_labels_of_other_settings_are_not_mixed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.parquet"
    label_folder(photos, out, MediaPipeTeacher(PYTHON))
    with pytest.raises(InputError, match=r'"max_flip_error": 0\.2.*found.*"max_flip_error": 0\.05.*--out'):
        label_folder(photos, out, MediaPipeTeacher(PYTHON, max_flip_error=0.2))


@pytest.mark.usefixtures("fake_teacher")
def test_a_file_that_is_no_table_is_not_overwritten(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.parquet"
    out.write_text("precious")
    with pytest.raises(InputError, match=r"expected labels in .*cannot be read"):
        label_folder(photos, out, MediaPipeTeacher(PYTHON))
    assert out.read_text() == "precious"


@pytest.mark.usefixtures("fake_teacher")
def test_a_place_that_cannot_be_written_is_told(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="file"):
        label_folder(photos, tmp_path / "file" / "labels.parquet", MediaPipeTeacher(PYTHON))


def test_folder_without_photos(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no photo")
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="expected a folder with photos, found none"):
            find_photos(folder)


def test_the_model_of_a_task(fake_teacher: object, photos: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "face_landmarker.task", tmp_path / "labels.parquet"
    with pytest.raises(InputError, match=r"expected a model file at .*task, found nothing"):
        MediaPipeTeacher(PYTHON, model)
    model.write_text("model 2")
    label_folder(photos, out, MediaPipeTeacher(PYTHON, model))
    settings = json.loads(pq.read_schema(out).metadata[labels.METADATA_KEY])
    assert len(settings["model"]) == 64
    model.write_text("model 3")
    with pytest.raises(InputError, match="name another file"):
        label_folder(photos, out, MediaPipeTeacher(PYTHON, model))


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [
        ("dlib", None, "expected one of the teachers mediapipe, mediapipe-task, heatmap, got 'dlib'"),
        ("mediapipe-task", None, "needs a face_landmarker.task file; give it with --model"),
        ("heatmap", None, "needs a checkpoint in its run folder; give it with --model"),
        ("mediapipe", Path("best.ckpt"), "brings its own model, got --model best.ckpt; leave that out"),
        ("mediapipe-task", Path("missing.task"), "expected a model file at missing.task, found nothing"),
        ("heatmap", Path("missing.ckpt"), r"recipe.yaml is missing"),
    ],
)
def test_wrong_choices(name: str, model: Path | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_teacher(name, model, PYTHON, 2, 0.05)


def test_mediapipe_with_and_without_a_model(tmp_path: Path) -> None:
    assert make_teacher("mediapipe", None, PYTHON, 3, 0.1) == MediaPipeTeacher(PYTHON, None, 3, 0.1)
    model = tmp_path / "face_landmarker.task"
    model.touch()
    assert make_teacher("mediapipe-task", model, PYTHON, 1, 0.1) == MediaPipeTeacher(PYTHON, model, 1, 0.1)


def test_an_environment_is_made_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(labelling, "ensure_python", lambda name: made.append(name) or PYTHON)
    make_teacher("mediapipe", None, None, 1, 0.05)
    assert made == ["mediapipe"]
