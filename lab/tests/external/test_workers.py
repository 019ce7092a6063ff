"""The worker scripts with fakes in the place of their packages: replies in pixels."""

import sys
from io import BytesIO
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from facegeom_lab.external import process, protocol


@pytest.fixture
def mediapipe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the worker's module, MediaPipe replaced by an empty package."""
    connections = SimpleNamespace(FACEMESH_TESSELATION=frozenset({(2, 1), (0, 1)}))
    solutions = SimpleNamespace(face_detection=None, face_mesh=None, face_mesh_connections=connections)
    monkeypatch.setitem(sys.modules, "mediapipe", SimpleNamespace(__version__="0.10.21"))
    monkeypatch.setitem(sys.modules, "mediapipe.python", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions", solutions)
    return protocol.load_script(str(process.WORKERS / "mediapipe.py"))


def conversation(worker: ModuleType, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the worker's replies."""
    asked, replies = BytesIO(), BytesIO()
    for request in requests:
        protocol.send(asked, request)
    asked.seek(0)
    protocol.serve(protocol.Worker(worker.MODELS, worker.VERSIONS, worker.ABOUT), asked, replies)
    replies.seek(0)
    return [protocol.receive(replies) for _ in requests]


def test_mediapipe_meshes_of_both_views(mediapipe: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def find(rgb: np.ndarray) -> list[list[SimpleNamespace]]:
        seen.append(rgb)
        count = int(rgb[0, 0, 0])
        return [[SimpleNamespace(x=0.5, y=1.0, z=0.25)] * 478] * count

    monkeypatch.setattr(mediapipe, "_face_mesh", lambda max_faces: find)
    rgb = np.zeros((2, 4, 3), np.uint8)
    rgb[0, 0], rgb[0, 3] = 2, 1
    options = {"max_faces": 3, "model_file": None}
    about, found = conversation(
        mediapipe,
        {"op": "about"},
        {"op": "find", "model": "mesh_of_both_views", "options": options, "array": rgb},
    )
    assert about["versions"]["mediapipe"] == "0.10.21" and about["edges"] == [[0, 1], [2, 1]]
    assert (len(found["plain"]), len(found["mirrored"])) == (2, 1)
    meshes = np.concatenate([found["plain"], found["mirrored"]])
    assert meshes.dtype == np.float32
    np.testing.assert_array_equal(meshes, np.broadcast_to((1.5, 1.5, 1.0), (3, 478, 3)))
    np.testing.assert_array_equal(seen[1], seen[0][:, ::-1])


def test_mediapipe_boxes_and_meshes(mediapipe: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    box = SimpleNamespace(xmin=0.25, ymin=0.5, width=0.5, height=0.25)
    detection = SimpleNamespace(location_data=SimpleNamespace(relative_bounding_box=box), score=[0.75])
    points = [SimpleNamespace(x=0.25, y=0.5, z=0.0), SimpleNamespace(x=0.75, y=0.75, z=0.5)]
    detections, faces = [detection], [SimpleNamespace(landmark=points)]

    class Solution:
        def __init__(self, **options: object) -> None: ...

        def process(self, rgb: np.ndarray) -> SimpleNamespace:
            return SimpleNamespace(
                detections=detections if rgb.any() else None,
                multi_face_landmarks=faces if rgb.any() else None,
            )

    monkeypatch.setattr(mediapipe, "face_detection", SimpleNamespace(FaceDetection=Solution))
    monkeypatch.setattr(mediapipe, "face_mesh", SimpleNamespace(FaceMesh=Solution))
    bright, dark = np.ones((4, 8, 3), np.uint8), np.zeros((4, 8, 3), np.uint8)
    requests = [
        {"op": "find", "model": model, "array": image}
        for model in ("detector", "mesh")
        for image in (bright, dark)
    ]
    boxes, no_boxes, meshes, no_meshes = conversation(mediapipe, *requests)
    assert boxes == {"box_xyxy": [[1.5, 1.5, 5.5, 2.5]], "score": [0.75]}
    assert no_boxes == {"box_xyxy": [], "score": []}
    assert meshes["mesh_px"] == [[[1.5, 1.5, 0.0], [5.5, 2.5, 4.0]]]
    assert meshes["box_xyxy"] == [[1.5, 1.5, 5.5, 2.5]] and meshes["score"] == [1.0]
    assert no_meshes == {"box_xyxy": [], "score": [], "mesh_px": []}
