"""From pixels to millimetres: heads of known place and turn, in the middle and at the edge of the picture."""

import numpy as np
import pytest

from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import place
from facegeom.geometry.rotation import geodesic_deg, procrustes, rotation_from_angles, towards
from facegeom.geometry.topology import canonical_mm

CAMERA = Camera(640, 480)


def seen(rotation: np.ndarray, translation_mm: np.ndarray) -> np.ndarray:
    """mesh_px (478, 3) of a head: z along the line of sight, at the scale of the head's distance."""
    head = canonical_mm().astype(np.float64)
    along = (head @ rotation.T @ towards(translation_mm))[:, 2:]
    pixels = CAMERA.project(head @ rotation.T + translation_mm)
    return np.concatenate([pixels, along * CAMERA.focal_px / translation_mm[2]], axis=1)


@pytest.mark.parametrize("offset_px", [0, 100, 200, 280])
@pytest.mark.parametrize("angles", [(0, 0, 0), (25, 10, 5), (-40, -15, 20)])
def test_known_heads(offset_px: float, angles: tuple[float, ...]) -> None:
    rotation = rotation_from_angles(*angles)
    translation = CAMERA.back_project(np.array([319.5 + offset_px, 239.5]), np.array(900.0))
    mesh_mm, found = place(seen(rotation, translation)[None], CAMERA)
    fit = procrustes(canonical_mm().astype(np.float64), mesh_mm[0])
    assert geodesic_deg(fit.rotation, rotation) < 1.5
    assert np.linalg.norm(found[0] - translation) < 0.05 * np.linalg.norm(translation)
    assert fit.scale == pytest.approx(1, abs=0.05)


def test_projection_gives_the_pixels_back() -> None:
    meshes = np.stack([seen(np.eye(3), np.array([x, 40, 600.0])) for x in (-150, 0, 200)])
    mesh_mm, translation_mm = place(meshes, CAMERA)
    assert mesh_mm.shape == (3, 478, 3) and translation_mm.shape == (3, 3)
    np.testing.assert_allclose(CAMERA.project(mesh_mm), meshes[..., :2], atol=1e-6)


def test_distance_by_hand() -> None:
    """A flat photo of the canonical head at 1.78 pixels a millimetre stands 686.2 / 1.78 mm away."""
    mesh_px = canonical_mm() * 1.78 + (319.5, 239.5, 0)
    translation_mm = place(mesh_px[None], CAMERA)[1]
    np.testing.assert_allclose(translation_mm[0], (0, 0, 385.53), atol=0.01)
