"""Depth from the mesh: at the mesh's own points, without holes, in the camera frame."""

from collections.abc import Callable

import numpy as np
import pytest

from facegeom.depth.mesh_depth import closed_triangles, mesh_depths
from facegeom.geometry.transforms import apply, invert
from facegeom.results import Face

MakeFace = Callable[..., Face]
FRONT = [4, 10, 152, 50, 280, 151, 18]
"""Nose tip, forehead, chin, cheeks, brow, under the lips: seen from the front."""


@pytest.mark.parametrize("place", [(0, 0, 500), (-120, 60, 700)])
def test_depth_at_the_meshs_points(make_face: MakeFace, place: tuple[float, float, float]) -> None:
    face = make_face(translation_mm=place, angles_deg=(5, 0, 10))
    depth = mesh_depths(face.mesh_px[None], face.mesh_mm[None])[0]
    points = apply(invert(depth.image_from_depth), face.mesh_px[FRONT, :2].astype(float))
    for (column, row), expected in zip(points, face.mesh_mm[FRONT, 2], strict=True):
        found = depth.z_mm[int(row) : int(row) + 2, int(column) : int(column) + 2]
        assert np.abs(found[found > 0] - expected).min() < 2


@pytest.mark.parametrize("yaw", [0, 40, 85])
def test_the_map_has_no_holes(make_face: MakeFace, yaw: float) -> None:
    face = make_face(angles_deg=(yaw, 0, 0))
    mask = mesh_depths(face.mesh_px[None], face.mesh_mm[None])[0].mask
    for row in mask[mask.any(axis=1)]:
        first, last = np.flatnonzero(row)[[0, -1]]
        assert row[first : last + 1].mean() > (1.0 - 1e-9 if yaw < 45 else 0.8)  # lips and nose of a profile


def test_eyes_and_mouth_are_closed() -> None:
    triangles = closed_triangles()
    sides = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    _, uses = np.unique(sides, axis=0, return_counts=True)
    assert (uses == 1).sum() == 36  # the oval alone is open


def test_no_face_gives_no_map() -> None:
    assert mesh_depths(np.zeros((0, 478, 3)), np.zeros((0, 478, 3))) == []
