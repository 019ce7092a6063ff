"""From pixels to millimetres: heads of known place and turn, in the middle and at the edge of the image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import place
from facegeom.geometry.rotation import (
    geodesic_deg,
    procrustes,
    rotation_from_angles,
    rotation_to_line_of_sight,
)
from facegeom.geometry.topology import canonical_mm

CAMERA = Camera(640, 480)


def seen(rotation: np.ndarray, translation_mm: np.ndarray) -> np.ndarray:
    """mesh_px (478, 3) of a head: z along the line of sight, at the scale of the head's distance."""
    head = canonical_mm().astype(np.float64)
    along = (head @ rotation.T @ rotation_to_line_of_sight(translation_mm))[:, 2:]
    pixels = CAMERA.project(head @ rotation.T + translation_mm)
    return np.concatenate([pixels, along * CAMERA.focal_px / translation_mm[2]], axis=1)


@pytest.mark.parametrize("offset_px", [0, 100, 200, 280])
@pytest.mark.parametrize("angles", [(0, 0, 0), (25, 10, 5), (-40, -15, 20)])
def test_known_heads(offset_px: float, angles: tuple[float, ...]) -> None:
    rotation = rotation_from_angles(*angles)
    translation = CAMERA.back_project(np.array([319.5 + offset_px, 239.5]), np.array(900.0))
    mesh_mm, found, _ = place(seen(rotation, translation)[None], CAMERA)
    fit = procrustes(canonical_mm().astype(np.float64), mesh_mm[0])
    assert geodesic_deg(fit.rotation, rotation) < 1.5
    assert np.linalg.norm(found[0] - translation) < 0.05 * np.linalg.norm(translation)
    assert fit.scale == pytest.approx(1, abs=0.05)


def test_projection_gives_the_pixels_back() -> None:
    meshes = np.stack([seen(np.eye(3), np.array([x, 40, 600.0])) for x in (-150, 0, 200)])
    mesh_mm, translation_mm, _ = place(meshes, CAMERA)
    assert mesh_mm.shape == (3, 478, 3) and translation_mm.shape == (3, 3)
    np.testing.assert_allclose(CAMERA.project(mesh_mm), meshes[..., :2], atol=1e-6)


def test_distance_by_hand() -> None:
    """A flat photo of the canonical head at 1.78 pixels a millimetre stands 686.2 / 1.78 mm away."""
    mesh_px = canonical_mm() * 1.78 + (319.5, 239.5, 0)
    translation_mm = place(mesh_px[None], CAMERA)[1]
    np.testing.assert_allclose(translation_mm[0], (0, 0, 385.53), atol=0.01)


def flat(scale: float, centre_px: tuple[float, float]) -> np.ndarray:
    """(1, 478, 3) the canonical head, turned, at ``scale`` pixels a millimetre, as from far away."""
    turned = canonical_mm().astype(np.float64) @ rotation_from_angles(15, -5, 10).T
    return (turned * scale + (*centre_px, 0))[None]


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 2), st.floats(10, 150))
def test_any_mesh_projects_onto_its_pixels(seed: int, scale: float, fov_deg: float) -> None:
    rng = np.random.default_rng(seed)
    mesh_px = np.concatenate([flat(scale, tuple(rng.uniform(0, 480, 2))) for _ in range(3)])
    mesh_px += rng.normal(0, 2 * scale, mesh_px.shape)
    camera = Camera(640, 480, fov_deg)
    np.testing.assert_allclose(camera.project(place(mesh_px, camera)[0]), mesh_px[..., :2], atol=1e-6)


@pytest.mark.parametrize("distance_mm", [600, 1000, 3000])
def test_frontal_head_stands_at_its_distance(distance_mm: float) -> None:
    translation = np.array([0.0, 0, distance_mm])
    mesh_mm, found, _ = place(seen(np.eye(3), translation)[None], CAMERA)
    np.testing.assert_allclose(found[0], translation, atol=0.02 * distance_mm)
    np.testing.assert_allclose(mesh_mm[0], canonical_mm() + translation, atol=0.02 * distance_mm)


@given(st.floats(0.2, 3), st.floats(1.1, 4))
def test_larger_in_the_picture_is_nearer(scale: float, times: float) -> None:
    (_, far, _), (_, near, _) = (place(flat(s, (200, 100)), CAMERA) for s in (scale, scale * times))
    np.testing.assert_allclose(far / near, times)
    np.testing.assert_allclose(CAMERA.project(near), [[200, 100]], atol=1e-3)


def test_nothing_lies_behind_the_camera() -> None:
    mesh_mm, *_ = place(flat(30, (319.5, 239.5)), CAMERA)  # nearer than the nose is long
    assert (mesh_mm[..., 2] >= 1).all()


def test_batch_equals_one_by_one() -> None:
    heads = [flat(0.5, (100, 90)), flat(2, (400, 300))]
    alone = [place(head, CAMERA) for head in heads]
    for index, part in enumerate(place(np.concatenate(heads), CAMERA)):
        np.testing.assert_allclose(part, np.concatenate([answer[index] for answer in alone]))
    assert [part.shape for part in place(np.zeros((0, 478, 3)), CAMERA)] == [(0, 478, 3), (0, 3), (0, 3, 3)]
