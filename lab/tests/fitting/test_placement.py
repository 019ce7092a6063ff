"""Placement of a teacher's points on the head: a known move is found again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_from_angles
from facegeom_lab.fitting import placement
from facegeom_lab.synth.anatomy import read_placement
from facegeom_lab.synth.scene import Sample
from facegeom_lab.teachers.mediapipe import Views


def head(yaw_deg: float, pitch_deg: float) -> Sample:
    rotation = rotation_from_angles(yaw_deg, pitch_deg, 0).astype(np.float32)
    translation = np.array([10, -20, 700], np.float32)
    mesh_mm = (topology.canonical_mm() @ rotation.T + translation).astype(np.float32)
    nothing = np.zeros((320, 320, 3), np.uint8)
    return Sample(nothing, np.zeros((68, 2)), rotation, translation, np.ones(68, bool), 30.0, mesh_mm=mesh_mm)


def test_a_known_move_is_found() -> None:
    heads = [head(yaw, pitch) for yaw in (-25, 0, 25) for pitch in (-12, 12)]
    rng = np.random.default_rng(0)
    true = rng.normal(0, 1, (478, 3))
    true = (true + true[topology.mirror()] * (-1, 1, 1)) / 2
    camera = Camera(320, 320, 30.0)
    points = [camera.project(each.mesh_mm + true @ each.rotation.T) for each in heads]
    move, left = placement.moves(heads, points)
    assert np.abs(move - true)[:, :2].mean() < 0.1  # depth is seen less well, and held back
    assert left.max() < 0.6
    np.testing.assert_allclose(move, move[topology.mirror()] * (-1, 1, 1), atol=1e-9)


def test_both_views_of_a_teacher_are_averaged() -> None:
    points = np.random.default_rng(1).uniform(0, 99, (1, 478, 3))
    mirrored = points[:, topology.mirror()] * (-1, 1, 1) + (99 + 2, 0, 0)
    found = placement.teacher_points(Views(points, mirrored, 100, 80))
    np.testing.assert_allclose(found, points[0, :, :2] - (1, 0))
    assert placement.teacher_points(Views(points, points[:0], 100, 80)) is None


def test_too_few_faces_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(placement, "neutral_heads", lambda model, count, seed: [head(0, 0)] * count)
    nobody = np.zeros((0, 478, 3))
    with pytest.raises(InputError, match="found 0"):
        placement.write_placement(
            None, lambda files: [Views(nobody, nobody, 320, 320) for _ in files], tmp_path / "x.npz", 2
        )
    assert not (tmp_path / "x.npz").exists()


def test_what_ships() -> None:
    """Lips, lids and irises are places of the head; outline and brows are not."""
    stored = read_placement()
    assert stored["offset_mm"].shape == (478, 3) and np.abs(stored["offset_mm"]).max() < 40
    assert stored["trust"].min() > 0 and stored["trust"].max() == 1
    assert stored["trust"][[13, 14, 33, 133, 159, 145, 468]].min() > 0.9
    assert stored["trust"][[10, 234, 454]].max() < 0.5


def test_heads_without_a_mesh_are_refused() -> None:
    with pytest.raises(InputError, match="mesh"):
        placement.moves([replace(head(0, 0), mesh_mm=None)], [np.zeros((478, 2))])
