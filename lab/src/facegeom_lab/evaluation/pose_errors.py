"""Errors of head poses, by the published evaluations' rules: pure functions of rotations.

Mean absolute differences of yaw, pitch and roll in degrees, as HopeNet (Ruiz et al., CVPR workshops 2018) and
6DRepNet (Hempel et al., ICIP 2022) report them: on AFLW2000-3D in the angles of its ``Pose_Para``, faces with
an angle beyond ±99° left out; on BIWI in the angles derived from its matrices.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from facegeom.geometry.rotation import angles_from_rotation, geodesic_deg
from facegeom_lab.datasets.angle_conventions import (
    biwi_angles_deg,
    other_angles,
    pose_para_from_rotation,
)
from facegeom_lab.datasets.published import biwi
from facegeom_lab.measures.metrics import angle_errors_deg
from facegeom_lab.measures.tables import Cell, Table, percent

LIMIT_DEG = 99.0
BANDS = ((0, 30), (30, 60), (60, LIMIT_DEG))
"""Of the true |yaw|, degrees; the last one with its upper end."""

COLUMNS = ("yaw range", "faces", "found, %", "yaw °", "pitch °", "roll °", "MAE °", "geodesic °")


def _pitch_yaw_roll(rotation: np.ndarray) -> np.ndarray:
    return angles_from_rotation(rotation)[..., [1, 0, 2]]


def _pose_para_deg(rotation: np.ndarray) -> np.ndarray:
    return np.rad2deg(pose_para_from_rotation(rotation))


@dataclass(frozen=True)
class Rules:
    """How a data set is measured.

    Attributes:
        text: in words.
        angles: pitch, yaw, roll (..., 3) in degrees of rotations (..., 3, 3).
        parallel: the true rotations are those of a view in parallel projection, so that the turn of the line
            of sight has to be taken from predicted ones.
        fov_deg: angle of view of the pictures, where it is known.
    """

    text: str = "Angles by facegeom's convention."
    angles: Callable[[np.ndarray], np.ndarray] = _pitch_yaw_roll
    parallel: bool = False
    fov_deg: float | None = None


_MORPHABLE = Rules(
    "Angles as in Pose_Para; rotations free of the line of sight.", _pose_para_deg, parallel=True
)

RULES = {
    "aflw2000": _MORPHABLE,
    "300w-lp": _MORPHABLE,
    "biwi": Rules("Angles derived from BIWI's matrices.", biwi_angles_deg, fov_deg=biwi.FOV_DEG),
}
"""By data set; the others follow ``Rules()``."""

FITTED = Rules(
    "True rotation: the canonical head laid under the labelled 68 points without the jaw, 1 m away.",
    parallel=True,
)


@dataclass(frozen=True, eq=False)
class Poses:
    """True and predicted rotations of N faces.

    Attributes:
        truth: (N, 3, 3).
        predicted: (N, 3, 3), the identity where a face was not found.
        found: (N,) bool.
    """

    truth: np.ndarray
    predicted: np.ndarray
    found: np.ndarray


def within_limit(truth: np.ndarray, rules: Rules) -> np.ndarray:
    """(N,) bool: none of the three angles of the true rotations (N, 3, 3) is beyond ±99°."""
    return (np.abs(rules.angles(truth)) <= LIMIT_DEG).all(axis=1)


def errors_deg(poses: Poses, rules: Rules) -> np.ndarray:
    """(N, 3) absolute errors of pitch, yaw, roll in degrees, each the short way round.

    Two triples of angles describe a rotation; of the predicted one that which is nearer to the truth counts,
    so that a head just beyond the profile does not differ by 180° in pitch and roll.
    """
    truth, angles = rules.angles(poses.truth), rules.angles(poses.predicted)
    others = np.rad2deg(other_angles(np.deg2rad(angles)))
    first, second = angle_errors_deg(angles, truth), angle_errors_deg(others, truth)
    nearer = first.sum(axis=1) <= second.sum(axis=1)
    return np.where(nearer[:, None], first, second)


def summary(poses: Poses, rules: Rules) -> list[tuple[Cell, ...]]:
    """Rows of :data:`COLUMNS` over the found faces.

    All, the bands of the true |yaw|, the bands' mean, and all once more after :func:`aligned`.
    """
    figures, yaw = _figures(poses, rules), np.abs(rules.angles(poses.truth)[:, 1])
    rows = []
    for low, high in BANDS:
        chosen = (yaw >= low) & ((yaw < high) | (high == LIMIT_DEG))
        rows.append(_row(f"{low:g}° to {high:g}°", chosen, poses.found, figures))
    everything = np.ones(len(yaw), bool)
    return [
        _row("all", everything, poses.found, figures),
        *rows,
        _balanced(rows),
        _row("all, frames aligned", everything, poses.found, _figures(aligned(poses), rules)),
    ]


def aligned(poses: Poses) -> Poses:
    """The predictions in the head frame of the set: turned by what is left between the two on average.

    What a frontal head is differs between face models, mostly by a few degrees of pitch; a network that was
    trained on the set's own kind of labels has learnt it. The mean is the rotation nearest to the sum of the
    matrices (Moakher, "Means and averaging in the group of rotations", SIMAX 2002).
    """
    if not poses.found.any():
        return poses
    between = np.swapaxes(poses.predicted, 1, 2) @ poses.truth
    u, _, vt = np.linalg.svd(between[poses.found].sum(axis=0))
    mean = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    return replace(poses, predicted=poses.predicted @ mean)


def _figures(poses: Poses, rules: Rules) -> np.ndarray:
    """(N, 5) errors of yaw, pitch, roll, their mean, and the turn between truth and prediction, degrees."""
    errors, turn = errors_deg(poses, rules), geodesic_deg(poses.predicted, poses.truth)
    return np.column_stack([errors[:, [1, 0, 2]], errors.mean(axis=1), turn])


def _row(name: str, chosen: np.ndarray, found: np.ndarray, figures: np.ndarray) -> tuple[Cell, ...]:
    used, count = chosen & found, int(chosen.sum())
    means: list[Cell] = figures[used].mean(axis=0).tolist() if used.any() else [None] * figures.shape[1]
    return (name, count, percent(int(used.sum()), count), *means)


def _balanced(rows: Sequence[tuple[Cell, ...]]) -> tuple[Cell, ...]:
    """The mean of the bands' cells, of those that say something."""
    cells = np.array([row[2:] for row in rows], np.float64)  # None becomes NaN
    known = np.isfinite(cells)
    totals, counts = np.where(known, cells, 0).sum(axis=0), known.sum(axis=0)
    means = [float(total / count) if count else None for total, count in zip(totals, counts, strict=True)]
    return ("balanced", sum(int(row[1] or 0) for row in rows), *means)


def table(title: str, system: str, poses: Poses, rules: Rules) -> Table:
    """The summary, its rules in words.

    Args:
        title: the data set.
        system: what was measured.
        poses: the faces within the limit.
        rules: of the data set.
    """
    text = (
        f"{system}. {rules.text} Faces with an angle beyond ±{LIMIT_DEG:g}° are left out. Mean absolute "
        "errors over the found faces; MAE: mean of the three; geodesic: angle of the turn between the true "
        "and the predicted rotation; balanced: mean of the ranges of yaw; frames aligned: after one constant "
        "turn of all predicted heads, since face models differ in what they call frontal."
    )
    return Table(f"Head pose: {title}", text, COLUMNS, summary(poses, rules))
