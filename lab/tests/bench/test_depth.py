"""The depth benchmark's measures on a face whose depth is known, and its tables."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facegeom.depth.depth_map import DepthMap
from facegeom.depth.mesh_depth import mesh_depths
from facegeom.geometry.camera import Camera
from facegeom.results import Faces
from facegeom_lab.bench.depth.errors import (
    classes_in_crop,
    depth_error,
    nose_distance,
    sample_depth,
    top_accuracy,
)
from facegeom_lab.bench.depth.run import errors_table
from facegeom_lab.bench.depth.truth import KnownDepth, known
from facegeom_lab.datasets.depth_classes import CLASSES
from facegeom_lab.synth.anatomy import to_counts

MakeFaces = Callable[..., Faces]


def with_depth(faces: Faces, farther_mm: float = 0.0) -> Faces:
    """Give the faces the mesh's depth, moved back by ``farther_mm`` except around the nose."""
    (plain,) = mesh_depths(faces.mesh_px, faces.mesh_mm)
    moved = np.where(
        plain.mask & (plain.z_mm > plain.z_mm[plain.mask].min() + 20), plain.z_mm + farther_mm, plain.z_mm
    )
    return replace(faces, depth=(DepthMap(moved, plain.image_from_depth),))


def truth_of(faces: Faces) -> KnownDepth:
    """Return the true depth of a photo of the faces."""
    face = with_depth(faces)[0]
    row, column = np.indices((faces.height, faces.width)).reshape(2, -1)
    pixels = np.column_stack([column, row]).astype(float)
    along, seen = sample_depth(face, pixels)
    return KnownDepth(Path("photo.png"), None, pixels[seen], along[seen] - nose_distance(face), 1.1)


def test_a_correct_depth_map_has_no_error(make_faces: MakeFaces) -> None:
    faces = make_faces(translation_mm=(0, 0, 300))
    found = depth_error(with_depth(faces), truth_of(faces))
    assert found is not None
    assert found.aligned_mm == pytest.approx(0, abs=1e-6) and found.nose_mm == pytest.approx(0, abs=1e-6)
    assert found.coverage == 1 and found.own_mm > 0.5  # the head itself is a tenth larger


def test_a_shift_shows_from_the_nose_and_less_when_aligned(make_faces: MakeFaces) -> None:
    faces = make_faces(translation_mm=(0, 0, 300))
    found = depth_error(with_depth(faces, farther_mm=5), truth_of(faces))
    assert found is not None
    assert 3 < found.nose_mm < 5.3 and found.aligned_mm < found.nose_mm / 1.5


def test_a_face_elsewhere_is_another_face(make_faces: MakeFaces) -> None:
    truth = truth_of(make_faces(translation_mm=(0, 0, 600)))
    assert depth_error(with_depth(make_faces(translation_mm=(200, 0, 600))), truth) is None
    assert depth_error(Faces.empty(320, 240), truth) is None


def test_known_depth_of_a_rendered_head(make_faces: MakeFaces) -> None:
    """A head 1.2 times as large, at 1.2 times the distance: the same in millimetres of an average head."""
    camera, place = Camera(320, 240), np.array([30.0, -20, 720])
    near = make_faces(translation_mm=(25, -20 / 1.2, 600))
    mesh = near.mesh_mm[0] * 1.2
    depth = np.zeros((240, 320), np.float32)
    column, row = np.rint(camera.project(mesh[:468])).astype(int).T
    depth[row, column] = mesh[:468, 2]
    pixels, behind, enlarged = known(to_counts(depth, place[2]), mesh, place, camera.fov_deg)
    assert enlarged == pytest.approx(1.2, rel=0.02)
    unit = place / np.linalg.norm(place)
    expected = (near.mesh_mm[0, :468] - near.mesh_mm[0, 4]) @ unit
    at = {tuple(pixel): value for pixel, value in zip(pixels.astype(int).tolist(), behind, strict=True)}
    found = np.array([at[(x, y)] for x, y in zip(column.tolist(), row.tolist(), strict=True)])
    assert np.median(np.abs(found - expected)) < 1


def test_classes_of_a_crop(make_faces: MakeFaces) -> None:
    faces = make_faces(translation_mm=(0, 0, 320))
    face, truth = with_depth(faces)[0], truth_of(faces)
    assert face.depth is not None
    classes = classes_in_crop(truth, face.depth.image_from_depth)
    assert ((classes > 0) == face.depth.mask).mean() > 0.97
    assert classes[classes > 0].min() in (20, 21)  # the nose tip: from 0 mm on
    right = np.zeros((CLASSES, 80, 80), np.float32)
    small = classes[::2, ::2]
    np.put_along_axis(right, small[None], 9, axis=0)
    top1, top3 = top_accuracy(right, classes)
    assert top1 > 0.75 and top3 >= top1
    assert top_accuracy(np.roll(right, 20, axis=0), classes)[0] < 0.05


def test_a_table(make_faces: MakeFaces, tmp_path: Path) -> None:
    from PIL import Image

    faces = make_faces(translation_mm=(0, 0, 300))
    photo = tmp_path / "photo.png"
    Image.new("RGB", (320, 240)).save(photo)
    truth = replace(truth_of(faces), path=photo)
    table = errors_table("heads", [truth, truth], "about", {"mesh": lambda image, fov: with_depth(faces)})  # type: ignore[dict-item]
    assert table.rows[0][:4] == ("heads", "mesh", 2, 0)
    assert table.rows[0][4] == pytest.approx(0, abs=1e-6)
    missed = errors_table("heads", [truth], "about", {"mesh": lambda image, fov: Faces.empty(320, 240)})  # type: ignore[dict-item]
    assert missed.rows[0][3] == 1 and missed.rows[0][4] is None
