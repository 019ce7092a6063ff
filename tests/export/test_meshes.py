"""Mesh files, read back by a reader that shares no code with the writers."""

import json
import struct
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
import trimesh

from facegeom.export import glb, obj, ply
from facegeom.geometry import topology
from facegeom.results import Face

SCALES = {"obj": 1.0, "ply": 1.0, "glb": 0.001}


def load(content: bytes, kind: str) -> trimesh.Trimesh:
    mesh = trimesh.load(BytesIO(content), file_type=kind, process=False, maintain_order=True, force="mesh")
    assert isinstance(mesh, trimesh.Trimesh)
    return mesh


def encode(face: Face, kind: str) -> bytes:
    if kind == "obj":
        return obj.encode(face.mesh_mm)
    if kind == "ply":
        return ply.encode(face.mesh_mm, face.mesh_confidence)
    return glb.encode(face.mesh_mm, face.mesh_px)


@pytest.mark.parametrize("kind", SCALES)
def test_mesh_reads_back(make_face: Callable[..., Face], kind: str) -> None:
    face = make_face(angles_deg=(20, 10, 5))
    mesh = load(encode(face, kind), kind)
    expected = face.mesh_mm * (1, -1, -1) * SCALES[kind]
    np.testing.assert_allclose(mesh.vertices, expected, rtol=0, atol=1e-4 * SCALES[kind])
    np.testing.assert_array_equal(mesh.faces, topology.triangles())


@pytest.mark.parametrize("kind", SCALES)
def test_frontal_face_looks_at_the_camera(make_face: Callable[..., Face], kind: str) -> None:
    mesh = load(encode(make_face(), kind), kind)
    normal = (mesh.face_normals * mesh.area_faces[:, None]).sum(axis=0)
    assert normal[2] > 0.5 * mesh.area and mesh.vertices[:, 2].max() < 0
    forehead, chin = mesh.vertices[10], mesh.vertices[152]
    assert forehead[1] > chin[1]


def test_obj_keeps_every_vertex(make_face: Callable[..., Face]) -> None:
    lines = obj.encode(make_face().mesh_mm).decode("ascii").splitlines()
    assert sum(line.startswith("v ") for line in lines) == 478
    assert sum(line.startswith("f ") for line in lines) == len(topology.triangles())


def test_ply_keeps_the_confidence(make_face: Callable[..., Face]) -> None:
    face = make_face()
    mesh = load(encode(face, "ply"), "ply")
    stored = mesh.metadata["_ply_raw"]["vertex"]["data"]["confidence"]
    np.testing.assert_allclose(np.ravel(stored), face.mesh_confidence)


def document(content: bytes) -> dict:
    length = struct.unpack_from("<I", content, 12)[0]
    return json.loads(content[20 : 20 + length])


def test_glb_is_well_formed(make_face: Callable[..., Face]) -> None:
    face = make_face()
    content = glb.encode(face.mesh_mm, face.mesh_px, np.zeros((240, 320, 3), np.uint8))
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    parsed = document(content)
    assert all(view["byteOffset"] % 4 == 0 for view in parsed["bufferViews"])
    last = parsed["bufferViews"][-1]
    assert last["byteOffset"] + last["byteLength"] <= parsed["buffers"][0]["byteLength"]
    assert {accessor["count"] for accessor in parsed["accessors"]} == {478, 3 * len(topology.triangles())}


def test_glb_normals_are_unit(make_face: Callable[..., Face]) -> None:
    content = encode(make_face(angles_deg=(40, 0, 0)), "glb")
    parsed = document(content)
    view = parsed["bufferViews"][parsed["meshes"][0]["primitives"][0]["attributes"]["NORMAL"]]
    binary = content[content.index(b"BIN\0") + 4 :]
    normals = np.frombuffer(binary, "<f4", 3 * 478, view["byteOffset"]).reshape(478, 3)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)


def test_glb_shows_the_photo(make_face: Callable[..., Face]) -> None:
    """The photo's colour encodes the place: each vertex must have the colour of its place."""
    face = make_face()
    y, x = np.mgrid[:240, :320]
    photo = np.stack([x * 0.75, y, np.full_like(x, 128)], axis=-1).astype(np.uint8)
    mesh = load(glb.encode(face.mesh_mm, face.mesh_px, photo), "glb")
    texture = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB"), float)
    height, width = texture.shape[:2]
    u, v = mesh.visual.uv[:, 0], 1 - mesh.visual.uv[:, 1]  # trimesh flips v
    column = np.clip(np.rint(u * width - 0.5), 0, width - 1).astype(int)
    row = np.clip(np.rint(v * height - 0.5), 0, height - 1).astype(int)
    expected = face.mesh_px[:, :2] * (0.75, 1)
    np.testing.assert_allclose(texture[row, column, :2], expected, atol=5)


@pytest.mark.parametrize("x_mm", [230, 5000])
def test_glb_of_a_face_at_or_beyond_the_edge(make_face: Callable[..., Face], x_mm: float) -> None:
    face = make_face(translation_mm=(x_mm, 0, 500))
    parsed = document(glb.encode(face.mesh_mm, face.mesh_px, np.zeros((240, 320, 3), np.uint8)))
    assert ("images" in parsed) == (x_mm == 230)
