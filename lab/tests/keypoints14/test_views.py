"""Random views: every point stays inside, pixels and points move together, mirrors keep their meaning."""

from collections.abc import Callable

import numpy as np
import pytest

from facegeom.geometry.transforms import apply
from facegeom_lab.keypoints14.task import Keypoints14Recipe
from facegeom_lab.keypoints14.views import MIN_MARGIN, MIRROR, margins, mirror, random_map, warp

MakeRecipe = Callable[..., Keypoints14Recipe]
Draw = Callable[[np.ndarray, int, int], np.ndarray]
SIZE_WH = (61, 61)


def colour_at(picture: np.ndarray, point: np.ndarray) -> np.ndarray:
    x, y = np.rint(point).astype(int)
    return picture[y, x].astype(int)


def test_margins_of_a_picture(face: np.ndarray) -> None:
    """The extent is 8 to 52 by 10 to 53; the edges lie at -0.5 and 60.5."""
    expected = np.array([8.5 / 44, 10.5 / 43, 8.5 / 44, 7.5 / 43])
    np.testing.assert_allclose(margins(face, SIZE_WH), expected)


def test_without_changes_the_view_is_the_picture(face: np.ndarray, make_recipe: MakeRecipe) -> None:
    still = make_recipe(turn_deg=0.0, shear=0.0, margin=0.0, input_px=61)
    matrix = random_map(np.random.default_rng(0), face, SIZE_WH, still)
    np.testing.assert_allclose(matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_all_points_stay_inside(seed: int, face: np.ndarray, make_recipe: MakeRecipe) -> None:
    wild = make_recipe(turn_deg=40.0, shear=0.3, margin=0.5, input_px=48)
    rng = np.random.default_rng(seed)
    face[rng.integers(14)] = np.nan
    moved = apply(random_map(rng, face, SIZE_WH, wild), face)
    known = np.isfinite(face).all(axis=1)
    assert np.isfinite(moved[known]).all() and np.isnan(moved[~known]).all()
    inside = MIN_MARGIN / (1 + 2 * 1.5) * 48 / 2
    assert moved[known].min() > -0.5 + inside and moved[known].max() < 47.5 - inside


@pytest.mark.parametrize("seed", range(5))
def test_pixels_move_with_the_points(
    seed: int, face: np.ndarray, make_recipe: MakeRecipe, draw: Draw
) -> None:
    recipe = make_recipe(input_px=128)
    matrix = random_map(np.random.default_rng(seed), face, SIZE_WH, recipe)
    crop = warp(draw(face, *SIZE_WH), SIZE_WH, matrix, recipe.input_px)
    for index, point in enumerate(apply(matrix, face)):
        assert np.abs(colour_at(crop, point) - (15 * index, 90, 200 - 14 * index)).max() < 25


def test_the_kept_square_may_have_another_shape(face: np.ndarray, draw: Draw) -> None:
    """A photo of 122 x 61 pixels, kept as 61 x 61: maps start from the photo's pixels."""
    square = draw(face, *SIZE_WH)
    np.testing.assert_array_equal(warp(square, (122, 61), np.array([[0.5, 0, -0.25], [0, 1, 0]]), 61), square)


def test_mirror(face: np.ndarray, draw: Draw) -> None:
    face = face + np.random.default_rng(1).integers(-1, 2, face.shape)
    crop, points = mirror(draw(face, *SIZE_WH), face)
    for index, image in enumerate(MIRROR):
        assert points[index].tolist() == [60 - face[image, 0], face[image, 1]]
        assert colour_at(crop, points[index]).tolist() == [15 * image, 90, 200 - 14 * image]
    again, back = mirror(crop, points)
    np.testing.assert_array_equal(back, face)
    np.testing.assert_array_equal(again, draw(face, *SIZE_WH))


@pytest.mark.parametrize("size_wh", [(61, 1), (1, 61), (1, 1)])
def test_pictures_of_one_row(size_wh: tuple[int, int], face: np.ndarray, make_recipe: MakeRecipe) -> None:
    flat = np.minimum(face, np.array(size_wh) - 1)
    matrix = random_map(np.random.default_rng(2), flat, size_wh, make_recipe())
    assert np.isfinite(matrix).all()
    assert warp(np.full((40, 40, 3), 7, np.uint8), size_wh, matrix, 32).tolist() == [[[7] * 3] * 32] * 32


def test_loose_crops_keep_all_points(face: np.ndarray, make_recipe: MakeRecipe) -> None:
    """Margins grow by up to 0.3 of the extent, and shift by up to 0.05; every point stays inside."""
    recipe = make_recipe(
        turn_deg=0.0, shear=0.0, margin=0.0, loose_share=1.0, loose_margin=0.3, loose_shift=0.05
    )
    own, grown = margins(face, (61, 61)), []
    for seed in range(60):
        points = apply(random_map(np.random.default_rng(seed), face, (61, 61), recipe), face)
        assert (points > -0.5).all() and (points < recipe.input_px - 0.5).all()
        grown.append(margins(points, (recipe.input_px, recipe.input_px)) - own)
    grown = np.array(grown)
    assert grown.mean(axis=0) == pytest.approx(np.full(4, 0.15), abs=0.05) and grown.max() > 0.28
    assert np.abs(grown[:, 0] - grown[:, 2]).max() > 0.05
