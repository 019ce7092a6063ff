"""From pixels to millimetres: heads of known place and turn, in the middle and at the edge of the image."""

from collections.abc import Callable, Sequence

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
    rotation_in_camera,
    rotation_to_line_of_sight,
)
from facegeom.geometry.topology import canonical_mm

CAMERA = Camera(640, 480)
HeadSeenBy = Callable[..., tuple[np.ndarray, np.ndarray]]


@pytest.mark.parametrize("offset_px", [0, 100, 200, 280])
@pytest.mark.parametrize("angles", [(0, 0, 0), (25, 10, 5), (-40, -15, 20)])
def test_known_heads(head_seen_by: HeadSeenBy, offset_px: float, angles: tuple[float, ...]) -> None:
    rotation = rotation_from_angles(*angles)
    translation = CAMERA.back_project(np.array([319.5 + offset_px, 239.5]), np.array(900.0))
    _, mesh_px = head_seen_by(CAMERA, rotation, translation)
    mesh_mm, found = place(mesh_px[None], CAMERA)
    fit = procrustes(canonical_mm().astype(np.float64), mesh_mm[0])
    assert geodesic_deg(fit.rotation, rotation_to_line_of_sight(translation) @ rotation) < 0.05
    assert geodesic_deg(rotation_in_camera(rotation, found[0]), fit.rotation.astype(np.float32)) < 0.1
    assert np.linalg.norm(found[0] - translation) < 0.012 * np.linalg.norm(translation)
    assert fit.scale == pytest.approx(1, abs=0.012)


CORNERS = [(x, y) for x in (-0.85, 0, 0.85) for y in (-0.8, 0, 0.8)]
"""Places in half widths and half heights from the middle."""


@pytest.mark.parametrize("fov_deg", [25, 50, 75, 90, 110])
@pytest.mark.parametrize("distance_mm", [500, 900, 3000])
def test_a_head_that_looks_into_the_lens_is_the_same_anywhere(
    head_seen_by: HeadSeenBy, fov_deg: float, distance_mm: float
) -> None:
    camera = Camera(640, 480, fov_deg)
    sights = camera.back_project(camera.centre_px + np.array(CORNERS) * (320, 240), np.ones(9))
    translations = distance_mm * sights / np.linalg.norm(sights, axis=1, keepdims=True)
    heads = [head_seen_by(camera, np.eye(3), translation) for translation in translations]
    mesh_mm, found = place(np.stack([mesh_px for _, mesh_px in heads]), camera)
    fit = procrustes(canonical_mm().astype(np.float64), mesh_mm)
    assert geodesic_deg(fit.rotation, rotation_to_line_of_sight(translations)).max() < 0.01
    np.testing.assert_allclose(fit.scale, 1, atol=0.004)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), distance_mm, rtol=0.004)
    np.testing.assert_allclose(found, translations, atol=0.004 * distance_mm)
    np.testing.assert_allclose(mesh_mm, [head for head, _ in heads], atol=3)


def test_projection_gives_the_pixels_back(head_seen_by: HeadSeenBy) -> None:
    places = [np.array([x, 40, 600.0]) for x in (-150, 0, 200)]
    meshes = np.stack([head_seen_by(CAMERA, np.eye(3), each)[1] for each in places])
    mesh_mm, translation_mm = place(meshes, CAMERA)
    assert mesh_mm.shape == (3, 478, 3) and translation_mm.shape == (3, 3)
    np.testing.assert_allclose(CAMERA.project(mesh_mm), meshes[..., :2], atol=1e-6)


def test_distance_by_hand() -> None:
    """A flat photo of the canonical head at 1.78 pixels a millimetre stands 686.2 / 1.78 mm away."""
    flat_px = canonical_mm().astype(np.float64) * 1.78
    x, y = CAMERA.centre_px - flat_px[:, :2].mean(axis=0)  # the middle of the face lies straight ahead
    mesh_px = flat_px + np.array([x, y, 0])
    translation_mm = place(mesh_px[None], CAMERA).translation_mm[0]
    assert translation_mm[2] == pytest.approx(385.53, abs=0.01)
    np.testing.assert_allclose(CAMERA.project(translation_mm), (x, y), atol=1e-6)


def flat(scale: float, centre_px: Sequence[float]) -> np.ndarray:
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
def test_frontal_head_stands_at_its_distance(head_seen_by: HeadSeenBy, distance_mm: float) -> None:
    translation = np.array([0.0, 0, distance_mm])
    mesh_px = head_seen_by(CAMERA, np.eye(3), translation)[1]
    mesh_mm, found = place(mesh_px[None], CAMERA)
    np.testing.assert_allclose(found[0], translation, atol=0.02 * distance_mm)
    np.testing.assert_allclose(mesh_mm[0], canonical_mm() + translation, atol=0.02 * distance_mm)


@given(st.floats(0.2, 3), st.floats(1.1, 4))
def test_larger_in_the_picture_is_nearer(scale: float, times: float) -> None:
    middle = flat(1, (0, 0))[0, :, :2].mean(axis=0)
    (_, far), (_, near) = (
        place(flat(s, CAMERA.centre_px - s * middle), CAMERA) for s in (scale, scale * times)
    )
    np.testing.assert_allclose(far[:, 2] / near[:, 2], times)
    np.testing.assert_allclose(far[:, :2] / far[:, 2:], near[:, :2] / near[:, 2:] / times, atol=1e-9)


@pytest.mark.parametrize("fov_deg", [1, 50, 120, 179])
@pytest.mark.parametrize("centre_px", [(319.5, 239.5), (639, 479)])
def test_nothing_lies_behind_the_camera(fov_deg: float, centre_px: tuple[float, float]) -> None:
    mesh_px, camera = flat(30, centre_px), Camera(640, 480, fov_deg)  # nearer than the nose is long
    mesh_mm, translation_mm = place(mesh_px, camera)
    assert (mesh_mm[..., 2] > 0).all() and np.isfinite(translation_mm).all()
    np.testing.assert_allclose(camera.project(mesh_mm), mesh_px[..., :2], atol=1e-6)


def test_batch_equals_one_by_one() -> None:
    heads = [flat(0.5, (100, 90)), flat(2, (400, 300))]
    alone = [place(head, CAMERA) for head in heads]
    for index, part in enumerate(place(np.concatenate(heads), CAMERA)):
        np.testing.assert_allclose(part, np.concatenate([answer[index] for answer in alone]))
    assert [part.shape for part in place(np.zeros((0, 478, 3)), CAMERA)] == [(0, 478, 3), (0, 3)]
