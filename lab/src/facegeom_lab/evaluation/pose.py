"""Head pose on data sets with known rotations, or with 68 points under which a head is laid.

Any network is measured by a :data:`Predict`; :class:`FacePose` is that of the face network in use.
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
from facegeom.geometry.rotation import towards
from facegeom_lab.datasets import registry
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.evaluation.pose_errors import (
    FITTED,
    LIMIT_DEG,
    RULES,
    Poses,
    Rules,
    table,
    within_limit,
)
from facegeom_lab.fitting.pose_fit import rotation_under_points
from facegeom_lab.measures.metrics import centre_inside
from facegeom_lab.measures.tables import Report

LOOSE_IOU = 0.3
"""Least overlap of a found face with the labelled one, unless its centre lies inside."""

Place = Literal["detected", "labelled"]
Truth = Literal["given", "points"]
Predict = Callable[[FaceRecord], np.ndarray | None]
"""A face's rotation (3, 3) in the frame of the record's own, or None when the face is not found."""


@dataclass(frozen=True)
class FacePose:
    """facegeom's rotation as a :data:`Predict`.

    Attributes:
        analyzer: with the pictures' angle of view.
        at: ``detected``, its own detection, or ``labelled``, at the record's box.
        parallel: take the turn of the line of sight from the answer.
    """

    analyzer: FaceAnalyzer
    at: Place = "detected"
    parallel: bool = False

    def __call__(self, record: FaceRecord) -> np.ndarray | None:
        """See :data:`Predict`; InputError for a record with neither 68 points nor a box."""
        box, picture = labelled_box(record), record.read()
        if self.at == "labelled":
            return self._rotation(self.analyzer.at(picture, box[None]), 0)
        faces = self.analyzer(picture)
        index = matching(faces, box)
        return None if index is None else self._rotation(faces, index)

    def _rotation(self, faces: Faces, index: int) -> np.ndarray:
        rotation = faces.rotation[index].astype(np.float64)
        return (
            towards(faces.translation_mm[index].astype(np.float64)).T @ rotation
            if self.parallel
            else rotation
        )


def labelled_box(record: FaceRecord) -> np.ndarray:
    """(4,) the face's box by the record's 68 points, else as the set gives it.

    Raises:
        InputError: it has neither.
    """
    if record.scheme == "ibug68" and record.points is not None:
        return face_box(record.points)
    if record.box_xyxy is not None:
        return record.box_xyxy
    raise InputError(f"{record.name}: expected a record with 68 points or a box, got neither")


def matching(faces: Faces, box_xyxy: np.ndarray) -> int | None:
    """The found face that overlaps the labelled box (4,) most, by an IoU of 0.3 or with its centre inside."""
    overlap = iou(faces.box_xyxy, box_xyxy[None])[:, 0]
    allowed = (overlap >= LOOSE_IOU) | centre_inside(faces.box_xyxy, box_xyxy[None])[:, 0]
    return int(np.where(allowed, overlap, -1).argmax()) if allowed.any() else None


def with_fitted_rotation(records: Sequence[FaceRecord]) -> list[FaceRecord]:
    """The records that have 68 points, with the rotation of the head laid under them in place of any other.

    It is that of a head 1 m away, free of the line of sight's turn.

    Raises:
        InputError: no record has 68 points.
    """
    chosen = [record for record in records if record.scheme == "ibug68" and record.points is not None]
    if not chosen:
        raise InputError("expected records with 68 points to lay a head under, got none")
    rotations = rotation_under_points(np.array([record.points for record in chosen]))
    return [replace(record, rotation=turn) for record, turn in zip(chosen, rotations, strict=True)]


def predicted_poses(records: Sequence[FaceRecord], predict: Predict, rules: Rules) -> Poses:
    """Ask for the faces whose true angles are within ±99°.

    Raises:
        InputError: a record without rotation, or no face within the limit.
    """
    if missing := [record.name for record in records if record.rotation is None]:
        raise InputError(
            f"expected a rotation for every face, but {missing[0]} has none; lay heads under points"
        )
    truth = np.array([record.rotation for record in records]).reshape(-1, 3, 3)
    chosen = np.flatnonzero(within_limit(truth, rules))
    if not len(chosen):
        raise InputError(f"expected faces with angles within ±{LIMIT_DEG:g}°, got none of {len(records)}")
    answers = [predict(records[index]) for index in tqdm(chosen.tolist(), desc="faces")]
    found = np.array([answer is not None for answer in answers])
    predicted = np.stack([np.eye(3) if answer is None else answer for answer in answers])
    return Poses(truth[chosen], predicted, found)


def run(
    name: str,
    root: Path,
    split: str | None = None,
    at: Place = "detected",
    truth: Truth = "given",
    count: int | None = None,
) -> Report:
    """Measure facegeom's rotations on a data set.

    Args:
        name: key of ``registry.DATASETS``.
        root: the folder into which it was unpacked.
        split: one of its splits, or None for all.
        at: where to look: own detection, or the record's box.
        truth: the set's own rotations, or heads laid under its 68 points.
        count: so many faces, spread over the set; None for all.

    Raises:
        InputError: an unknown name or split, a missing file, or faces without rotation.
    """
    records = spread(registry.load(name, root, split), count)
    rules = RULES.get(name, Rules())
    if truth == "points":
        records, rules = with_fitted_rotation(records), FITTED
    predict = FacePose(FaceAnalyzer(fov_deg=rules.fov_deg), at, rules.parallel)
    poses = predicted_poses(records, predict, rules)
    title = registry.info(name).title + (f", {split}" if split else "")
    where = "own detection" if at == "detected" else "at the labelled box"
    about = {"data set": title, "faces": str(len(records)), "within the limit": str(len(poses.truth))}
    return Report("Head pose", about, [table(title, f"facegeom's face network, {where}", poses, rules)])


def spread(records: Sequence[FaceRecord], count: int | None) -> list[FaceRecord]:
    """So many of the records, at even distances, or all."""
    if count is None or count >= len(records):
        return list(records)
    return [records[index] for index in np.linspace(0, len(records) - 1, count).round().astype(int)]
