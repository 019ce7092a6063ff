"""Virtual views: homographies of a turned camera, points there and back, what the crops show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from facegeom.geometry.camera import Camera
from facegeom.image.pyramid import Pyramid
from facegeom.models.face import CROP_PX, REDUCING_GAP
from facegeom.models.virtual_views import LARGEST_ANGLE_DEG, LARGEST_SLOPE, VirtualViews, virtual_views

CAMERA = Camera(800, 600, 100)
PLACES = [(x, y) for x in (40, 399.5, 760) for y in (50, 299.5, 550)]


def crop_at(centre_px: tuple[float, float], side: float) -> np.ndarray:
    """Return a crop (1, 4)."""
    return np.array([[-side, -side, side, side]]) / 2 + np.tile(centre_px, 2)


def view_at(centre_px: tuple[float, float], side: float = 120, camera: Camera = CAMERA) -> VirtualViews:
    view = virtual_views(crop_at(centre_px, side), camera)
    assert view is not None
    return view


def in_image(view: VirtualViews, units: np.ndarray) -> np.ndarray:
    """Map points (P, 2) in units of the view to pixels of the image."""
    x, y, w = view.image_from_unit[0] @ np.column_stack([units, np.ones(len(units))]).T
    return np.column_stack([x / w, y / w])


def sight(pixels: np.ndarray, camera: Camera = CAMERA) -> np.ndarray:
    """Return the directions (P, 3) of pixels, of length 1."""
    rays = np.column_stack([pixels - camera.centre_px, np.full(len(pixels), camera.focal_px)])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


OFF_AXIS = [place for place in PLACES if place != (399.5, 299.5)]


def test_straight_ahead_there_is_none() -> None:
    assert virtual_views(crop_at((399.5, 299.5), 120), CAMERA) is None
    assert virtual_views(np.zeros((0, 4)), CAMERA) is None


def test_without_a_lens_there_is_none() -> None:
    crops = np.concatenate([crop_at(place, 120) for place in PLACES])
    assert virtual_views(crops, None) is None


def test_only_crops_away_from_the_axis_get_one() -> None:
    crops = np.concatenate([crop_at(place, 120) for place in PLACES])
    view = virtual_views(crops, CAMERA)
    assert view is not None
    assert view.rows.tolist() == [0, 1, 2, 3, 5, 6, 7, 8] and view.image_from_unit.shape == (8, 3, 3)


@pytest.mark.parametrize(
    ("angle_deg", "has_view"), [(LARGEST_ANGLE_DEG - 0.1, False), (LARGEST_ANGLE_DEG + 0.1, True)]
)
def test_the_angle_from_which_on_there_is_one(angle_deg: float, has_view: bool) -> None:
    x = 399.5 + CAMERA.focal_px * np.tan(np.deg2rad(angle_deg))
    assert (virtual_views(crop_at((x, 299.5), 60), CAMERA) is not None) == has_view


@pytest.mark.parametrize("centre_px", OFF_AXIS)
def test_the_middle_of_a_view_is_that_of_the_crop(centre_px: tuple[float, float]) -> None:
    np.testing.assert_allclose(in_image(view_at(centre_px), np.zeros((1, 2))), [centre_px], atol=1e-9)


@pytest.mark.parametrize("centre_px", OFF_AXIS)
@pytest.mark.parametrize("side", [30, 120])
def test_a_view_covers_as_much_area_as_its_crop(centre_px: tuple[float, float], side: float) -> None:
    step = 0.001
    corners = in_image(view_at(centre_px, side), np.array([[0, 0], [step, 0], [0, step]]))
    right, down = (corners[1:] - corners[0]) / step
    assert right[0] * down[1] - right[1] * down[0] == pytest.approx(side**2, rel=0.01)


def test_the_stretch_of_a_lens_by_hand() -> None:
    """At 45° to the right a length is stretched by 2 along the radius and by 2**0.5 across it."""
    camera = Camera(800, 600, 110)
    view = view_at((399.5 + camera.focal_px, 299.5), 100, camera)
    step = 1e-4
    middle, right, down = in_image(view, np.array([[0, 0], [step, 0], [0, step]]))
    np.testing.assert_allclose((right - middle) / step, (100 * 2**0.25, 0), atol=0.05)
    np.testing.assert_allclose((down - middle) / step, (0, 100 / 2**0.25), atol=0.05)


@pytest.mark.parametrize("centre_px", OFF_AXIS)
def test_a_view_is_that_of_a_turned_camera(centre_px: tuple[float, float]) -> None:
    """Its pixels lie at tangents from its middle: angles between lines of sight are those of a pinhole."""
    units = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 2))
    view = view_at(centre_px)
    middle = sight(np.array([centre_px]))[0]
    tangents = np.tan(np.arccos(np.clip(sight(in_image(view, units)) @ middle, -1, 1)))
    per_unit = 120 * middle[2] ** 1.5 / CAMERA.focal_px
    np.testing.assert_allclose(tangents, np.linalg.norm(units, axis=1) * per_unit, rtol=1e-6)


@given(st.floats(30, 120), st.floats(0, 1), st.floats(0, 1), st.floats(5, 400), st.integers(0, 2**32 - 1))
def test_points_of_a_crop_there_and_back(fov_deg: float, x: float, y: float, side: float, seed: int) -> None:
    """Points of the photo, seen in the view by the inverse homography, come back to units of the crop."""
    camera = Camera(800, 600, fov_deg)
    crop = crop_at((800 * x, 600 * y), side)
    view = virtual_views(crop, camera)
    if view is None:
        return
    expected = np.random.default_rng(seed).uniform(-0.4, 0.4, (1, 9, 3))
    pixels = expected[0, :, :2] * side + (800 * x, 600 * y)
    u, v, w = np.linalg.inv(view.image_from_unit[0]) @ np.column_stack([pixels, np.ones(9)]).T
    seen = np.stack([u / w, v / w, expected[0, :, 2]], axis=-1)[None]
    found = view.to_crop_units(seen, crop)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(found[..., 2], expected[..., 2])
    np.testing.assert_allclose(view.to_crop_units(seen[..., :2], crop), found[..., :2])


def centroid(mask: np.ndarray) -> np.ndarray:
    """Return the centre (2,) of a bright spot, pixels x and y."""
    weight = mask.astype(np.float64)
    row, column = np.indices(mask.shape)
    return np.array([(column * weight).sum(), (row * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("centre_px", OFF_AXIS)
@pytest.mark.parametrize("offset", [(0, 0), (30, -20), (-25, 35)])
def test_points_drawn_in_a_photo_land_where_they_are(
    centre_px: tuple[float, float], offset: tuple[float, float]
) -> None:
    spot = np.clip(np.rint(np.add(centre_px, offset)), 3, (796, 596))
    image = Image.new("RGB", (800, 600), (127, 127, 127))  # as beyond the edge
    draw = ImageDraw.Draw(image)
    draw.rectangle([*(spot - 1).tolist(), *(spot + 1).tolist()], fill=(255, 127, 127))
    view, crop = view_at(centre_px), crop_at(centre_px, 120)
    seen = view.crop(Pyramid(image), CROP_PX, REDUCING_GAP)
    assert seen.shape == (1, CROP_PX, CROP_PX, 3) and seen.dtype == np.uint8
    units = (centroid(seen[0, ..., 0] - 127.0) + 0.5) / CROP_PX - 0.5
    found = view.to_crop_units(units[None, None], crop)[0, 0] * 120 + centre_px
    np.testing.assert_allclose(found, spot, atol=0.4)  # crops are stretched by half a pixel at the edge


def sphere_photo(camera: Camera, centre_mm: np.ndarray, radius_mm: float) -> Image.Image:
    """Return a photo of a white sphere, by its silhouette, antialiased."""
    size = np.array([camera.width, camera.height])
    fine = Camera(*(2 * size).tolist(), camera.fov_deg)
    x, y = np.meshgrid(np.arange(fine.width), np.arange(fine.height))
    rays = fine.back_project(np.stack([x, y], axis=-1).astype(np.float64), np.ones(x.shape))
    along = rays @ centre_mm / np.linalg.norm(rays, axis=-1)
    inside = centre_mm @ centre_mm - along**2 < radius_mm**2
    return Image.fromarray((inside * 255).astype(np.uint8)).reduce(2).convert("RGB")


def spread(white: np.ndarray) -> tuple[float, float]:
    """Return the largest and the smallest standard deviation of a white shape, pixels."""
    row, column = np.nonzero(white > 127)
    smallest, largest = np.sqrt(np.linalg.eigvalsh(np.cov(np.stack([column, row]))))
    return float(largest), float(smallest)


@pytest.mark.parametrize("fov_deg", [75, 110])
def test_a_ball_at_the_side_is_round_in_its_view(fov_deg: float) -> None:
    """In the photo it is an ellipse; in the view it is a disc, of the same area."""
    camera = Camera(800, 600, fov_deg)
    centre_px = np.array([720.0, 520])
    line = camera.back_project(centre_px, np.array(1.0))
    centre_mm = 900 * line / np.linalg.norm(line)
    photo = sphere_photo(camera, centre_mm, 60)
    stretched = spread(np.asarray(photo)[..., 0])
    assert stretched[0] / stretched[1] > 1 + 0.5 * (np.linalg.norm(line) - 1)
    seen = view_at((720, 520), 160, camera).crop(Pyramid(photo), CROP_PX, REDUCING_GAP)[0, ..., 0]
    largest, smallest = spread(seen)
    assert largest / smallest < 1.03
    assert (seen > 127).sum() * (160 / CROP_PX) ** 2 == pytest.approx(
        (np.asarray(photo)[..., 0] > 127).sum(), rel=0.05
    )
    np.testing.assert_allclose(centroid(seen > 127), (CROP_PX - 1) / 2, atol=1)


@pytest.mark.parametrize("fov_deg", [60, 100, 140, 160, 179])
@pytest.mark.parametrize("side", [40, 300, 900, 3000])
def test_no_view_reaches_behind_the_camera(fov_deg: float, side: float) -> None:
    """Crops that would, of false faces or under a wrong angle of view, stay as they are."""
    camera = Camera(800, 600, fov_deg)
    grid = [(x, y) for x in range(-100, 901, 50) for y in range(-100, 701, 50)]
    crops = np.concatenate([crop_at(place, side) for place in grid])
    view = virtual_views(crops, camera)
    corners = np.array([[-0.5, -0.5, 1], [0.5, -0.5, 1], [-0.5, 0.5, 1], [0.5, 0.5, 1]])
    if view is not None:
        last = (view.image_from_unit @ corners.T)[:, 2] / view.image_from_unit[:, 2, 2:]
        assert last.min() > 1 - LARGEST_SLOPE - 1e-6
        picks = VirtualViews(view.rows[::40], view.image_from_unit[::40], view.roll_deg[::40])
        seen = picks.crop(Pyramid(np.full((600, 800, 3), 200, np.uint8)), CROP_PX, REDUCING_GAP)
        assert seen.shape == (len(picks.rows), CROP_PX, CROP_PX, 3)


# From here on: rolled faces.


@pytest.mark.parametrize("camera", [None, CAMERA])
@pytest.mark.parametrize("roll_deg", [30, -90, 180])
def test_a_rolled_view(camera: Camera | None, roll_deg: float) -> None:
    """The crop's own x axis points along the rolled one; middle and area stay."""
    rolls = np.array([roll_deg])
    for centre_px in ((399.5, 299.5), (700, 500)):
        view = virtual_views(crop_at(centre_px, 120), camera, rolls)
        upright = virtual_views(crop_at(centre_px, 120), camera, np.array([1e-9]))
        assert view is not None and upright is not None and view.roll_deg.tolist() == [roll_deg]
        np.testing.assert_allclose(in_image(view, np.zeros((1, 2))), [centre_px], atol=1e-9)
        cosine, sine = np.cos(np.deg2rad(roll_deg)), np.sin(np.deg2rad(roll_deg))
        units = np.array([[0.2, 0.1], [-0.3, 0.4]])
        rolled = units @ np.array([[cosine, sine], [-sine, cosine]])  # clockwise: y points down
        np.testing.assert_allclose(in_image(view, units), in_image(upright, rolled), atol=1e-6)


def test_a_roll_of_none_needs_no_view() -> None:
    crops = np.concatenate([crop_at((399.5, 299.5), 120)] * 2)
    assert virtual_views(crops, CAMERA, np.zeros(2)) is None
    view = virtual_views(crops, None, np.array([0.0, 25]))
    assert view is not None and view.rows.tolist() == [1]
