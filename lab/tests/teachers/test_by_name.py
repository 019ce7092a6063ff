"""Teachers by name: each gets the model it needs, and no other."""

import sys
from pathlib import Path

import pytest

from facegeom.errors import InputError
from facegeom_lab.teachers import by_name
from facegeom_lab.teachers.mesh_teacher import MeshTeacher

PYTHON = Path(sys.executable)


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
        by_name.teacher(name, model, PYTHON, 2, 0.05)


def test_mediapipe_with_and_without_a_model(tmp_path: Path) -> None:
    assert by_name.teacher("mediapipe", None, PYTHON, 3, 0.1) == MeshTeacher(PYTHON, None, 3, 0.1)
    model = tmp_path / "face_landmarker.task"
    model.touch()
    assert by_name.teacher("mediapipe-task", model, PYTHON, 1, 0.1) == MeshTeacher(PYTHON, model, 1, 0.1)


def test_an_environment_is_made_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(by_name, "ensure_python", lambda folder: made.append(folder) or PYTHON)
    by_name.teacher("mediapipe", None, None, 1, 0.05)
    assert made == [by_name.ENVIRONMENT]
