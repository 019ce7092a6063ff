"""Millimetres equal facegeom.geometry.placement."""

from typing import Any

import numpy as np
import pytest

from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import place
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.topology import canonical_mm

# A ``Camera`` cannot leave the browser, so one call makes and uses it.
_PLACE = """async ([mesh, head, width, height, fov]) => {
  const { Camera } = await import("/static/local/camera.js");
  const { place } = await import("/static/local/placement.js");
  return place(mesh, head, new Camera(width, height, fov));
}"""


@pytest.mark.parametrize(
    ("angles", "centre", "size"),
    [((0, 0, 0), (320, 240), 1.5), ((40, -20, 15), (30, 400), 0.4), ((-80, 5, 0), (600, 20), 4)],
)
def test_place(
    module_page: Any, angles: tuple[float, float, float], centre: tuple[float, float], size: float
) -> None:
    mesh = size * canonical_mm() @ rotation_from_angles(*angles).T + (*centre, 3)
    mesh += np.random.default_rng(4).normal(0, 2 * size, mesh.shape)
    expected = place(mesh[None], Camera(640, 480, 60))
    found = module_page.evaluate(_PLACE, [mesh.tolist(), canonical_mm().tolist(), 640, 480, 60])
    np.testing.assert_allclose(found["meshMm"], expected.mesh_mm[0], rtol=1e-6)
    np.testing.assert_allclose(found["translationMm"], expected.translation_mm[0], rtol=1e-6)
