"""Animations: read back by readers that share no code with the writers."""

import csv
import json
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from math import radians
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from receivers import UNREAL
from trimesh.transformations import euler_matrix, quaternion_matrix

from facegeom.geometry import topology
from facegeom.geometry.gaze import gaze_from_angles
from facegeom.geometry.schemes import ARKIT52
from facegeom.results import Faces
from facegeom.video import Frame, TrackedFaces
from facegeom.video.animation import MAX_SHAPES, open_animation, shapes_of, with_eyes

CHIN = [152, 148, 176, 149, 377, 400, 378, 17, 14, 87, 317]


def frame(index: int, time_s: float) -> Frame:
    pixels = np.full((240, 320, 3), 90, np.uint8)
    pixels[:, :, 0] = np.arange(320) % 256
    return Frame(index, time_s, pixels)


def moved(faces: Faces, jaw: float) -> Faces:
    """Return the faces with the chin lower, and the coefficient and the gaze that go with it."""
    mesh = faces.mesh_mm.copy()
    mesh[:, CHIN] += jaw * 20 * faces.camera_rotation[:, None, :, 1]
    values = np.array([jaw if name in ("jawOpen", "mouthRight") else 0.0 for name in ARKIT52])
    gaze = np.tile(gaze_from_angles(30 * jaw, 0), (len(faces), 2, 1))
    ones = np.ones((len(faces), 2))
    return replace(
        faces, mesh_mm=mesh, expression=np.tile(values, (len(faces), 1)), gaze=gaze, gaze_confidence=ones
    )


@pytest.fixture
def clip(make_faces: Callable[..., Faces]) -> list[tuple[Frame, TrackedFaces]]:
    """Forty frames of a head that nods, turns and comes nearer while the jaw opens; one shows no face."""
    frames = []
    for index in range(40):
        swing = np.sin(index / 6)
        angles, place = (60 * swing, 20 * swing, 170 * swing), (100 * swing, 10, 600 - 5 * index)
        faces = moved(make_faces(angles_deg=angles, translation_mm=place), (1 - np.cos(index / 3)) / 2)
        seen = faces[[]] if index == 7 else faces
        frames.append((frame(index, index / 25), TrackedFaces(np.arange(len(seen)), seen)))
    return frames


def write(path: Path, kind: str, clip: list[tuple[Frame, TrackedFaces]]) -> Path:
    with open_animation(path, kind, 25.0) as animation:
        for one, tracked in clip:
            animation.write(one, tracked)
    return path


class Gltf:
    """A GLB file, read by the words of glTF 2.0."""

    def __init__(self, content: bytes) -> None:
        magic, version, size, length, kind = struct.unpack_from("<4sIII4s", content)
        assert (magic, version, size, kind) == (b"glTF", 2, len(content), b"JSON")
        self.document: dict[str, Any] = json.loads(content[20 : 20 + length])
        self._binary = content[28 + length :]

    def array(self, number: int) -> np.ndarray:
        """Return the values of an accessor, and check its limits."""
        accessor = self.document["accessors"][number]
        view = self.document["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        kind = {5126: "<f4", 5123: "<u2"}[accessor["componentType"]]
        flat = np.frombuffer(self._binary, kind, accessor["count"] * width, view["byteOffset"])
        assert flat.nbytes == view["byteLength"]
        values = flat.reshape(-1, width)
        if "min" in accessor:
            np.testing.assert_array_equal(values.min(axis=0), np.array(accessor["min"], kind))
            np.testing.assert_array_equal(values.max(axis=0), np.array(accessor["max"], kind))
        return values

    def play(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the times (N,) of the keys, and the points (N, 478, 3) that a viewer shows there."""
        (mesh,), (animation,) = self.document["meshes"], self.document["animations"]
        (primitive,) = mesh["primitives"]
        rest = self.array(primitive["attributes"]["POSITION"])
        shapes = np.stack([self.array(target["POSITION"]) for target in primitive["targets"]])
        assert len(mesh["weights"]) == len(mesh["extras"]["targetNames"]) == len(shapes)
        curves = {}
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            assert channel["target"]["node"] == 0 and sampler.get("interpolation", "LINEAR") == "LINEAR"
            times = self.array(sampler["input"])[:, 0]
            curves[channel["target"]["path"]] = self.array(sampler["output"]).reshape(len(times), -1)
        weights, places = curves["weights"], curves["translation"]
        assert np.abs(weights).max() <= 1 + 1e-6
        turns = np.stack([quaternion_matrix(q[[3, 0, 1, 2]])[:3, :3] for q in curves["rotation"]])
        self.quaternions = curves["rotation"]
        bent = rest + np.tensordot(weights, shapes, 1)
        return times, np.einsum("nij,nvj->nvi", turns, bent) + places[:, None]


def test_a_viewer_shows_the_face_move(clip: Any, tmp_path: Path) -> None:
    gltf = Gltf(write(tmp_path / "a.glb", "glb", clip).read_bytes())
    times, points = gltf.play()
    seen = [(one, tracked) for one, tracked in clip if len(tracked.ids)]
    np.testing.assert_allclose(times, [one.time_s for one, _ in seen], atol=1e-6)
    meshes = np.stack([tracked.faces.mesh_mm[0] for _, tracked in seen]) * (1, -1, -1) / 1000
    assert np.linalg.norm(points - meshes, axis=2).max() < 5e-4
    assert np.ptp(meshes[:, 152], axis=0).max() > 0.1  # metres by which the chin moves


def test_between_two_frames_a_head_turns_the_short_way(clip: Any, tmp_path: Path) -> None:
    gltf = Gltf(write(tmp_path / "a.glb", "glb", clip).read_bytes())
    gltf.play()
    steps = (gltf.quaternions[1:] * gltf.quaternions[:-1]).sum(axis=1)
    assert steps.min() > 0.7 and gltf.quaternions[:, 3].min() < 0  # rolled by more than 180°


def test_the_moving_mesh_opens_as_a_mesh(clip: Any, tmp_path: Path) -> None:
    content = write(tmp_path / "a.glb", "glb", clip).read_bytes()
    mesh = trimesh.load(BytesIO(content), file_type="glb", process=False, force="mesh")
    assert mesh.vertices.shape == (478, 3) and len(mesh.faces) == 852 + 32  # and both eyes
    assert mesh.visual.material.baseColorTexture.size[0] > 50
    flat = Gltf(content).document["materials"][0]
    assert flat["extensions"] == {"KHR_materials_unlit": {}}


def test_eyes_are_closed_by_triangles_that_face_the_viewer() -> None:
    corners = topology.canonical_mm()[with_eyes()]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[-32:, 2] < 0).all() and len(corners) == 852 + 32
    edges = np.sort(np.concatenate([with_eyes()[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]), axis=1)
    _, uses = np.unique(edges, axis=0, return_counts=True)
    rims = topology.openings()
    assert np.count_nonzero(uses == 1) == len(rims[0]) + len(rims[1])  # the oval and the mouth stay open


def test_a_still_face_needs_no_shapes(clip: Any, tmp_path: Path) -> None:
    gltf = Gltf(write(tmp_path / "a.glb", "glb", clip[:1]).read_bytes())
    paths = [channel["target"]["path"] for channel in gltf.document["animations"][0]["channels"]]
    assert (
        paths == ["translation", "rotation"] and "targets" not in gltf.document["meshes"][0]["primitives"][0]
    )


@pytest.mark.parametrize("kind", ["glb", "bvh"])
def test_persons_are_not_mixed(clip: Any, kind: str, tmp_path: Path) -> None:
    """The file shows the main face with most frames; equal times, which glTF forbids, are left out."""
    first, second = clip[:6], clip[10:30]
    other = [(one, TrackedFaces(tracked.ids + 1, tracked.faces)) for one, tracked in second]
    both = write(tmp_path / "both", kind, [*first, *other])
    assert both.read_bytes() == write(tmp_path / "other", kind, other).read_bytes()
    if kind == "glb":
        doubled = [each for each in second for _ in range(2)]
        assert both.read_bytes() == write(tmp_path / "doubled", kind, doubled).read_bytes()


def test_without_a_face_the_scene_is_empty(clip: Any, tmp_path: Path) -> None:
    gltf = Gltf(write(tmp_path / "a.glb", "glb", clip[7:8]).read_bytes())
    assert gltf.document["scenes"] == [{}] and "nodes" not in gltf.document


def test_shapes_are_as_few_as_the_motion_has() -> None:
    random = np.random.default_rng(3)
    rest, true = random.normal(size=(50, 3)) * 60, random.normal(size=(3, 50, 3)) * 4
    meshes = (
        rest + np.tensordot(random.normal(size=(90, 3)), true, 1) + random.normal(size=(90, 50, 3)) * 0.02
    )
    mean, shapes, weights = shapes_of(meshes)
    assert shapes.shape == (3, 50, 3) and np.abs(weights).max() == pytest.approx(1)
    np.testing.assert_allclose(mean + np.tensordot(weights, shapes, 1), meshes, atol=0.12)
    assert len(shapes_of(random.normal(size=(200, 50, 3)) * 9)[1]) == MAX_SHAPES


APPS = [*UNREAL]
for _one in ("Jaw", "Mouth"):
    _left, _right = APPS.index(f"{_one}Left"), APPS.index(f"{_one}Right")
    APPS[_left], APPS[_right] = APPS[_right], APPS[_left]
"""Columns of the app's recordings."""


def test_a_take_of_live_link_face(clip: Any, tmp_path: Path) -> None:
    with write(tmp_path / "a.csv", "livelink", clip).open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["Timecode", "BlendShapeCount", *APPS] and len(rows) == len(clip)
    for (one, tracked), row in zip(clip, rows, strict=True):
        hours, minutes, seconds, frames = row[0].split(":")
        assert (hours, minutes) == ("00", "00")
        assert int(seconds) + float(frames) / 25 == pytest.approx(one.time_s, abs=1e-4)
        if not len(tracked.ids):
            assert row[1:] == ["0"]
            continue
        face, values = tracked.faces[0], dict(zip(APPS, map(float, row[2:]), strict=True))
        assert row[1] == "61"
        assert (
            values["JawOpen"] == values["MouthRight"] == pytest.approx(face.coefficients["jawOpen"], abs=1e-5)
        )
        assert values["MouthLeft"] == values["JawRight"] == 0
        assert values["HeadYaw"] == pytest.approx(radians(face.yaw_deg), abs=1e-5)
        assert values["LeftEyeYaw"] == pytest.approx(-radians(30 * face.coefficients["jawOpen"]), abs=1e-4)


@pytest.mark.parametrize(
    ("time_s", "rate", "code"),
    [
        (0.0, 30.0, "00:00:00:00.000"),
        (0.7, 30.0, "00:00:00:21.000"),
        (3723.5, 60.0, "01:02:03:30.000"),
        (59.999, 24.0, "00:00:59:23.976"),
        (90_000.25, 29.97, "25:00:00:07.492"),
    ],
)
def test_timecodes(tmp_path: Path, clip: Any, time_s: float, rate: float, code: str) -> None:
    with open_animation(tmp_path / "a.csv", "livelink", rate) as take:
        take.write(frame(0, time_s), clip[0][1])
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith(f"{code},61,")


class Skeleton:
    """A BVH file, played: the joints with their offsets, and for each frame their matrices (4, 4)."""

    def __init__(self, text: str) -> None:
        head, motion = text.split("MOTION\n")
        words = head.split()
        assert words[:3] == ["HIERARCHY", "ROOT", "Head"] and words.count("{") == words.count("}")
        count, step, *rows = motion.splitlines()
        self.rows = np.array([list(map(float, row.split())) for row in rows]).reshape(-1, 12)
        assert count == f"Frames: {len(rows)}"
        self.step_s = float(step.removeprefix("Frame Time: "))
        self.offsets = {}
        for kind, name, offset in re.findall(r"(JOINT|End) (\w+)\n{\nOFFSET (.*)\n", head):
            self.offsets[name if kind == "JOINT" else "Tip"] = np.array(list(map(float, offset.split())))
        assert head.count("Zrotation Yrotation Xrotation") == 3

    def matrices(self, frame: int) -> dict[str, np.ndarray]:
        row = self.rows[frame]
        head = self._matrix(row[:3], row[3:6])
        eyes = {"RightEye": row[6:9], "LeftEye": row[9:]}
        return {"Head": head} | {
            name: head @ self._matrix(self.offsets[name], angles) for name, angles in eyes.items()
        }

    @staticmethod
    def _matrix(offset: np.ndarray, angles_deg: np.ndarray) -> np.ndarray:
        matrix = euler_matrix(*np.radians(angles_deg), axes="rzyx")
        matrix[:3, 3] = offset
        return np.asarray(matrix)


def test_a_skeleton_moves_as_the_head_and_its_eyes(clip: Any, tmp_path: Path) -> None:
    skeleton = Skeleton(write(tmp_path / "a.bvh", "bvh", clip).read_text())
    assert skeleton.step_s == pytest.approx(0.04) and len(skeleton.rows) == len(clip)
    for index, (_, tracked) in enumerate(clip):
        if not len(tracked.ids):
            np.testing.assert_array_equal(skeleton.rows[index], skeleton.rows[index - 1])
            continue
        face, joints = tracked.faces[0], skeleton.matrices(index)
        for name, direction in (("Head", np.array([0, 0, -1])), ("RightEye", face.gaze[0])):
            ahead = face.camera_rotation @ direction * (1, -1, -1)
            np.testing.assert_allclose(joints[name][:3, 2], ahead, atol=2e-5)
        np.testing.assert_allclose(joints["Head"][:3, 3], face.translation_mm * (0.1, -0.1, -0.1), atol=1e-4)
        tips = [(joints[name] @ (*skeleton.offsets["Tip"], 1))[:3] for name in ("RightEye", "LeftEye")]
        assert np.linalg.norm(np.subtract(*tips)) == pytest.approx(6.74, abs=0.7)  # pupils, centimetres


def test_without_a_face_the_skeleton_has_no_frames(clip: Any, tmp_path: Path) -> None:
    skeleton = Skeleton(write(tmp_path / "a.bvh", "bvh", clip[7:8]).read_text())
    assert len(skeleton.rows) == 0 and skeleton.offsets["LeftEye"][0] == pytest.approx(3.37, abs=0.01)
