"""The head's rotation and place from points of a face in a photo, whatever found them: robust and batched.

The canonical head is laid under the points: first in parallel projection by least absolute deviations, which
gives a rotation in closed form (POS of DeMenthon and Davis, "Model-based object pose in 25 lines of code",
IJCV 1995), then in perspective by Gauss-Newton with Geman and McClure's weights, whose scale follows the
residuals' median. A fifth of the points may be anywhere.
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
from facegeom.geometry.schemes import IBUG68_REGIONS, facepoints14_from_68, five_from_68

FloatArray = npt.NDArray[np.floating]

MIN_POINTS = 4
"""Known points that a face needs."""

_START_ROUNDS, _ROUNDS = 10, 12
_LARGEST_TURN = 0.4  # radians in one step
_SPREAD = 3.0  # medians of the residuals at which a point counts for a quarter
_FLOOR_MM = 0.01  # least scale of the residuals, on the face


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

    The 17 points of the jaw of ``ibug68`` have no say: people mark the visible outline, which is not one
    place on the head.

    Args:
        points_px: (N, K, 2) pixels of the camera's photo; NaN where unknown.
        scheme: of the points, a key of :data:`MODELS`.
        camera: of the photo. For points seen in parallel projection take a very narrow angle of view.

    Raises:
        InputError: no model for the scheme, another shape, or a face with fewer than four known points.
    """
    model, known = _checked(points_px, scheme)
    rays = np.where(known[..., None] > 0, (points_px - camera.centre_px) / camera.focal_px, 0)
    middle = (known[..., None] * model).sum(axis=1) / known.sum(axis=1)[:, None]
    task = _Task(model - middle[:, None], rays, known)
    rotation, place = _start(task)
    floor = _FLOOR_MM / place[:, 2]
    for _ in range(_ROUNDS):
        rotation, place = _improved(task, rotation, place, floor)
    residual = _median(np.linalg.norm(_seen(task.model, rotation, place)[1] - rays, axis=-1), known)
    return PoseFit(rotation, place - (rotation @ middle[..., None])[..., 0], residual * camera.focal_px)


ARM_MM, POINTS_MM = 1000.0, 125.0
"""The distance assumed of photos by unknown cameras, and the longer side of the 68 points on a head. To
assume a parallel projection would turn heads 1° to 2° too far."""

_POINTS_PX = 100.0
_CAMERA = Camera(1000, 1000, fov_deg=2 * degrees(atan(500 / (ARM_MM * _POINTS_PX / POINTS_MM))))


def rotation_under_points(points_px: FloatArray) -> FloatArray:
    """Rotations (N, 3, 3) of heads laid under 68 points (N, 68, 2), 1 m away, free of the line of sight.

    What a crop shows of a head, whatever photo it came from. NaN where a point is unknown.
    """
    middle = np.nanmean(points_px, axis=1, keepdims=True)
    size = (np.nanmax(points_px, axis=1) - np.nanmin(points_px, axis=1)).max(axis=1)[:, None, None]
    placed = (points_px - middle) * (_POINTS_PX / size) + _CAMERA.centre_px
    fit = fit_pose(placed, "ibug68", _CAMERA)
    return np.asarray(np.swapaxes(rotation_to_line_of_sight(fit.translation_mm), 1, 2) @ fit.rotation)


class _Task(NamedTuple):
    """What is laid where.

    Attributes:
        model: (N, K, 3) about its middle, millimetres.
        rays: (N, K, 2) the points at a focal length of 1.
        known: (N, K) 1 for the points that count, else 0.
    """

    model: FloatArray
    rays: FloatArray
    known: FloatArray


def _checked(points_px: FloatArray, scheme: str) -> tuple[FloatArray, FloatArray]:
    """The scheme's model (K, 3), and which points are known and have a say (N, K), 0 or 1."""
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


def _start(task: _Task) -> tuple[FloatArray, FloatArray]:
    """Rotations (N, 3, 3) and places (N, 3) of the model's middle, from a parallel projection."""
    design = np.concatenate([task.model, np.ones((*task.model.shape[:2], 1))], axis=-1)
    weights, affine = task.known, np.zeros((len(design), 4, 2))
    for _ in range(_START_ROUNDS):
        pull = np.swapaxes(design * weights[..., None], 1, 2)
        affine = np.linalg.solve(pull @ design + 1e-9 * np.eye(4), pull @ task.rays)
        miss = np.linalg.norm(design @ affine - task.rays, axis=-1)
        weights = task.known / np.maximum(miss, 1e-3 * _median(miss, task.known)[:, None] + 1e-12)
    u, scale, vt = np.linalg.svd(np.swapaxes(affine[:, :3], 1, 2), full_matrices=False)
    rows = u @ vt
    rotation = np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], axis=1)
    depth = 1 / np.maximum(scale.mean(axis=1, keepdims=True), 1e-12)
    return rotation, np.concatenate([affine[:, 3] * depth, depth], axis=1)


def _improved(
    task: _Task, rotation: FloatArray, place: FloatArray, floor: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """One step of Gauss-Newton over turn and place."""
    points, seen = _seen(task.model, rotation, place)
    error = seen - task.rays
    miss = np.linalg.norm(error, axis=-1)
    scale = _SPREAD * np.maximum(_median(miss, task.known), floor)[:, None]
    weights = task.known / (1 + (miss / scale) ** 2) ** 2
    slope = _slope(points - place[:, None], seen, points[..., 2])
    pull = slope * np.tile(weights, 2)[:, None]
    normal = pull @ np.swapaxes(slope, 1, 2)
    damping = 1e-9 * np.einsum("nii->ni", normal)[..., None] * np.eye(6) + 1e-18 * np.eye(6)
    downhill = pull @ np.concatenate([error[..., 0], error[..., 1]], axis=1)[..., None]
    step = -np.linalg.solve(normal + damping, downhill)[..., 0]
    return _turned(rotation, step[:, :3]), _moved(place, step[:, 3:])


def _seen(model: FloatArray, rotation: FloatArray, place: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Points (N, K, 3) in the camera frame and their projections (N, K, 2) at a focal length of 1."""
    points = model @ np.swapaxes(rotation, 1, 2) + place[:, None]
    return points, points[..., :2] / points[..., 2:]


def _slope(arms: FloatArray, seen: FloatArray, depth: FloatArray) -> FloatArray:
    """(N, 6, 2K) derivatives of all x, then all y, by a turn of the arms about x, y, z and by a move."""
    a, b, c = np.moveaxis(arms, -1, 0)
    u, v = np.moveaxis(seen, -1, 0)
    one, zero = np.ones_like(u), np.zeros_like(u)
    of_u = np.stack([-u * b, c + u * a, -b, one, zero, -u], axis=1)
    of_v = np.stack([-c - v * b, v * a, a, zero, one, -v], axis=1)
    return np.concatenate([of_u, of_v], axis=2) / np.tile(depth, 2)[:, None]


def _turned(rotation: FloatArray, turn: FloatArray) -> FloatArray:
    """Rotations turned by vectors (N, 3), radians about their own direction (Rodrigues), within bounds."""
    length = np.linalg.norm(turn, axis=-1)[:, None, None]
    angle = np.minimum(length, _LARGEST_TURN)
    x, y, z = np.moveaxis(turn / np.maximum(length[..., 0], 1e-300), -1, 0)
    zero = np.zeros_like(x)
    k = np.stack([np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1), np.stack([-y, x, zero], -1)], -2)
    return np.asarray((np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k) @ rotation)


def _moved(place: FloatArray, step: FloatArray) -> FloatArray:
    """Places (N, 3) moved, their distance by no more than a factor of 1.5."""
    moved = place + step
    moved[:, 2] = np.clip(moved[:, 2], place[:, 2] / 1.5, place[:, 2] * 1.5)
    return moved


def _median(values: FloatArray, known: FloatArray) -> FloatArray:
    """(N,) medians of the known ones among (N, K)."""
    return np.asarray(np.nanmedian(np.where(known > 0, values, np.nan), axis=1))
