"""Faces of known geometry: the canonical head, rotated, placed before a camera and projected; an FPNet."""

import builtins
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import settings

from facegeom.geometry import boxes, topology
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_6d, rotation_to_line_of_sight
from facegeom.results import FACE_SHAPES, MOTION_SHAPES, Face, Faces

settings.register_profile("facegeom", deadline=None)  # a busy machine is no failure
settings.load_profile("facegeom")

# Mesh points near the 68 points of the markup: good enough to draw and to store.
NEAR_IBUG68 = [
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87),
]

_BEYOND: list[str] = []
"""Attempts of the tests to reach other machines."""


def _deny(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse connections and names of other machines; an audit hook stays until the process ends."""
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        address = arguments[1] if event != "socket.getaddrinfo" else arguments[:1]
        host = address[0] if isinstance(address, tuple) else "localhost"  # else a socket of this machine
        host = host.decode() if isinstance(host, bytes) else str(host or "localhost")
        own = host in ("localhost", "0.0.0.0", "::", "::1", socket.gethostname())
        if not own and not host.startswith(("127.", "fe80")):
            _BEYOND.append(f"{event} {host}")
            raise PermissionError(f"a test reaches beyond this machine: {host}")


sys.addaudithook(_deny)


@pytest.fixture(autouse=True, scope="session")
def ctrl_c() -> None:
    """Give Ctrl-C Python's own handler: a shell's background job is started without one."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def beyond() -> Iterator[list[str]]:
    """Fail a test that tries to reach another machine, also where the refusal is swallowed."""
    yield _BEYOND
    tried, _BEYOND[:] = list(_BEYOND), []
    assert not tried, f"the test reaches beyond this machine: {tried}"


def _head_seen_by(
    camera: Camera, rotation: np.ndarray, translation_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the canonical head (478, 3) in the camera frame, and in pixels as the face network predicts it.

    Args:
        camera: of the photo.
        rotation: (3, 3) of the head as seen.
        translation_mm: (3,) its origin in the camera frame.
    """
    in_camera = rotation_to_line_of_sight(translation_mm) @ rotation
    mesh_mm = topology.canonical_mm() @ in_camera.T + translation_mm
    pixels = camera.project(mesh_mm)
    sight = camera.back_project(pixels.mean(axis=0), np.array(1.0))  # to the middle of the face
    cosine = 1 / np.linalg.norm(sight)
    origin, along = translation_mm @ sight * cosine, mesh_mm @ sight * cosine
    z_px = (along - origin) * camera.focal_px / origin / cosine**1.5  # a lens stretches areas by 1/cos³
    return mesh_mm, np.concatenate([pixels, z_px[:, None]], axis=1)


def build_face(
    camera: Camera,
    angles_deg: tuple[float, float, float] = (0, 0, 0),
    translation_mm: tuple[float, float, float] = (0, 0, 500),
    score: float = 0.9876,
) -> Face:
    """Return the canonical head with yaw, pitch, roll as seen, degrees, at a place in millimetres."""
    rotation = rotation_from_angles(*angles_deg)
    mesh_mm, mesh_px = _head_seen_by(camera, rotation, np.array(translation_mm, np.float64))
    landmarks_px = mesh_px[NEAR_IBUG68, :2]
    return Face(
        box_xyxy=boxes.face_box(landmarks_px),
        score=score,
        landmarks_px=landmarks_px,
        landmarks_confidence=np.linspace(0, 1, 68),
        mesh_px=mesh_px,
        mesh_confidence=np.linspace(0, 1, 478),
        mesh_mm=mesh_mm,
        rotation=rotation,
        translation_mm=translation_mm,
        expression=np.append(np.linspace(0, 1, 51), 0),
        gaze=[(0, 0, -1), (0.6, 0, -0.8)],
        gaze_confidence=(0.9, 0.3),
    )


def build_faces(camera: Camera, *faces: Face, file: str | None = None) -> Faces:
    stacked = {
        name: np.stack([getattr(face, name) for face in faces]) for name in FACE_SHAPES | MOTION_SHAPES
    }
    photo = {"width": camera.width, "height": camera.height, "file": file, "fov_deg": camera.fov_deg}
    return Faces(**stacked, **photo)


@pytest.fixture
def camera() -> Camera:
    return Camera(320, 240)


@pytest.fixture(scope="session")
def head_seen_by() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Compute the canonical head in millimetres and in pixels from camera, rotation as seen, and place."""
    return _head_seen_by


@pytest.fixture
def make_face(camera: Camera) -> Callable[..., Face]:
    """Build a face from ``angles_deg``, ``translation_mm`` and ``score``, seen by the 320 x 240 camera."""
    return lambda **options: build_face(camera, **options)


@pytest.fixture
def make_faces(camera: Camera) -> Callable[..., Faces]:
    """Build a result with one such face."""
    return lambda **options: build_faces(camera, build_face(camera, **options))


@pytest.fixture
def faces(camera: Camera) -> Faces:
    """Return three faces in a photo of 320 x 240 pixels."""
    places: list[tuple[float, float, float]] = [(0, 0, 500), (-150, 20, 700), (170, -30, 800)]
    angles: list[tuple[float, float, float]] = [(0, 0, 0), (35, 10, -15), (-60, -20, 25)]
    heads = [
        build_face(camera, angle, place, score)
        for angle, place, score in zip(angles, places, (0.99, 0.9, 0.75), strict=True)
    ]
    return build_faces(camera, *heads, file="group.jpg")


FPNET_ROTATION = rotation_from_angles(20, -10, 5)
FPNET_OFFSETS = (0.1, 0.2, -0.1, 0.0)


@pytest.fixture(scope="session")
def fpnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an FPNet whose score is the window's mean red over 255 and whose other outputs are constant."""
    make, tensor = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    mean_to_score = np.array([[1 / 255], [0], [0]], np.float32)
    values = {"offsets": FPNET_OFFSETS, "rotation6d": 3 * rotation_to_6d(FPNET_ROTATION)}
    nodes = [
        make("Cast", ["pictures"], ["floats"], to=onnx.TensorProto.FLOAT),
        make("ReduceMean", ["floats"], ["mean"], axes=[1, 2], keepdims=0),
        make("MatMul", ["mean", "to_score"], ["column"]),
        make("Squeeze", ["column", "second"], ["score"]),
    ]
    constants = [
        onnx.numpy_helper.from_array(mean_to_score, "to_score"),
        onnx.numpy_helper.from_array(np.array([1]), "second"),
    ]
    for name, output in values.items():
        nodes += [
            make("MatMul", ["mean", f"{name}_none"], [f"{name}_zeros"]),
            make("Add", [f"{name}_zeros", f"{name}_value"], [name]),
        ]
        value = np.asarray(output, np.float32)
        constants.append(onnx.numpy_helper.from_array(value, f"{name}_value"))
        constants.append(onnx.numpy_helper.from_array(np.zeros((3, len(value)), np.float32), f"{name}_none"))
    graph = onnx.helper.make_graph(
        nodes,
        "fpnet",
        [tensor("pictures", onnx.TensorProto.UINT8, ["n", 48, 48, 3])],
        [
            tensor("score", onnx.TensorProto.FLOAT, ["n"]),
            tensor("offsets", onnx.TensorProto.FLOAT, ["n", 4]),
            tensor("rotation6d", onnx.TensorProto.FLOAT, ["n", 6]),
        ],
        constants,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    file = tmp_path_factory.mktemp("fpnet") / "fpnet.onnx"
    onnx.save(model, file)
    return file


@pytest.fixture(scope="session")
def fpnet_rotation() -> np.ndarray:
    """Return the rotation (3, 3) that this FPNet predicts for every window."""
    return FPNET_ROTATION


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that each opening of a file in this process extends by the file's path."""
    paths: list[str] = []
    by_path, by_name = Path.open, builtins.open

    def open_path(path: Path, *args: Any, **options: Any) -> Any:
        paths.append(str(path))
        return by_path(path, *args, **options)

    def open_name(file: Any, *args: Any, **options: Any) -> Any:
        paths.append(str(file))
        return by_name(file, *args, **options)

    monkeypatch.setattr(Path, "open", open_path)
    monkeypatch.setattr(builtins, "open", open_name)
    return paths
