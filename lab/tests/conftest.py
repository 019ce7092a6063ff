"""A small data pack with drawn heads, enough to cut training crops and to train a few steps.

Faces of known geometry and an FPNet come from the fixtures of the runtime's tests.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from facegeom.geometry import topology
from facegeom.geometry.boxes import face_box
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.schemes import IBUG68_MIRROR


def _runtime_fixtures() -> ModuleType:
    """Load the conftest of the runtime's tests."""
    spec = spec_from_file_location("facegeom_test_fixtures", Path(__file__).parents[2] / "tests/conftest.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_runtime = _runtime_fixtures()
camera, faces, make_face, make_faces = (
    _runtime.camera,
    _runtime.faces,
    _runtime.make_face,
    _runtime.make_faces,
)
fpnet_file, fpnet_rotation = _runtime.fpnet_file, _runtime.fpnet_rotation

SIDE = 160
HUMAN_SOURCES = ("helen", "lfpw", "afw")
"""Sources with human annotations."""


@dataclass(frozen=True)
class Head:
    """The canonical head, rotated, in parallel projection: pixels of an image of 160 x 160."""

    landmarks: np.ndarray
    mesh: np.ndarray
    rotation: np.ndarray


@dataclass(frozen=True)
class TrainingPack:
    """Paths of a small data pack, and its heads in the order of ``faces.csv``."""

    data: Path
    labels: Path
    rendered: Path
    heads: list[Head]


def mesh_points_of_68() -> np.ndarray:
    """Return the mesh points (68,) nearest to the 68 on the canonical head, as symmetric as these."""
    mirror, mesh, points = topology.mirror(), topology.canonical_mm(), topology.canonical68_mm()
    distance = np.linalg.norm(points[:, None] - mesh[None], axis=2)
    middle = mirror == np.arange(478)
    picks = np.empty(68, np.intp)
    for index, image in enumerate(IBUG68_MIRROR.tolist()):
        picks[index] = np.where(middle | (index != image), distance[index], np.inf).argmin()
        picks[image] = mirror[picks[index]]
    picks[[36, 45]] = 33, 263
    return picks


def head(*angles_deg: float) -> Head:
    """Return the head of yaw, pitch and roll in degrees."""
    rotation = rotation_from_angles(*angles_deg)
    mesh = topology.canonical_mm().astype(np.float64) @ rotation.T * 0.5 + (SIDE / 2, SIDE / 2 - 10, 0)
    return Head(mesh[mesh_points_of_68(), :2], mesh, rotation)


def drawn(face: Head, level: int) -> np.ndarray:
    """Return a plain image (160, 160, 3) with a light face and dark points."""
    image = np.full((SIDE, SIDE, 3), level, np.uint8)
    left, top, right, bottom = face_box(face.landmarks)
    middle = (int((left + right) / 2), int((top + bottom) / 2))
    cv2.ellipse(
        image, middle, (int(right - left) // 2, int(bottom - top) // 2), 0, 0, 360, (150, 180, 220), -1
    )
    for x, y in face.landmarks:
        cv2.circle(image, (round(x), round(y)), 2, (40, 30, 60), -1)
    return image


@pytest.fixture(scope="session")
def make_head() -> Callable[..., Head]:
    """Build a head from yaw, pitch and roll in degrees."""
    return head


@pytest.fixture(scope="session")
def training_pack(tmp_path_factory: pytest.TempPathFactory) -> TrainingPack:
    """Write ten train faces (two masked), four val faces, one rejected; scenes, a crowd, empty photos."""
    root = tmp_path_factory.mktemp("pack")
    data = root / "data"
    for folder in ("faces", "scenes", "backgrounds"):
        (data / folder).mkdir(parents=True)
    kinds = [("helen", "train")] * 8 + [("masks", "train")] * 2 + [("helen", "val")] * 4 + [("ytf", "train")]
    rng = np.random.default_rng(7)
    heads = [head(*rng.uniform(-25, 25, 3)) for _ in kinds]
    _write_faces(data / "faces", kinds, heads)
    _write_scenes(data / "scenes", heads)
    for number in range(300):
        noise = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        cv2.imwrite(str(data / "backgrounds" / f"{number:03d}.jpg"), cv2.resize(noise, (80, 64)))
    _write_free(data)
    _write_labels(root / "labels.npz", heads)
    _write_shard(root / "synth" / "synth_000.npz", [head(a, 0, 0) for a in (-30, 0, 30)])
    return TrainingPack(data, root / "labels.npz", root / "synth", heads)


@pytest.fixture(scope="session")
def labelled_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a data pack of annotated faces and nothing else: six train, two val, two test."""
    root = tmp_path_factory.mktemp("labelled")
    (root / "faces").mkdir()
    kinds = [("helen", "train")] * 6 + [("lfpw", "val")] * 2 + [("afw", "test")] * 2
    rng = np.random.default_rng(3)
    _write_faces(root / "faces", kinds, [head(*rng.uniform(-25, 25, 3)) for _ in kinds])
    return root


def _write_faces(folder: Path, kinds: list[tuple[str, str]], heads: list[Head]) -> None:
    lines = ["file,source,split,size_px,landmarks,origin,person"]
    for index, ((source, split), face) in enumerate(zip(kinds, heads, strict=True)):
        image = drawn(face, 90 + 5 * index)
        image[:, : 20 if index == 0 else 0] = 0  # the photo of the first face ends 20 pixels from the left
        cv2.imwrite(str(folder / f"{index}.png"), image)
        lines.append(f"{index}.png,{source},{split},{SIDE},68,o{index},p{index}")
    (folder / "faces.csv").write_text("\n".join(lines))
    annotated = [index for index, (source, _) in enumerate(kinds) if source in HUMAN_SOURCES]
    points = np.stack([heads[index].landmarks + 1 for index in annotated])  # annotations differ from the mesh
    np.savez(folder / "landmarks68.npz", files=[f"{index}.png" for index in annotated], points_xy=points)


def _write_scenes(folder: Path, heads: list[Head]) -> None:
    entries = []
    for index, split in enumerate(["train", "train", "train", "val"]):
        scene = np.full((220, 300, 3), 100, np.uint8)
        scene[30 : 30 + SIDE, 90 : 90 + SIDE] = drawn(heads[index], 100)
        cv2.imwrite(str(folder / f"{index}.png"), scene)
        landmarks = heads[index].landmarks + np.array([90, 30])
        face = {"box": face_box(landmarks).tolist()}
        if index != 1:  # that one has the teacher's box alone
            face["landmarks68"] = landmarks.tolist()
        entries.append({"file": f"{index}.png", "split": split, "faces": [face]})
    (folder / "scenes.json").write_text(json.dumps(entries))


def _write_free(data: Path) -> None:
    """Write one crowd with a large and a small face, and four free photos without a face."""
    (data / "crowds").mkdir()
    (data / "free" / "backgrounds").mkdir(parents=True)
    cv2.imwrite(str(data / "crowds" / "000.jpg"), np.full((150, 200, 3), 120, np.uint8))
    faces = [{"box": [100, 60, 140, 110]}, {"box": [20, 20, 30, 30]}]
    (data / "crowds" / "crowds.json").write_text(json.dumps([{"file": "000.jpg", "faces": faces}]))
    for number in range(4):
        image = np.full((64, 80, 3), 40 * number, np.uint8)
        cv2.imwrite(str(data / "free" / "backgrounds" / f"{number}.jpg"), image)


def _write_labels(file: Path, heads: list[Head]) -> None:
    keep = np.ones(len(heads), bool)
    keep[-1] = False
    mesh = np.stack([face.mesh for face in heads]).astype(np.float32)
    map_indices = mesh_points_of_68()[:, None]
    np.savez(file, mesh=mesh, keep=keep, map_indices=map_indices, map_weights=np.ones(map_indices.shape))


def _write_shard(file: Path, heads: list[Head]) -> None:
    file.parent.mkdir()
    np.savez(
        file,
        images=np.stack([drawn(face, 60) for face in heads]),
        landmarks_px=np.stack([face.landmarks for face in heads]),
        visible=np.arange(68)[None] + 0 * np.arange(len(heads))[:, None] >= 8,
        rotation=np.stack([face.rotation for face in heads]),
        translation=np.tile([0.0, 0, 600], (len(heads), 1)),
    )
