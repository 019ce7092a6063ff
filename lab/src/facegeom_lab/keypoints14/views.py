"""Random views of a training picture: turned, sheared, mirrored, cropped so that all points stay inside."""

import cv2
import numpy as np

from facegeom.geometry.boxes import from_points
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.schemes import SCHEMES
from facegeom.geometry.transforms import apply, box_to_square, invert
from facegeom_lab.keypoints14.recipe import Keypoints14Recipe

MIRROR = SCHEMES["facepoints14"].mirror
LEAST_MARGIN = 0.01  # of the extent: every point stays inside the crop
LARGEST_TURN = 2.5  # standard deviations


def frame_xyxy(size_wh: tuple[int, int]) -> np.ndarray:
    """The edges (4,) of a picture."""
    return np.array([-0.5, -0.5, size_wh[0] - 0.5, size_wh[1] - 0.5])


def margins(points: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Distances (4,) of the picture's left, top, right, bottom edge from the points' extent, of the extent.

    Args:
        points: (14, 2) pixels of the picture, NaN where not annotated.
        size_wh: of the picture.
    """
    extent = _extent(points)
    return (extent - frame_xyxy(size_wh)) * (1, 1, -1, -1) / _size4(extent)


def random_map(
    rng: np.random.Generator, points: np.ndarray, size_wh: tuple[int, int], recipe: Keypoints14Recipe
) -> np.ndarray:
    """The map (2, 3) from a picture to a crop of it, ``recipe.input_px`` a side.

    The crop's edges lie around the turned points as the picture's edges lay around the points, but for
    a small change, so that crops look like the pictures, whatever rule those were cropped by.
    """
    linear = _random_turn(rng, recipe)
    edges = margins(points, size_wh)
    if rng.random() < 0.5:
        edges = edges + rng.uniform(-recipe.margin, recipe.margin, 4)
    extent = _extent(points @ linear.T)
    crop = extent + np.maximum(edges, LEAST_MARGIN) * (-1, -1, 1, 1) * _size4(extent)
    onto = box_to_square(crop, recipe.input_px)
    return np.concatenate([onto[:, :2] @ linear, onto[:, 2:]], axis=1)


def _random_turn(rng: np.random.Generator, recipe: Keypoints14Recipe) -> np.ndarray:
    spread = np.array([recipe.turn_deg, recipe.shear])
    turn_deg, shear = spread * np.clip(rng.normal(size=2), -LARGEST_TURN, LARGEST_TURN)
    return rotation_from_angles(0, 0, turn_deg)[:2, :2] @ np.array([[1, shear], [0, 1]])


def warp(square: np.ndarray, size_wh: tuple[int, int], matrix: np.ndarray, side: int) -> np.ndarray:
    """The crop (side, side, 3) that ``matrix`` (2, 3) makes of a picture, which is kept as a square.

    Outside the picture its edge goes on.
    """
    into = invert(box_to_square(frame_xyxy(size_wh), len(square)))
    whole = np.concatenate([matrix[:, :2] @ into[:, :2], apply(matrix, into[None, :, 2]).T], axis=1)
    return cv2.warpAffine(
        square, whole, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def mirrored(crop: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A crop (S, S, 3) and its points (14, 2), pixels, as a mirror shows them."""
    return np.ascontiguousarray(crop[:, ::-1]), points[MIRROR] * (-1, 1) + (crop.shape[1] - 1, 0)


def _extent(points: np.ndarray) -> np.ndarray:
    """Box (4,) of the annotated points, at least a pixel wide and high."""
    extent = from_points(points[np.isfinite(points).all(axis=1)])
    short = np.maximum(1 - (extent[2:] - extent[:2]), 0) / 2
    return extent + np.concatenate([-short, short])


def _size4(extent: np.ndarray) -> np.ndarray:
    return np.tile(extent[2:] - extent[:2], 2)
