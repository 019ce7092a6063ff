"""Conversation with the worker processes: order, unreadable pictures, processes that end."""

import importlib.util
import io
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from facegeom.errors import FacegeomError, ImageError
from facegeom_lab.teachers import mesher
from facegeom_lab.teachers.mesher import Views, meshers

PYTHON = Path(sys.executable)


@pytest.mark.parametrize("workers", [1, 3])
def test_answers_keep_the_order_of_the_pictures(fake_teacher: object, tmp_path: Path, workers: int) -> None:
    counts = [(0, 0), (1, 1), (3, 2), (2, 3), (0, 1), (1, 0), (3, 3)]
    pictures = [fake_teacher.picture(tmp_path / f"{k}.png", *pair) for k, pair in enumerate(counts)]
    with meshers(PYTHON, workers, most=3) as teacher:
        seen = list(teacher.ask(pictures))
    assert [(len(views.plain), len(views.mirrored)) for views in seen] == counts
    np.testing.assert_allclose(seen[2].plain, fake_teacher.heads, atol=1e-4)
    assert (seen[2].width, seen[2].height) == (60, 60)
    assert teacher.edges.tolist() == [[0, 1]]


def test_unreadable_pictures_stand_in_their_place(fake_teacher: object, tmp_path: Path) -> None:
    good = fake_teacher.picture(tmp_path / "good.png", 1, 1)
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    with meshers(PYTHON, 2, most=3) as teacher:
        seen = list(teacher.ask([bad, good, tmp_path / "missing.png"]))
    assert [type(answer) for answer in seen] == [ImageError, Views, ImageError]


def test_a_worker_that_stops_is_an_error(fake_teacher: object, tmp_path: Path) -> None:
    pictures = [fake_teacher.picture(tmp_path / f"{k}.png", 1, 1, shift=255 * (k == 1)) for k in range(3)]
    with (
        pytest.raises(FacegeomError, match=r"stopped with exit code 1; it said:\nout of memory"),
        meshers(PYTHON, 1, most=3) as teacher,
    ):
        list(teacher.ask(pictures))


@pytest.mark.usefixtures("fake_teacher")
def test_a_worker_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    model = tmp_path / "face_landmarker.task"
    model.write_text("something else")
    with pytest.raises(FacegeomError, match="no such model"), meshers(PYTHON, 2, 3, model):
        pass


def load_worker(monkeypatch: pytest.MonkeyPatch, version: str) -> ModuleType:
    """The worker's own module, MediaPipe replaced by an empty package."""
    connections = SimpleNamespace(FACEMESH_TESSELATION=frozenset({(2, 1), (0, 1)}))
    solutions = SimpleNamespace(face_mesh=None, face_mesh_connections=connections)
    monkeypatch.setitem(sys.modules, "mediapipe", SimpleNamespace(__version__=version))
    monkeypatch.setitem(sys.modules, "mediapipe.python", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions", solutions)
    spec = importlib.util.spec_from_file_location(
        "worker", Path(mesher.__file__).with_name("mediapipe_worker.py")
    )
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    return worker


def test_the_worker_answers_for_both_views_in_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = load_worker(monkeypatch, "0.10.21")
    seen = []

    def find(rgb: np.ndarray) -> list[list[SimpleNamespace]]:
        seen.append(rgb)
        count = int(rgb[0, 0, 0])
        return [[SimpleNamespace(x=0.5, y=1.0, z=0.25)] * 478] * count

    rgb = np.zeros((2, 4, 3), np.uint8)
    rgb[0, 0], rgb[0, 3] = 2, 1
    replies = io.BytesIO()
    requests = json.dumps({"width": 4, "height": 2}).encode() + b"\n" + rgb.tobytes()
    worker.serve(find, io.BytesIO(requests), replies)
    first, head, body = replies.getvalue().split(b"\n", 2)
    assert json.loads(first) == {"version": "0.10.21", "edges": [[0, 1], [2, 1]]}
    assert json.loads(head) == {"plain": 2, "mirrored": 1}
    meshes = np.frombuffer(body, np.float32).reshape(3, 478, 3)
    np.testing.assert_array_equal(meshes, np.broadcast_to((1.5, 1.5, 1.0), meshes.shape))
    np.testing.assert_array_equal(seen[1], seen[0][:, ::-1])
