"""Rotated crops against the image's own pixels."""

import numpy as np
import pytest

from facegeom.image.pyramid import Pyramid
from facegeom.image.rotated_crop import crop_affine, crop_rotated


def ramp() -> np.ndarray:
    """Red grows to the right by 2 a pixel, green downwards."""
    row, column = np.indices((100, 120))
    return np.stack([2 * column, 2 * row, np.zeros_like(row)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("roll_deg", [0, 30, 90, -140])
def test_a_crop_shows_the_pixels_of_its_map(roll_deg: float) -> None:
    roll = np.deg2rad(roll_deg)
    step = 0.8 * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    square = np.column_stack([step, np.array([60, 50]) - step @ (20, 20)])
    crop = crop_rotated(ramp(), square[None], 41)[0].astype(float)
    column, row = np.meshgrid(np.arange(41), np.arange(41))
    expected = 2 * np.tensordot(square, np.stack([column, row, np.ones_like(row)]), 1)
    np.testing.assert_allclose(crop[..., 0], expected[0], atol=2)
    np.testing.assert_allclose(crop[..., 1], expected[1], atol=2)


def test_beyond_the_photo_it_is_grey() -> None:
    crop = crop_rotated(ramp(), np.array([[[1.0, 0, -60], [0, 1, -60]]]), 32)
    assert (crop == 127).all()


def test_no_square_gives_no_crop() -> None:
    assert crop_rotated(ramp(), np.zeros((0, 2, 3)), 16).shape == (0, 16, 16, 3)


@pytest.mark.parametrize("roll_deg", [0, 30, 90, -140])
@pytest.mark.parametrize(("scale", "mirror"), [(0.3, 1), (0.8, -1), (1.7, 1), (2.3, 1), (4.6, -1)])
def test_an_affine_crop_shows_the_pixels_of_its_map(roll_deg: float, scale: float, mirror: int) -> None:
    roll, image = np.deg2rad(roll_deg), np.kron(ramp(), np.ones((2, 2, 1), np.uint8))
    size = int(60 / scale)
    step = scale * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]]) * (mirror, 1)
    square = np.column_stack([step, np.array([120, 100]) - step @ np.full(2, (size - 1) / 2)])
    crop = crop_affine(Pyramid(image), square[None], size)[0].astype(float)
    column, row = np.meshgrid(np.arange(size), np.arange(size))
    expected = np.tensordot(square, np.stack([column, row, np.ones_like(row)]), 1)
    np.testing.assert_allclose(crop[..., 0], expected[0], atol=2)
    np.testing.assert_allclose(crop[..., 1], expected[1], atol=2)


def test_beyond_the_image_an_affine_crop_is_black() -> None:
    white = Pyramid(np.full((50, 60, 3), 255, np.uint8))
    maps = np.array([[[1.0, 0, -60], [0, 1, -60]], [[1, 0, -16], [0, 1, 5]], [[9, 0, 500], [0, 9, 500]]])
    outside, half, far = crop_affine(white, maps, 32)
    assert (outside == 0).all() and (far == 0).all()
    assert (half[:, :16] == 0).all() and (half[:, 16:] == 255).all()


def test_an_affine_crop_does_not_depend_on_the_levels_that_exist() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 240, 3), np.uint8)
    fresh, used = Pyramid(pixels), Pyramid(pixels)
    for factor in (2, 3, 4):
        used.level(factor)
    maps = np.array([[[3.4, 0.5, 10], [-0.5, 3.4, 30]]])
    assert (crop_affine(fresh, maps, 40) == crop_affine(used, maps, 40)).all()
