"""Rotated crops against the image's own pixels."""

import numpy as np
import pytest

from facegeom.image.rotated_crop import crop_rotated


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
