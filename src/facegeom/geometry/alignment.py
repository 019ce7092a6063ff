"""Maps from a photo to aligned crops: onto five points of a template, by FFHQ's rule, by the box."""

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.geometry.boxes import square
from facegeom.geometry.schemes import five_from_68
from facegeom.geometry.transforms import box_to_square

FloatArray: TypeAlias = npt.NDArray[np.floating]
Template: TypeAlias = Literal["arcface", "ffhq", "box"] | npt.ArrayLike

TEMPLATES = ("arcface", "ffhq", "box")
"""Templates by name; five points of one's own are one, too."""

ARCFACE_PX = 112
ARCFACE_XY = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
"""Eyes, nose tip and mouth corners in crops of 112 pixels, left to right (Deng et al., "ArcFace", 2019)."""

MAX_SIZE_PX = 2048
"""Largest side of a crop."""


def template_points(template: Template, size_px: int) -> FloatArray:
    """Return the five points (5, 2) of "arcface" or of one's own in crops of ``size_px`` pixels."""
    if isinstance(template, str):
        return (ARCFACE_XY + 0.5) * (size_px / ARCFACE_PX) - 0.5
    problem = f"template: expected five points (5, 2), finite pixels, got {template!r}"
    try:
        points = np.asarray(template, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(problem) from error
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise InputError(problem)
    return points


def crop_from_photo(
    template: Template, size_px: int, landmarks_px: FloatArray, box_xyxy: FloatArray
) -> FloatArray:
    """Return the maps (N, 2, 3) from pixels of a photo to pixels of square crops.

    Args:
        template: "arcface": the least-squares similarity that carries the five points onto ArcFace's;
            "ffhq": the square around eyes and mouth of Karras et al., "A Style-Based Generator", 2019;
            "box": the upright square around the box; or five points (5, 2) in pixels of the crop.
        size_px: side of the crops.
        landmarks_px: (N, 68, 2) the 68 points.
        box_xyxy: (N, 4) the boxes.

    Raises:
        InputError: an unknown template or size, or points that lie on one another.
    """
    if isinstance(template, str) and template not in TEMPLATES:
        raise InputError(f"template: expected {', '.join(TEMPLATES)} or five points (5, 2), got {template!r}")
    if not (isinstance(size_px, (int, np.integer)) and 1 <= size_px <= MAX_SIZE_PX):
        raise InputError(f"size: expected a whole number from 1 to {MAX_SIZE_PX}, got {size_px!r}")
    five = five_from_68(landmarks_px.astype(np.float64))
    with np.errstate(all="ignore"):  # what cannot be divided is reported below
        if isinstance(template, str) and template == "box":
            maps = box_to_square(square(box_xyxy.astype(np.float64)), size_px)
        elif isinstance(template, str) and template == "ffhq":
            maps = _ffhq(five, size_px)
        else:
            maps = fit_similarity(five, template_points(template, size_px))
        if not (np.abs(np.linalg.det(maps[:, :, :2])) > 1e-12).all() or not np.isfinite(maps).all():
            raise InputError("expected five points that lie apart, in the template and in each face")
    return maps


def fit_similarity(source_xy: FloatArray, target_xy: FloatArray) -> FloatArray:
    """Fit the least-squares similarities (..., 2, 3) between points (..., K, 2), without reflection."""
    source, target = (xy[..., 0] + 1j * xy[..., 1] for xy in (source_xy, target_xy))
    source_mean, target_mean = source.mean(axis=-1), target.mean(axis=-1)
    centred = source - source_mean[..., None]
    turn = (centred.conj() * (target - target_mean[..., None])).sum(axis=-1)
    turn /= (np.abs(centred) ** 2).sum(axis=-1)  # scale · e^(i angle)
    return _as_matrix(turn, 1j * turn, target_mean - turn * source_mean)


def _ffhq(five: FloatArray, size_px: int) -> FloatArray:
    """Return FFHQ's maps: a square with half axes x and y around a point a little below the eyes' middle."""
    right_eye, left_eye, _, right_corner, left_corner = np.moveaxis(five[..., 0] + 1j * five[..., 1], -1, 0)
    eyes, between = (right_eye + left_eye) / 2, left_eye - right_eye
    down = (right_corner + left_corner) / 2 - eyes
    half_x = between - 1j * down  # both say which way is right; the second, turned by a right angle
    half_x *= np.maximum(2.0 * np.abs(between), 1.8 * np.abs(down)) / np.abs(half_x)
    step = half_x * 2 / size_px  # photo = step · crop + corner
    corner = eyes + 0.1 * down + (step / 2 - half_x) * (1 + 1j)
    return _as_matrix(1 / step, 1j / step, -corner / step)


def _as_matrix(*columns: npt.NDArray[np.complexfloating]) -> FloatArray:
    """Return matrices (..., 2, 3) whose columns are complex numbers x + iy (...,)."""
    matrix = np.stack(columns, axis=-1)
    return np.stack([matrix.real, matrix.imag], axis=-2)
