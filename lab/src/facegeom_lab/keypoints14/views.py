"""Square images, and their random views: rotated, sheared, mirrored, cropped with all points inside."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from facegeom.geometry.boxes import from_points
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.transforms import apply, box_to_square, invert
from facegeom.image import reading
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.keypoints14.task import Keypoints14Recipe

MIRROR = SCHEMES["facepoints14"].mirror
MIN_MARGIN = 0.01  # fraction of the extent: every point stays inside the crop
GREY = (127, 127, 127)
MAX_DEVIATION = 2.5  # of rotation and shear, standard deviations


class SquareImages:
    """Images of files resized to squares; cached after the first read as far as memory allows.

    Args:
        paths: files.
        side: side of the squares, pixels.
        cached_mb: size of the cache, MiB.
    """

    def __init__(self, paths: Sequence[Path], side: int, cached_mb: int = 0) -> None:
        self.paths, self.side = paths, side
        self._capacity = cached_mb * 2**20 // (3 * side**2)
        self._cache: dict[int, tuple[np.ndarray, tuple[int, int]]] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Return the square (S, S, 3) uint8 RGB, and width and height of the original image.

        Raises:
            ImageError: the file cannot be read.
        """
        if index in self._cache:
            return self._cache[index]
        image = reading.read(self.paths[index])
        size = (self.side, self.side)
        square = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        entry = square, (image.shape[1], image.shape[0])
        if len(self._cache) < self._capacity:
            self._cache[index] = entry
        return entry


def channel_statistics(squares: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean (3,) and standard deviation (3,), at least 1, of each channel in [0, 255]."""
    count, total, squared = 0, np.zeros(3), np.zeros(3)
    for square in squares:
        values = square.reshape(-1, 3).astype(np.float64)
        count += len(values)
        total += values.sum(axis=0)
        squared += (values**2).sum(axis=0)
    mean = total / count
    return mean, np.maximum(np.sqrt(np.maximum(squared / count - mean**2, 0)), 1)


def frame_xyxy(size_wh: tuple[int, int]) -> np.ndarray:
    """Return the edges (4,) of an image as a box."""
    return np.array([-0.5, -0.5, size_wh[0] - 0.5, size_wh[1] - 0.5])


def margins(points: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Compute the margins (4,), left, top, right, bottom, around the points as fractions of their extent.

    Args:
        points: (14, 2) pixels of the image, NaN where not annotated.
        size_wh: size of the image.
    """
    extent = _extent(points)
    return (extent - frame_xyxy(size_wh)) * (1, 1, -1, -1) / _size4(extent)


def random_map(
    rng: np.random.Generator, points: np.ndarray, size_wh: tuple[int, int], recipe: Keypoints14Recipe
) -> np.ndarray:
    """Draw the affine map (2, 3) from an image to a crop of it, ``recipe.input_px`` a side.

    The margins around the rotated points are those of the image plus a small change, so that crops look like
    the images, whatever rule these were cropped by; ``recipe.loose_share`` of the crops are looser.
    """
    linear = _random_rotation(rng, recipe)
    edges = margins(points, size_wh)
    if rng.random() < 0.5:
        edges = edges + rng.uniform(-recipe.margin, recipe.margin, 4)
    if recipe.loose_share and rng.random() < recipe.loose_share:
        shift = rng.uniform(-recipe.loose_shift, recipe.loose_shift, 2)
        edges = edges + rng.uniform(0, recipe.loose_margin) + np.concatenate([shift, -shift])
    extent = _extent(points @ linear.T)
    crop = extent + np.maximum(edges, MIN_MARGIN) * (-1, -1, 1, 1) * _size4(extent)
    onto = box_to_square(crop, recipe.input_px)
    return np.concatenate([onto[:, :2] @ linear, onto[:, 2:]], axis=1)


def _random_rotation(rng: np.random.Generator, recipe: Keypoints14Recipe) -> np.ndarray:
    spread = np.array([recipe.turn_deg, recipe.shear])
    roll_deg, shear = spread * np.clip(rng.normal(size=2), -MAX_DEVIATION, MAX_DEVIATION)
    return rotation_from_angles(0, 0, roll_deg)[:2, :2] @ np.array([[1, shear], [0, 1]])


def warp(
    square: np.ndarray,
    size_wh: tuple[int, int],
    matrix: np.ndarray,
    side: int,
    border: int = cv2.BORDER_REPLICATE,
) -> np.ndarray:
    """Apply ``matrix`` (2, 3), in pixels of the original image, to its square form: a crop (side, side, 3).

    Pixels outside the image repeat its edge, or are as OpenCV's ``border`` says.
    """
    into = invert(box_to_square(frame_xyxy(size_wh), len(square)))
    whole = np.concatenate([matrix[:, :2] @ into[:, :2], apply(matrix, into[None, :, 2]).T], axis=1)
    return cv2.warpAffine(
        square, whole, (side, side), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=GREY
    )


def mirror(crop: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirror a crop (S, S, 3) and its points (14, 2), pixels."""
    return np.ascontiguousarray(crop[:, ::-1]), points[MIRROR] * (-1, 1) + (crop.shape[1] - 1, 0)


def _extent(points: np.ndarray) -> np.ndarray:
    """Return the box (4,) of the annotated points, at least a pixel wide and high."""
    extent = from_points(points[np.isfinite(points).all(axis=1)])
    short = np.maximum(1 - (extent[2:] - extent[:2]), 0) / 2
    return extent + np.concatenate([-short, short])


def _size4(extent: np.ndarray) -> np.ndarray:
    return np.tile(extent[2:] - extent[:2], 2)
