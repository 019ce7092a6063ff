"""Crops through homographies against the image's own pixels, also at its edge and at the horizon."""

import numpy as np
import pytest

from facegeom.image.rotated_crop import LARGEST_SHRINK, crop_projected

GREY = 127


def ramp(width: int = 120, height: int = 100) -> np.ndarray:
    """Red grows to the right by 2 a pixel, green downwards; blue is full."""
    row, column = np.indices((height, width))
    return np.stack([2 * column, 2 * row, np.full_like(row, 255)], axis=-1).astype(np.uint8)


def homography(
    centre_px: tuple[float, float], step: float, size_px: int, slant: tuple[float, float] = (0, 0)
) -> np.ndarray:
    """Return a map from pixels of a crop to the image's that is slanted about the crop's middle.

    Args:
        centre_px: shown in the middle of the crop.
        step: pixels of the image for one of the crop, in the middle.
        size_px: side of the crop.
        slant: by how much the last coordinate grows over the crop's width and height.
    """
    middle = (size_px - 1) / 2
    to_middle = np.array([[1, 0, -middle], [0, 1, -middle], [0, 0, 1]])
    slanted = np.array([[step, 0, 0], [0, step, 0], [slant[0] / size_px, slant[1] / size_px, 1]])
    return np.array([[1, 0, centre_px[0]], [0, 1, centre_px[1]], [0, 0, 1]]) @ slanted @ to_middle


def shown(matrix: np.ndarray, size_px: int) -> np.ndarray:
    """Return the image's x and y (2, size, size) under each pixel of the crop."""
    column, row = np.meshgrid(np.arange(size_px), np.arange(size_px))
    x, y, w = np.tensordot(matrix, np.stack([column, row, np.ones_like(row)]), 1)
    return np.stack([x / w, y / w])


@pytest.mark.parametrize("slant", [(0, 0), (0.3, 0), (-0.2, 0.4), (0.5, 0.5)])
@pytest.mark.parametrize("step", [0.3, 0.8, 1])
def test_a_crop_shows_the_pixels_of_its_map(slant: tuple[float, float], step: float) -> None:
    matrix = homography((60, 50), step, 41, slant)
    crop = crop_projected(ramp(), matrix[None], 41)[0].astype(float)
    x, y = shown(matrix, 41)
    np.testing.assert_allclose(crop[..., 0], 2 * x, atol=2)
    np.testing.assert_allclose(crop[..., 1], 2 * y, atol=2)
    assert (crop[..., 2] == 255).all()


def test_shrinking_crops_are_antialiased() -> None:
    """Stripes of one pixel become grey, not stripes of another width."""
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 254
    crop = crop_projected(stripes, homography((200, 200), 5, 48, (0.2, 0.1))[None], 48)[0].astype(float)
    np.testing.assert_allclose(crop, 127, atol=26)  # a fifth of a stripe of 254
    assert crop.std() < 12


@pytest.mark.parametrize("gap", [None, 1.0, 2.0])
def test_a_reduced_level_shows_the_same_places(gap: float | None) -> None:
    image, matrix = ramp(), homography((60, 50), 2.4, 32, (0.2, -0.2))
    crop = crop_projected(image, matrix[None], 32, gap)[0].astype(float)
    x, y = shown(matrix, 32)
    inside = (x > 4) & (x < 115) & (y > 4) & (y < 95)
    np.testing.assert_allclose(crop[inside, 0], 2 * x[inside], atol=3)
    np.testing.assert_allclose(crop[inside, 1], 2 * y[inside], atol=3)


@pytest.mark.parametrize("centre_px", [(0, 50), (119, 50), (60, 0), (60, 99), (-0.5, -0.5), (119.5, 99.5)])
def test_at_the_edge_of_the_photo(centre_px: tuple[float, float]) -> None:
    """Inside are the photo's pixels, beyond it is grey, and only the edge itself is mixed."""
    matrix = homography(centre_px, 0.9, 41, (0.25, -0.15))
    crop = crop_projected(ramp(), matrix[None], 41)[0].astype(float)
    x, y = shown(matrix, 41)
    edges = np.stack([x + 0.5, 119.5 - x, y + 0.5, 99.5 - y])  # distances to them, positive inside
    inside, beyond = edges.min(axis=0) > 1.5, edges.min(axis=0) < -1.5
    assert inside.sum() > 200 and beyond.sum() > 200
    np.testing.assert_allclose(crop[inside, 0], 2 * x[inside], atol=3)
    np.testing.assert_allclose(crop[inside, 1], 2 * y[inside], atol=3)
    assert (crop[beyond] == GREY).all() and (crop[inside, 2] == 255).all()


def test_beyond_the_photo_it_is_grey() -> None:
    assert (crop_projected(ramp(), homography((-90, 50), 1, 32, (0.2, 0))[None], 32) == GREY).all()


def test_crops_are_cut_one_by_one() -> None:
    matrices = np.stack([homography((60, 50), 0.8, 24), homography((10, 90), 0.5, 24, (0.3, 0.1))])
    both = crop_projected(ramp(), matrices, 24)
    for crop, matrix in zip(both, matrices, strict=True):
        np.testing.assert_array_equal(crop, crop_projected(ramp(), matrix[None], 24)[0])
    assert crop_projected(ramp(), np.zeros((0, 3, 3)), 16).shape == (0, 16, 16, 3)


def test_a_crop_that_reaches_near_the_horizon_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """One corner lies 100 times as far from the middle as the others."""
    from facegeom.image import rotated_crop

    sides: list[int] = []
    cut = rotated_crop.crop_squares

    def spy(image: object, squares: object, size_px: int, *options: int) -> np.ndarray:
        sides.append(size_px)
        return cut(image, squares, size_px, *options)

    monkeypatch.setattr(rotated_crop, "crop_squares", spy)
    matrix = homography((60, 50), 1, 32, (0.99, 0.99))
    crop = crop_projected(ramp(), matrix[None], 32)
    assert crop.shape == (1, 32, 32, 3)
    assert 32 < sides[0] <= LARGEST_SHRINK * 32 + 2
