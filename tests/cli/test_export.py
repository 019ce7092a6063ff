"""``facegeom export uv``: a head that mesh programs read, its material and its picture."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import trimesh
from PIL import Image

from facegeom.export import uv
from facegeom.geometry import topology

from .conftest import run, tree


def test_the_head_with_its_texture(tmp_path: Path) -> None:
    code, printed, reported = run("uv", "-o", tmp_path / "face_uv.obj", "--size", 256, command="export")
    assert (code, reported) == (0, "") and "face_uv.obj" in printed
    assert tree(tmp_path) == ["face_uv.mtl", "face_uv.obj", "face_uv.png"]
    head = trimesh.load(tmp_path / "face_uv.obj", process=False, maintain_order=True)
    used = np.unique(topology.triangles())
    np.testing.assert_allclose(
        head.vertices[: len(used)], topology.canonical_mm()[used] * (1, -1, -1), atol=1e-3
    )
    np.testing.assert_allclose(head.visual.uv[: len(used)], topology.uv()[used] * (1, -1) + (0, 1), atol=1e-5)
    assert head.faces.shape == (852, 3) and head.visual.material.image.size == (256, 256)
    lines = (tmp_path / "face_uv.obj").read_text().splitlines()
    assert [sum(line.startswith(kind) for line in lines) for kind in ("v ", "vt ", "f ")] == [478, 478, 852]


def test_a_painted_picture_is_kept(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), "red").save(tmp_path / "mask.png")
    run("uv", "-o", tmp_path / "mask.obj", command="export")
    assert Image.open(tmp_path / "mask.png").size == (9, 9)
    code, _, _ = run("uv", "-o", tmp_path / "mask.png", "--size", 128, command="export")
    assert code == 0 and Image.open(tmp_path / "mask.png").size == (128, 128)  # this time it was asked for


def test_lines_lie_where_the_mesh_is(tmp_path: Path) -> None:
    picture = np.asarray(uv.draw(512), int)
    places = np.rint(topology.uv() * 512 - 0.5).astype(int)
    paper = np.abs(picture - uv._PAPER).max(axis=2) < 8
    for x, y in places[np.unique(topology.triangles())]:
        assert not paper[y - 1 : y + 2, x - 1 : x + 2].all()
    assert paper[:8].all() and paper[:, :8].all() and 0.3 < paper.mean() < 0.9


@pytest.mark.parametrize("name", ["face.glb", "face"])
def test_other_endings(tmp_path: Path, name: str) -> None:
    code, _, reported = run("uv", "-o", tmp_path / name, command="export")
    assert code == 2 and "ends in .obj or .png" in reported and tree(tmp_path) == []


def test_one_onnx_file(tmp_path: Path) -> None:
    out = tmp_path / "facegeom.onnx"
    code, printed, reported = run("onnx", "-o", out, "--weights", "int8", command="export")
    assert (code, reported) == (0, "") and "MB" in printed
    session = onnxruntime.InferenceSession(out.read_bytes(), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["image"]


def test_one_onnx_file_needs_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, reported = run("onnx", "-o", tmp_path / "faces.bin", command="export")
    assert code == 2 and "ends in .onnx" in reported
    monkeypatch.setattr("facegeom.cli.export.find_spec", lambda name: None)
    code, _, reported = run("onnx", "-o", tmp_path / "facegeom.onnx", command="export")
    assert code == 2 and "pip install 'facegeom[export]'" in reported and tree(tmp_path) == []
