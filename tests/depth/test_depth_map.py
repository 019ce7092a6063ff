"""The square of a depth map: upright, centred, of one scale for all faces; checks of the record."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest

from facegeom.depth.depth_map import SIDE_MM, SIZE_PX, DepthMap, depth_squares
from facegeom.errors import InputError
from facegeom.geometry.transforms import apply, invert
from facegeom.results import Face

MakeFace = Callable[..., Face]
IDENTITY = np.eye(3)[:2]


@pytest.mark.parametrize("roll", [0, 30, -75])
def test_the_head_stands_upright_in_the_middle(make_face: MakeFace, roll: float) -> None:
    face = make_face(angles_deg=(20, 5, roll))
    inside = apply(invert(depth_squares(face.mesh_px[None])[0]), face.mesh_px[:, :2].astype(float))
    low, high = inside.min(axis=0), inside.max(axis=0)
    np.testing.assert_allclose((low + high) / 2, (SIZE_PX - 1) / 2, atol=1e-3)
    down = inside[152] - inside[10]  # chin and forehead
    assert abs(np.rad2deg(np.arctan2(down[0], down[1]))) < 8
    assert low.min() > 0 and high.max() < SIZE_PX - 1


@pytest.mark.parametrize("distance_mm", [300, 900])
def test_a_pixel_is_as_many_millimetres_at_any_distance(make_face: MakeFace, distance_mm: float) -> None:
    near = depth_squares(make_face(translation_mm=(0, 0, distance_mm)).mesh_px[None])[0]
    pixels_per_mm = 160 / np.tan(np.deg2rad(25)) / distance_mm
    assert near[0, 0] == pytest.approx(SIDE_MM / SIZE_PX * pixels_per_mm, rel=0.03)


def test_pixels_of_the_photo() -> None:
    depth = DepthMap(np.ones((3, 3)), [[2, 0, 10], [0, 2, 20]])
    assert depth.pixels_xy()[1, 2].tolist() == [14, 22]


@pytest.mark.parametrize(
    ("z_mm", "matrix", "message"),
    [
        (np.ones(3), IDENTITY, r"expected depth \(S, S\)"),
        (np.ones((3, 5)), IDENTITY, r"expected depth \(S, S\)"),
        (np.ones((0, 0)), IDENTITY, r"expected depth \(S, S\)"),
        (np.ones((256, 256)), IDENTITY, "at most 255 pixels a side"),
        ("x", IDENTITY, "expected depth and a map as numbers"),
        (np.ones((3, 3)), np.eye(3), r"a map \(2, 3\), got .*\(3, 3\)"),
        (np.full((3, 3), np.nan), IDENTITY, "finite"),
    ],
)
def test_bad_depth_maps(z_mm: np.ndarray, matrix: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DepthMap(z_mm, matrix)


def test_maps_stay_read_only_through_pickle() -> None:
    depth = pickle.loads(pickle.dumps(DepthMap(np.eye(4), IDENTITY)))
    assert depth.mask.sum() == 4
    with pytest.raises(ValueError, match="read-only"):
        depth.z_mm[0, 0] = 1
