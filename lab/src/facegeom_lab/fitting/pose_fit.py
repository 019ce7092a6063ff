"""Robust, batched fit of the head's rotation and translation to 2D points of faces, of any point scheme.

The canonical head is fitted to the points: first in parallel projection by least absolute deviations, which
gives a rotation in closed form (POS of DeMenthon and Davis, "Model-based object pose in 25 lines of code",
IJCV 1995), then in perspective by Gauss-Newton with Geman and McClure's weights, whose scale follows the
residuals' median. A fifth of the points may be outliers.
"""

from collections.abc import Callable
from math import atan, degrees
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_to_line_of_sight
from facegeom.geometry.schemes import IBUG68_REGIONS, five_from_68
from facegeom_lab.datasets.schemes import facepoints14_from_68

FloatArray = npt.NDArray[np.floating]

MIN_POINTS = 4
"""Fewest known points of a face."""

_START_ROUNDS, _ROUNDS = 10, 12
_MAX_STEP_RAD = 0.4  # largest rotation of one step
_SPREAD = 3.0  # residual, in medians, at which a point's weight is a quarter
_FLOOR_MM = 0.01  # smallest scale of the residuals, on the face


class PoseFit(NamedTuple):
    """Poses of N faces.

    Attributes:
        rotation: (N, 3, 3) head frame to camera frame.
        translation_mm: (N, 3) the head's origin in the camera frame, for a head of average size.
        residual_px: (N,) median distance between the points and the canonical head's, pixels.
    """

    rotation: FloatArray
    translation_mm: FloatArray
    residual_px: FloatArray


def _canonical68() -> FloatArray:
    return topology.canonical68_mm().astype(np.float64)


MODELS: dict[str, Callable[[], FloatArray]] = {
    "ibug68": _canonical68,
    "mesh478": lambda: topology.canonical_mm().astype(np.float64),
    "facepoints14": lambda: facepoints14_from_68(_canonical68()),
    "celeba5": lambda: five_from_68(_canonical68()),
}
"""Points (K, 3) of the canonical head by scheme, head frame, millimetres."""


def fit_pose(points_px: FloatArray, scheme: str, camera: Camera) -> PoseFit:
    """Fit the canonical head to points of N faces.

    The 17 points of the jaw of ``ibug68`` are ignored: annotators mark the visible outline, which is not one
    place on the head.

    Args:
        points_px: (N, K, 2) pixels of the camera's photo; NaN where unknown.
        scheme: of the points, a key of :data:`MODELS`.
        camera: of the photo. For points in parallel projection take a very narrow field of view.

    Raises:
        InputError: no model for the scheme, another shape, or a face with fewer than four known points.
    """
    model, known = _checked(points_px, scheme)
    rays = np.where(known[..., None] > 0, (points_px - camera.centre_px) / camera.focal_px, 0)
    mean = (known[..., None] * model).sum(axis=1) / known.sum(axis=1)[:, None]
    problem = _Problem(model - mean[:, None], rays, known)
    rotation, position = _start(problem)
    floor = _FLOOR_MM / position[:, 2]
    for _ in range(_ROUNDS):
        rotation, position = _step(problem, rotation, position, floor)
    residual = _median(np.linalg.norm(_project(problem.model, rotation, position)[1] - rays, axis=-1), known)
    return PoseFit(rotation, position - (rotation @ mean[..., None])[..., 0], residual * camera.focal_px)


DISTANCE_MM, POINTS_MM = 1000.0, 125.0
"""Assumed distance of a head from an unknown camera, and the longer side of its 68 points' box. With a
parallel projection rotations would come out 1° to 2° too large."""

_POINTS_PX = 100.0
_CAMERA = Camera(1000, 1000, fov_deg=2 * degrees(atan(500 / (DISTANCE_MM * _POINTS_PX / POINTS_MM))))


def rotation_under_points(points_px: FloatArray) -> FloatArray:
    """Return rotations (N, 3, 3), as seen, of heads at 1 m fitted to 68 points (N, 68, 2).

    They do not depend on where in a photo a crop comes from. NaN where a point is unknown.
    """
    mean = np.nanmean(points_px, axis=1, keepdims=True)
    size = (np.nanmax(points_px, axis=1) - np.nanmin(points_px, axis=1)).max(axis=1)[:, None, None]
    scaled = (points_px - mean) * (_POINTS_PX / size) + _CAMERA.centre_px
    fit = fit_pose(scaled, "ibug68", _CAMERA)
    return np.asarray(np.swapaxes(rotation_to_line_of_sight(fit.translation_mm), 1, 2) @ fit.rotation)


class _Problem(NamedTuple):
    """Input of the optimisation.

    Attributes:
        model: (N, K, 3) points of the canonical head about their mean, millimetres.
        rays: (N, K, 2) the points at a focal length of 1.
        known: (N, K) 1 for the points that count, else 0.
    """

    model: FloatArray
    rays: FloatArray
    known: FloatArray


def _checked(points_px: FloatArray, scheme: str) -> tuple[FloatArray, FloatArray]:
    """Return the scheme's model (K, 3), and which points are known and used (N, K), 0 or 1."""
    if scheme not in MODELS:
        raise InputError(f"expected points of a scheme among {', '.join(MODELS)}, got {scheme!r}")
    model = MODELS[scheme]()
    if points_px.ndim != 3 or points_px.shape[1:] != (len(model), 2):
        raise InputError(f"expected points of the shape (N, {len(model)}, 2), got {points_px.shape}")
    known = np.array(np.isfinite(points_px).all(axis=-1), np.float64)
    if scheme == "ibug68":
        known[:, list(IBUG68_REGIONS["jaw"])] = 0
    fewest = int(known.sum(axis=1).min(initial=MIN_POINTS))
    if fewest < MIN_POINTS:
        raise InputError(f"expected at least {MIN_POINTS} known points in each face, got {fewest}")
    return model, known


def _start(problem: _Problem) -> tuple[FloatArray, FloatArray]:
    """Return rotations (N, 3, 3) and positions (N, 3) of the model's mean, from a parallel projection."""
    design = np.concatenate([problem.model, np.ones((*problem.model.shape[:2], 1))], axis=-1)
    weights, affine = problem.known, np.zeros((len(design), 4, 2))
    for _ in range(_START_ROUNDS):
        weighted = np.swapaxes(design * weights[..., None], 1, 2)
        affine = np.linalg.solve(weighted @ design + 1e-9 * np.eye(4), weighted @ problem.rays)
        distance = np.linalg.norm(design @ affine - problem.rays, axis=-1)
        smallest = 1e-3 * _median(distance, problem.known)[:, None] + 1e-12
        weights = problem.known / np.maximum(distance, smallest)
    u, scale, vt = np.linalg.svd(np.swapaxes(affine[:, :3], 1, 2), full_matrices=False)
    rows = u @ vt
    rotation = np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], axis=1)
    depth = 1 / np.maximum(scale.mean(axis=1, keepdims=True), 1e-12)
    return rotation, np.concatenate([affine[:, 3] * depth, depth], axis=1)


def _step(
    problem: _Problem, rotation: FloatArray, position: FloatArray, floor: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Make one Gauss-Newton step over rotation and position."""
    points, projected = _project(problem.model, rotation, position)
    error = projected - problem.rays
    distance = np.linalg.norm(error, axis=-1)
    scale = _SPREAD * np.maximum(_median(distance, problem.known), floor)[:, None]
    weights = problem.known / (1 + (distance / scale) ** 2) ** 2
    jacobian = _jacobian(points - position[:, None], projected, points[..., 2])
    weighted = jacobian * np.tile(weights, 2)[:, None]
    normal = weighted @ np.swapaxes(jacobian, 1, 2)
    damping = 1e-9 * np.einsum("nii->ni", normal)[..., None] * np.eye(6) + 1e-18 * np.eye(6)
    gradient = weighted @ np.concatenate([error[..., 0], error[..., 1]], axis=1)[..., None]
    step = -np.linalg.solve(normal + damping, gradient)[..., 0]
    return _rotated(rotation, step[:, :3]), _moved(position, step[:, 3:])


def _project(model: FloatArray, rotation: FloatArray, position: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return points (N, K, 3) in the camera frame and their projections (N, K, 2) at a focal length of 1."""
    points = model @ np.swapaxes(rotation, 1, 2) + position[:, None]
    return points, points[..., :2] / points[..., 2:]


def _jacobian(offsets: FloatArray, projected: FloatArray, depth: FloatArray) -> FloatArray:
    """Return derivatives (N, 6, 2K) of all x, then all y, by rotations about x, y, z and by translations."""
    a, b, c = np.moveaxis(offsets, -1, 0)
    u, v = np.moveaxis(projected, -1, 0)
    one, zero = np.ones_like(u), np.zeros_like(u)
    of_u = np.stack([-u * b, c + u * a, -b, one, zero, -u], axis=1)
    of_v = np.stack([-c - v * b, v * a, a, zero, one, -v], axis=1)
    return np.concatenate([of_u, of_v], axis=2) / np.tile(depth, 2)[:, None]


def _rotated(rotation: FloatArray, rotation_vector: FloatArray) -> FloatArray:
    """Compose rotations with rotation vectors (N, 3), radians (Rodrigues), of limited length."""
    length = np.linalg.norm(rotation_vector, axis=-1)[:, None, None]
    angle = np.minimum(length, _MAX_STEP_RAD)
    x, y, z = np.moveaxis(rotation_vector / np.maximum(length[..., 0], 1e-300), -1, 0)
    zero = np.zeros_like(x)
    k = np.stack([np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1), np.stack([-y, x, zero], -1)], -2)
    return np.asarray((np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k) @ rotation)


def _moved(position: FloatArray, step: FloatArray) -> FloatArray:
    """Move positions (N, 3), their distance by at most a factor of 1.5."""
    moved = position + step
    moved[:, 2] = np.clip(moved[:, 2], position[:, 2] / 1.5, position[:, 2] * 1.5)
    return moved


def _median(values: FloatArray, known: FloatArray) -> FloatArray:
    """Return medians (N,) of the known values (N, K)."""
    return np.asarray(np.nanmedian(np.where(known > 0, values, np.nan), axis=1))
