"""Virtual views and crops through homographies equal facegeom.models.virtual_views and facegeom.image."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.image.crop import OUTSIDE
from facegeom.image.pyramid import Pyramid
from facegeom.image.rotated_crop import LARGEST_SHRINK, crop_projected
from facegeom.models.virtual_views import virtual_views
from facegeom.serve.pages import model_data

LIMITS = model_data()["face"]["views"]

# A ``Camera`` cannot leave the browser, so one call makes and uses it.
_VIEWS = """async ([pixels, width, height, fov, squares, limits, size, outside, points]) => {
  const { Camera } = await import("/static/local/camera.js");
  const { cropView, toCropUnits, virtualView } = await import("/static/local/virtual_views.js");
  const image = { width, height, data: Uint8Array.from(pixels) };
  return squares.map((square) => {
    const view = virtualView(square, new Camera(width, height, fov), limits);
    if (!view) return null;
    const crop = Array.from(cropView(image, view, size, { ...limits, outside, gap: 1 }));
    return { view, crop, points: toCropUnits(points, view, square) };
  });
}"""


@pytest.mark.parametrize("gap", [None, 1.0])
@pytest.mark.parametrize(
    ("angles", "step", "centre"),
    [
        ((0, 0, 0), 1.0, (50, 40)),
        ((0, 0, 30), 2.3, (50, 40)),
        ((20, -10, 5), 1.7, (30, 60)),
        ((-25, 30, -70), 0.6, (80, 20)),
        ((5, 5, 160), 4.0, (2, 3)),
    ],
)
def test_crop_through_a_homography(
    call: Any,
    noise: Callable[[int, int], Image.Image],
    angles: tuple[float, float, float],
    step: float,
    centre: tuple[float, float],
    gap: float | None,
) -> None:
    image, size = noise(100, 80), 24
    focal = np.diag([200.0, 200.0, 1.0])
    turn = focal @ rotation_from_angles(*angles) @ np.linalg.inv(focal)
    scale = np.array([[step, 0, -step * 11.5], [0, step, -step * 11.5], [0, 0, 1]])
    shift = np.array([[1, 0, centre[0]], [0, 1, centre[1]], [0, 0, 1]])
    matrix = shift @ (turn / turn[2, 2]) @ scale
    found = np.reshape(
        call("rotated_crop.js", "cropProjected", image, matrix, size, OUTSIDE, LARGEST_SHRINK, gap),
        (size, size, 3),
    )
    expected = crop_projected(image, matrix[None], size, gap)[0]
    assert (found != expected).mean() < 1e-3 and np.abs(found - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("fov_deg", [30.0, 50.0, 90.0, 120.0])
def test_views(module_page: Page, noise: Callable[[int, int], Image.Image], fov_deg: float) -> None:
    image, camera, size = noise(160, 120), Camera(160, 120, fov_deg), 32
    rng = np.random.default_rng(1)
    corner, side = rng.uniform(-10, 110, (12, 2)), rng.uniform(8, 60, (12, 1))
    squares = np.concatenate([corner, corner + side], axis=1)
    points = rng.uniform(-0.5, 0.5, (5, 3))
    pixels = np.asarray(image).ravel().tolist()
    given = [pixels, 160, 120, fov_deg, squares.tolist(), LIMITS, size, OUTSIDE, points.tolist()]
    found = module_page.evaluate(_VIEWS, given)
    views = virtual_views(squares, camera)
    assert views is not None
    rows = views.rows.tolist()
    assert [row for row, each in enumerate(found) if each] == rows
    crops = views.crop(Pyramid(image), size, 1.0, OUTSIDE)
    units = views.to_crop_units(np.repeat(points[None], len(rows), axis=0), squares[rows])
    for each, matrix, crop, expected in zip(
        (found[row] for row in rows), views.image_from_unit, crops, units, strict=True
    ):
        np.testing.assert_allclose(each["view"], matrix, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(each["points"], expected, atol=1e-9)
        assert (np.array(each["crop"]) != crop.ravel()).mean() < 1e-3
