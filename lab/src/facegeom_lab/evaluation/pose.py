"""Head pose on data sets with known rotations, or with 68 points that the canonical head is fitted to.

Errors follow the published evaluations: mean absolute differences of yaw, pitch and roll in degrees, as
HopeNet (Ruiz et al., CVPR workshops 2018) and 6DRepNet (Hempel et al., ICIP 2022) report them. They take the
data set's rotation for the head as seen: it is compared with what is predicted for a crop. AFLW2000-3D: in
the angles of its ``Pose_Para``, without faces that have an angle beyond ±99°. BIWI: in the angles that are
derived from its matrices.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from facegeom import FaceAnalyzer, Faces
from facegeom.errors import InputError
from facegeom.geometry.boxes import face_box, iou
from facegeom.geometry.rotation import angles_from_rotation, geodesic_deg
from facegeom.video.matching import angle_between_deg
from facegeom_lab.datasets import registry
from facegeom_lab.datasets.angle_conventions import (
    biwi_angles_deg,
    other_angles,
    pose_para_from_rotation,
)
from facegeom_lab.datasets.published import biwi
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.fitting.pose_fit import rotation_under_points
from facegeom_lab.measures.metrics import lies_on
from facegeom_lab.measures.tables import Cell, Report, Table, percent

LIMIT_DEG = 99.0
BANDS = ((0, 30), (30, 60), (60, LIMIT_DEG))
"""Ranges of the true |yaw| in degrees; the last one includes its upper end."""

COLUMNS = ("yaw range", "faces", "found, %", "yaw °", "pitch °", "roll °", "MAE °", "geodesic °")


def _pitch_yaw_roll(rotation: np.ndarray) -> np.ndarray:
    return angles_from_rotation(rotation)[..., [1, 0, 2]]


def _pose_para_deg(rotation: np.ndarray) -> np.ndarray:
    return np.rad2deg(pose_para_from_rotation(rotation))


@dataclass(frozen=True)
class Rules:
    """Evaluation protocol of a data set.

    Attributes:
        text: description for the report.
        angles: pitch, yaw, roll (..., 3) in degrees of rotations (..., 3, 3).
        fov_deg: angle of view of the photos, where it is known.
    """

    text: str = "Angles by facegeom's convention."
    angles: Callable[[np.ndarray], np.ndarray] = _pitch_yaw_roll
    fov_deg: float | None = None


_MORPHABLE = Rules("Angles as in Pose_Para.", _pose_para_deg)

RULES = {
    "aflw2000": _MORPHABLE,
    "300w-lp": _MORPHABLE,
    "biwi": Rules("Angles derived from BIWI's matrices.", biwi_angles_deg, fov_deg=biwi.FOV_DEG),
}
"""Rules by data set; the others follow ``Rules()``."""

FITTED = Rules(
    "True rotation: the canonical head fitted to the labelled 68 points without the jaw, 1 m away, as seen."
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
    """Return (N,) bool: all angles of the true rotations (N, 3, 3) are within ±99°."""
    return (np.abs(rules.angles(truth)) <= LIMIT_DEG).all(axis=1)


def errors_deg(predicted: np.ndarray, truth: np.ndarray, rules: Rules | None = None) -> np.ndarray:
    """Compute absolute errors (N, 3) of pitch, yaw, roll in degrees, each the short way round.

    Args:
        predicted: rotations (N, 3, 3).
        truth: (N, 3, 3).
        rules: whose angles are compared; by default facegeom's.

    Two triples of angles describe the same rotation; the predicted triple nearer to the truth counts, so that
    a head just beyond the profile has no error of 180° in pitch and roll.
    """
    known, angles = (rules or Rules()).angles(truth), (rules or Rules()).angles(predicted)
    others = np.rad2deg(other_angles(np.deg2rad(angles)))
    first, second = angle_between_deg(angles, known), angle_between_deg(others, known)
    nearer = first.sum(axis=1) <= second.sum(axis=1)
    return np.where(nearer[:, None], first, second)


def summary(poses: Poses, rules: Rules) -> list[tuple[Cell, ...]]:
    """Return the rows of :data:`COLUMNS` over the found faces.

    All, the ranges of the true |yaw|, the mean of the ranges, and all again after :func:`align`.
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
        _row("all, frames aligned", everything, poses.found, _figures(align(poses), rules)),
    ]


def align(poses: Poses) -> Poses:
    """Align the predictions to the head frame of the data set, by the mean rotation between the two.

    Face models disagree about the frontal head, mostly by a few degrees of pitch. The mean is the rotation
    nearest to the sum of the matrices (Moakher, "Means and averaging in the group of rotations", SIMAX 2002).
    """
    if not poses.found.any():
        return poses
    mean = mean_between(poses.predicted[poses.found], poses.truth[poses.found])
    return replace(poses, predicted=poses.predicted @ mean)


def mean_between(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the mean rotation (3, 3) from the head frame of predictions (N, 3, 3) to that of the truth."""
    u, _, vt = np.linalg.svd((np.swapaxes(predicted, 1, 2) @ truth).sum(axis=0))
    return np.asarray(u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt)


def _figures(poses: Poses, rules: Rules) -> np.ndarray:
    """Compute errors (N, 5) in degrees: yaw, pitch, roll, their mean, and the geodesic angle."""
    errors = errors_deg(poses.predicted, poses.truth, rules)
    angle = geodesic_deg(poses.predicted, poses.truth)
    return np.column_stack([errors[:, [1, 0, 2]], errors.mean(axis=1), angle])


def _row(name: str, chosen: np.ndarray, found: np.ndarray, figures: np.ndarray) -> tuple[Cell, ...]:
    used, count = chosen & found, int(chosen.sum())
    means: list[Cell] = figures[used].mean(axis=0).tolist() if used.any() else [None] * figures.shape[1]
    return (name, count, percent(int(used.sum()), count), *means)


def _balanced(rows: Sequence[tuple[Cell, ...]]) -> tuple[Cell, ...]:
    """Return the mean over the ranges, without empty cells."""
    cells = np.array([row[2:] for row in rows], np.float64)  # None becomes NaN
    known = np.isfinite(cells)
    totals, counts = np.where(known, cells, 0).sum(axis=0), known.sum(axis=0)
    means = [float(total / count) if count else None for total, count in zip(totals, counts, strict=True)]
    return ("balanced", sum(int(row[1] or 0) for row in rows), *means)


def table(title: str, system: str, poses: Poses, rules: Rules) -> Table:
    """Return the summary with its protocol as a table.

    Args:
        title: name of the data set.
        system: name of the measured system.
        poses: faces within the limit.
        rules: protocol of the data set.
    """
    text = (
        f"{system}. {rules.text} Faces with an angle beyond ±{LIMIT_DEG:g}° are left out. Mean absolute "
        "errors over the found faces; MAE: mean of the three; geodesic: angle between the true "
        "and the predicted rotation; balanced: mean of the ranges of yaw; frames aligned: after one constant "
        "rotation of all predicted heads, since face models disagree about the frontal head."
    )
    return Table(f"Head pose: {title}", text, COLUMNS, summary(poses, rules))


Place = Literal["detected", "labelled"]
Truth = Literal["given", "points"]
Predict = Callable[[FaceRecord], np.ndarray | None]
"""Predict a face's rotation (3, 3) as seen, or None when no face is found."""


@dataclass(frozen=True)
class FacePose:
    """The rotation of the face network in use, as a :data:`Predict`.

    Attributes:
        analyzer: analyzer with the photos' angle of view.
        at: ``detected``, its own detection, or ``labelled``, the record's box.
    """

    analyzer: FaceAnalyzer
    at: Place = "detected"

    def __call__(self, record: FaceRecord) -> np.ndarray | None:
        """Predict the rotation; InputError for a record with neither 68 points nor a box."""
        box, image = labelled_box(record), record.read()
        if self.at == "labelled":
            return self.analyzer.at(image, box[None]).rotation[0].astype(np.float64)
        faces = self.analyzer(image)
        index = match_face(faces, box)
        return None if index is None else faces.rotation[index].astype(np.float64)


def labelled_box(record: FaceRecord) -> np.ndarray:
    """Return the face's box (4,) from the record's 68 points, else the box of the data set.

    Raises:
        InputError: it has neither.
    """
    if record.scheme == "ibug68" and record.points is not None:
        return face_box(record.points)
    if record.box_xyxy is not None:
        return record.box_xyxy
    raise InputError(f"{record.name}: expected a record with 68 points or a box, got neither")


def match_face(faces: Faces, box_xyxy: np.ndarray) -> int | None:
    """Return the found face with the highest IoU among those that find the labelled one loosely."""
    overlap = iou(faces.box_xyxy, box_xyxy[None])[:, 0]
    allowed = lies_on(faces.box_xyxy, box_xyxy[None])[:, 0]
    return int(np.where(allowed, overlap, -1).argmax()) if allowed.any() else None


def with_fitted_rotation(records: Sequence[FaceRecord]) -> list[FaceRecord]:
    """Keep records with 68 points and set their rotation to that of the head fitted to these.

    The head is 1 m away; the rotation is as seen.

    Raises:
        InputError: no record has 68 points.
    """
    chosen = [record for record in records if record.scheme == "ibug68" and record.points is not None]
    if not chosen:
        raise InputError("expected records with 68 points to fit a head to, got none")
    rotations = rotation_under_points(np.array([record.points for record in chosen]))
    return [replace(record, rotation=rotation) for record, rotation in zip(chosen, rotations, strict=True)]


def predicted_poses(records: Sequence[FaceRecord], predict: Predict, rules: Rules) -> Poses:
    """Predict the faces whose true angles are within ±99°.

    Raises:
        InputError: a record without rotation, or no face within the limit.
    """
    if missing := [record.name for record in records if record.rotation is None]:
        raise InputError(
            f"expected a rotation for every face, but {missing[0]} has none; fit heads to points"
        )
    truth = np.array([record.rotation for record in records]).reshape(-1, 3, 3)
    chosen = np.flatnonzero(within_limit(truth, rules))
    if not len(chosen):
        raise InputError(f"expected faces with angles within ±{LIMIT_DEG:g}°, got none of {len(records)}")
    predictions = [predict(records[index]) for index in tqdm(chosen.tolist(), desc="faces")]
    found = np.array([each is not None for each in predictions])
    predicted = np.stack([np.eye(3) if each is None else each for each in predictions])
    return Poses(truth[chosen], predicted, found)


def run(
    name: str,
    root: Path,
    split: str | None = None,
    at: Place = "detected",
    truth: Truth = "given",
    count: int | None = None,
) -> Report:
    """Evaluate facegeom's rotations on a data set.

    Args:
        name: key of ``registry.DATASETS``.
        root: the folder into which it was unpacked.
        split: one of its splits, or None for all.
        at: own detection, or the record's box.
        truth: rotations of the data set, or of heads fitted to its 68 points.
        count: number of faces, evenly spaced over the set; None for all.

    Raises:
        InputError: an unknown name or split, a missing file, or faces without rotation.
    """
    records = evenly_spaced(registry.load(name, root, split), count)
    rules = RULES.get(name, Rules())
    if truth == "points":
        records, rules = with_fitted_rotation(records), FITTED
    predict = FacePose(FaceAnalyzer(fov_deg=rules.fov_deg), at)
    poses = predicted_poses(records, predict, rules)
    title = registry.info(name).title + (f", {split}" if split else "")
    where = "own detection" if at == "detected" else "at the labelled box"
    about = {"data set": title, "faces": str(len(records)), "within the limit": str(len(poses.truth))}
    return Report("Head pose", about, [table(title, f"facegeom's face network, {where}", poses, rules)])


def evenly_spaced(records: Sequence[FaceRecord], count: int | None) -> list[FaceRecord]:
    """Return ``count`` evenly spaced records, or all."""
    if count is None or count >= len(records):
        return list(records)
    return [records[index] for index in np.linspace(0, len(records) - 1, count).round().astype(int)]
