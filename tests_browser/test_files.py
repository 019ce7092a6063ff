"""Files that the page makes: downloads and copies."""

import csv
import json
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from playwright.sync_api import Page, expect

from facegeom import FaceAnalyzer, Faces
from facegeom.serve.pages import DEMO

Save = Callable[[str, str], bytes]


@pytest.fixture
def save(example: Page) -> Save:
    """``save("OBJ", "example.obj")`` downloads a format and returns its bytes."""

    def function(label: str, name: str) -> bytes:
        example.locator("#formats").get_by_text(label, exact=True).click()
        with example.expect_download() as download:
            example.click("#download")
        assert download.value.suggested_filename == name
        return Path(download.value.path()).read_bytes()

    return function


def test_json_and_overlay(save: Save, expected_faces: Faces) -> None:
    data = json.loads(save("JSON", "example.json"))
    assert data["faces"] == expected_faces.to_dict()["faces"] and data["image"]["file"] == "example.jpg"
    assert Image.open(BytesIO(save("PNG", "example.faces.png"))).size == (512, 512)


def test_meshes(save: Save, expected_faces: Faces) -> None:
    vertices = expected_faces.mesh_mm[0] * (1, -1, -1)
    for kind, unit in (("obj", 1), ("ply", 1), ("glb", 1e-3)):
        content = BytesIO(save(kind.upper(), f"example.{kind}"))
        loaded = trimesh.load(content, file_type=kind, process=False, maintain_order=True)
        mesh = next(iter(loaded.geometry.values())) if kind == "glb" else loaded
        np.testing.assert_allclose(mesh.vertices, vertices * unit, atol=1e-3 * unit)
        assert len(mesh.faces) == 852
    assert mesh.visual.uv.shape == (478, 2) and mesh.visual.material.baseColorTexture is not None


def test_csv(save: Save, expected_faces: Faces) -> None:
    (row,) = csv.DictReader(StringIO(save("CSV", "example.csv").decode()))
    (ours,) = expected_faces.to_rows(points=True)
    assert list(row) == list(ours) and row["file"] == "example.jpg" and row["fov_source"] == "assumed"
    for name in [name for name in ours if name not in ("file", "fov_source")]:
        assert float(row[name]) == pytest.approx(ours[name], abs=1e-3), name


def test_aligned_crop(save: Save, expected_faces: Faces) -> None:
    crop = np.asarray(Image.open(BytesIO(save("Crop", "example.aligned.png"))).convert("RGB"), float)
    ours = expected_faces.aligned(DEMO, size=224)[0].pixels
    assert crop.shape == (224, 224, 3) and np.abs(crop - ours).mean() < 0.5


def test_depth(save: Save, analyzer: FaceAnalyzer) -> None:
    values = np.asarray(Image.open(BytesIO(save("Depth", "example.depth.png"))), float)
    depth = FaceAnalyzer(depth="mesh")(DEMO).depth[0]
    shown, ours = values > 0, depth.mask
    assert (shown != ours).mean() < 0.01
    both = shown & ours
    apart = values[both] * 0.01 - depth.z_mm[both]
    assert np.abs(apart - np.median(apart)).max() < 0.5  # mm; the offset is a whole number of millimetres


def test_copies(example: Page, expected_faces: Faces) -> None:
    example.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for label, start in (("JSON", '{"schema":2'), ("CSV", "file,face,score"), ("OBJ", "# facegeom mesh")):
        example.locator("#formats").get_by_text(label, exact=True).click()
        example.click("#copy")
        expect(example.locator("#status")).to_have_text(f"{label} was copied.")
        assert example.evaluate("navigator.clipboard.readText()").startswith(start)
    example.locator("#formats").get_by_text("Crop", exact=True).click()
    example.click("#copy")
    expect(example.locator("#status")).to_have_text("Crop was copied.")
    example.locator("#formats").get_by_text("PLY", exact=True).click()
    expect(example.locator("#copy")).to_be_disabled()
