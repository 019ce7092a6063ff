"""Depth maps as files: values of the image, entry in the JSON, cloud and surface by another reader."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import trimesh
from PIL import Image

from facegeom.depth.mesh_depth import mesh_depths
from facegeom.errors import InputError
from facegeom.export import depth_png
from facegeom.results import Faces

MakeFaces = Callable[..., Faces]


@pytest.fixture
def deep(make_faces: MakeFaces) -> Faces:
    """Return one face with a depth map."""
    faces = make_faces(translation_mm=(20, 10, 550), angles_deg=(10, 0, 5))
    return replace(faces, depth=tuple(mesh_depths(faces.mesh_px, faces.mesh_mm)))


def photo() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def test_files(deep: Faces, tmp_path: Path) -> None:
    written = deep.save(tmp_path, ["json", "depth", "surface"], photo(), "head")
    assert sorted(path.name for path in written) == [
        *("head.0.depth.png", "head.0.points.ply", "head.0.surface.glb", "head.json")
    ]


def test_the_image_holds_depth_to_half_a_step(deep: Faces, tmp_path: Path) -> None:
    deep.save(tmp_path, ["depth", "json"], name="head")
    entry = json.loads((tmp_path / "head.json").read_text())["faces"][0]["depth"]
    with Image.open(tmp_path / entry["file"]) as image:
        values = np.asarray(image).astype(np.float64)
    assert deep.depth is not None
    depth = deep.depth[0]
    np.testing.assert_array_equal(values > 0, depth.mask)
    z = values * entry["unit_mm"] + entry["offset_mm"]
    np.testing.assert_allclose(z[depth.mask], depth.z_mm[depth.mask], atol=entry["unit_mm"] / 2 + 1e-3)
    np.testing.assert_allclose(entry["image_from_depth"], depth.image_from_depth, atol=1e-6)


def test_the_json_keeps_to_the_schema(deep: Faces, tmp_path: Path) -> None:
    schema = json.loads((files("facegeom") / "data" / "faces.schema.json").read_text(encoding="utf-8"))
    for formats in (["json"], ["json", "depth"]):
        deep.save(tmp_path, formats, name="head")
        data = json.loads((tmp_path / "head.json").read_text())
        jsonschema.validate(data, schema)
        assert ("depth" in data["faces"][0]) == ("depth" in formats)
        assert len(Faces.from_dict(data)) == 1


def test_cloud_and_surface_lie_in_the_meshs_frame(deep: Faces, tmp_path: Path) -> None:
    deep.save(tmp_path, ["surface", "ply"], photo(), "head")
    cloud = trimesh.load(tmp_path / "head.0.points.ply")
    surface = trimesh.load(tmp_path / "head.0.surface.glb", force="mesh", process=False)
    mesh = trimesh.load(tmp_path / "head.0.ply", process=False)
    assert deep.depth is not None
    assert len(cloud.vertices) == len(surface.vertices) == deep.depth[0].mask.sum()
    np.testing.assert_allclose(np.asarray(surface.vertices) * 1000, cloud.vertices, atol=0.01)
    np.testing.assert_allclose(cloud.bounds[:, :2], mesh.bounds[:, :2], atol=2)
    assert abs(cloud.bounds[1, 2] - mesh.bounds[1, 2]) < 1  # the nose; what lies behind may be hidden
    normals = np.asarray(surface.vertex_normals)
    assert (normals[:, 2] > 0).mean() > 0.95  # towards the camera


def test_points_have_the_photos_colours(deep: Faces, tmp_path: Path) -> None:
    image = photo()
    deep.save(tmp_path, ["surface"], image, "head")
    cloud = trimesh.load(tmp_path / "head.0.points.ply")
    assert deep.depth is not None
    column, row = np.rint(deep.depth[0].pixels_xy()[deep.depth[0].mask][500]).astype(int)
    np.testing.assert_array_equal(np.asarray(cloud.colors)[500, :3], image[row, column])


def test_faces_without_depth_have_no_depth_files(make_faces: MakeFaces, tmp_path: Path) -> None:
    for kind in ("depth", "surface"):
        with pytest.raises(InputError, match=r"FaceAnalyzer\(depth=True\)"):
            make_faces().save(tmp_path, [kind])
    assert not list(tmp_path.iterdir())


def test_no_face_no_file(tmp_path: Path) -> None:
    assert Faces.empty(10, 10).save(tmp_path, ["depth", "surface"], name="nobody") == []


def test_an_empty_map_is_an_image_of_zeros(deep: Faces) -> None:
    assert deep.depth is not None
    nothing = replace(deep.depth[0], z_mm=np.zeros((160, 160), np.float32))
    with Image.open(BytesIO(depth_png.encode(nothing))) as image:
        assert not np.asarray(image).any()
