"""Predictions of both stages aligned to the mesh, by networks with known outputs; sources of depth."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facegeom import parallel
from facegeom.analyzer import FaceAnalyzer
from facegeom.depth.mesh_depth import mesh_depths
from facegeom.depth.two_stage import MeshDepth, NetworkDepth, PlacedMeshes, depth_source
from facegeom.errors import InputError
from facegeom.image.photo import Photo, open_photo
from facegeom.models import weights
from facegeom.models.engine import Engine
from facegeom.results import Faces

MakeFaces = Callable[..., Faces]
CLASSES = 51  # of stage I
DEMO = Path(str(files("facegeom") / "data" / "astronaut.jpg"))


class Known:
    """Both stages; predicts the depth of a mesh along the line of sight, from an arbitrary plane."""

    def __init__(self, faces: Faces, start_mm: float = 321.0) -> None:
        mesh = mesh_depths(faces.mesh_px, faces.mesh_mm)[0]
        unit = faces.translation_mm[0] / np.linalg.norm(faces.translation_mm[0])
        focal = 160 / np.tan(np.deg2rad(25))
        ray = (mesh.pixels_xy() - (159.5, 119.5)) / focal
        along = mesh.z_mm * (ray @ unit[:2] + unit[2])
        filled = np.where(mesh.mask, along, along[mesh.mask].mean()) - start_mm
        self.behind = filled.reshape(80, 2, 80, 2).mean(axis=(1, 3)).astype(np.float32)
        self.calls: list[tuple[Any, ...]] = []

    def batched(self, crops: np.ndarray, outputs: int | None = None) -> list[np.ndarray]:
        self.calls.append((crops.dtype, crops.shape))
        count = len(crops)
        if crops.shape[-1] == 2:
            return [np.stack([self.behind] * count)]
        wide = np.repeat(np.repeat(self.behind, 2, 0), 2, 1)
        found = [np.stack([wide] * count), np.ones((count, 80, 80)), np.zeros((count, CLASSES, 80, 80))]
        return found[:outputs]


def black() -> Photo:
    return open_photo(np.zeros((240, 320, 3), np.uint8))


def placed(faces: Faces) -> PlacedMeshes:
    return PlacedMeshes(faces.mesh_px, faces.mesh_mm, faces.translation_mm)


NOBODY = placed(Faces.empty(320, 240))


@pytest.mark.parametrize("place", [(0, 0, 500), (110, -40, 600)])
def test_predictions_are_aligned_to_the_mesh(
    make_faces: MakeFaces, place: tuple[float, float, float]
) -> None:
    faces = make_faces(angles_deg=(15, 5, 10), translation_mm=place)
    known = Known(faces)
    depth = NetworkDepth(known, known)  # type: ignore[arg-type]
    (found,) = depth([black()], [placed(faces)])[0]
    mesh = mesh_depths(faces.mesh_px, faces.mesh_mm)[0]
    np.testing.assert_array_equal(found.mask, mesh.mask)
    error = np.abs(found.z_mm - mesh.z_mm)[mesh.mask]
    assert np.median(error) < 0.5 and np.percentile(error, 90) < 2
    assert known.calls == [(np.uint8, (1, 160, 160, 3)), (np.float32, (1, 160, 160, 2))]


def test_photos_without_faces(make_faces: MakeFaces) -> None:
    faces = make_faces()
    known = Known(faces)
    depth = NetworkDepth(known, known)  # type: ignore[arg-type]
    found = depth([black()] * 3, [NOBODY, placed(faces), NOBODY])
    assert [len(maps) for maps in found] == [0, 1, 0]
    assert depth([black()], [NOBODY]) == [()]
    assert depth([], []) == []


def test_the_mesh_as_a_source(make_faces: MakeFaces) -> None:
    faces = make_faces()
    found = MeshDepth()([black()] * 2, [placed(faces), NOBODY])
    assert [len(maps) for maps in found] == [1, 0]


def test_many_faces_are_divided_among_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "available_cores", lambda: 2)
    called: list[int] = []

    class Counted(Engine):
        def __call__(self, batch: np.ndarray, **others: np.ndarray) -> list[np.ndarray]:
            called.append(len(batch))
            return super().__call__(batch, **others)

    crops = np.random.default_rng(5).integers(0, 256, (18, 160, 160, 3), dtype=np.uint8)
    default, one = (
        NetworkDepth(*(Counted(weights.path(stage), threads=threads) for stage in ("depth1", "depth2")))
        for threads in (None, 1)
    )
    divided = default.predict(crops)
    assert called == [9] * 4
    for found, expected in zip(divided, one.predict(crops), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("wanted", ["stereo", None, 2])
def test_an_unknown_source(wanted: Any) -> None:
    with pytest.raises(InputError, match="depth: expected True, False, 'mesh' or 'network'"):
        depth_source(wanted)


def test_no_source() -> None:
    assert depth_source(False) is None
    assert isinstance(depth_source("mesh"), MeshDepth)


def test_the_networks_that_ship_agree_with_the_mesh() -> None:
    mesh, network = (FaceAnalyzer(depth=source, threads=1)(DEMO) for source in ("mesh", "network"))
    assert mesh.depth is not None and network.depth is not None
    both = mesh.depth[0].mask & network.depth[0].mask
    assert both.sum() > 0.9 * mesh.depth[0].mask.sum()
    apart = np.abs(mesh.depth[0].z_mm - network.depth[0].z_mm)[both]
    assert 0.2 < np.median(apart) < 6 and np.percentile(apart, 95) < 20  # similar, and not the same
