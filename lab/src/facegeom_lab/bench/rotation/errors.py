"""Errors of head rotations, and the accuracy section on rendered heads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from facegeom.geometry.rotation import angles_from_rotation, geodesic_deg
from facegeom_lab.bench.context import MESH_OPTIONS, MESH_TITLE, Bench, Boxes
from facegeom_lab.bench.matching import match_loosely
from facegeom_lab.bench.rotation.rendered import HeadSet, render_heads
from facegeom_lab.bench.rotation.systems import mesh_rotations
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.evaluation.pose import errors_deg, mean_between
from facegeom_lab.measures.metrics import IntArray
from facegeom_lab.measures.tables import Cell, Table, percent

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]

CLOSE_DEG = 5.0
MIN_STEP_DEG, MAX_STEP_DEG = 0.0, 3.0
MODERATE = HeadSet(seed=7, count=300, yaw_deg=(-45, 45), pitch_deg=(-30, 30), roll_deg=(-30, 30))
WIDE = HeadSet(seed=8, count=300, yaw_deg=(-90, 90), pitch_deg=(-30, 30), roll_deg=(-30, 30))
BANDS = ((0, 30), (30, 60), (60, 90))

_PROTOCOL = (
    "Rendered heads (ICT-FaceKit Light, dressed, lit, developed; identities, lights and backgrounds not "
    "used in training) in images of 640 x 480, one head of 60 to 250 px anywhere, its angle of view 30° "
    "to 60°, unknown to the systems; pitch and roll uniform within ±30°. Own detection; found: IoU of at "
    "least 0.3 with the box of the true 68 points, or the centre inside. Mean absolute errors over the "
    "found heads, degrees, as seen: relative to the line of sight to the head, by the nearer of the two "
    "triples of angles that a rotation has; geodesic: angle between the true and the predicted rotation. "
    "MediaPipe's rotation: its mesh aligned to facegeom's canonical head by "
    "Procrustes. Head models disagree about which head is frontal; frames aligned: the mean rotation from a "
    "system's frame to the truth's over the found heads of the first set is taken off."
)
ALIGNED = ", frames aligned"
COLUMNS = (
    *("heads", "system", "yaw °", "pitch °", "roll °", "geodesic °"),
    *("yaw < 5°, %", "pitch < 5°, %", "roll < 5°, %", "all < 5°, %", "found, %", "pictures"),
)


@dataclass(frozen=True, eq=False)
class MatchedRotations:
    """A system's rotations (N, 3, 3) of N labelled heads, and which of them it found (N,)."""

    rotation: FloatArray
    found: BoolArray


def rendered_heads(bench: Bench) -> list[Table]:
    """Measure the moderate set, then bands of the wide set's |yaw|, one table."""
    rows: list[tuple[Cell, ...]] = []
    moderate = render_heads(bench.data, MODERATE, bench.cache)
    everything = np.ones(MODERATE.count, bool)
    frames: dict[str, FloatArray] = {}
    for system, matched in _systems(bench, moderate.photos).items():
        rows.append(("yaw within ±45°", system, *summary(matched, moderate.rotation, everything)))
        if matched.found.any():
            frames[system] = mean_between(matched.rotation[matched.found], moderate.rotation[matched.found])
            turned = replace(matched, rotation=matched.rotation @ frames[system])
            cells = summary(turned, moderate.rotation, everything)
            rows.append(("yaw within ±45°", f"{system}{ALIGNED}", *cells))
    wide = render_heads(bench.data, WIDE, bench.cache)
    yaw = np.abs(angles_from_rotation(wide.rotation)[:, 0])
    for system, matched in _systems(bench, wide.photos).items():
        turned = replace(matched, rotation=matched.rotation @ frames.get(system, np.eye(3)))
        for name, each in ((system, matched), (f"{system}{ALIGNED}", turned)):
            for low, high in BANDS:
                chosen = (yaw >= low) & (yaw < high)
                rows.append((f"yaw ±({low}° to {high}°)", name, *summary(each, wide.rotation, chosen)))
    return [Table("Rotation: rendered heads", _PROTOCOL, COLUMNS, rows)]


def _systems(bench: Bench, photos: Sequence[LabelledPhoto]) -> dict[str, MatchedRotations]:
    ours = bench.predictions(photos)
    systems = {"facegeom": match_rotations(ours, [faces.rotation for faces in ours], photos)}
    if "mediapipe" in bench.peers:
        theirs = bench.peer_predictions("mediapipe", "mesh", MESH_OPTIONS, photos)
        rotations = [mesh_rotations(faces.mesh_px) for faces in theirs]
        systems[MESH_TITLE] = match_rotations(theirs, rotations, photos)
    return systems


def match_rotations(
    predictions: Sequence[Boxes], rotations: Sequence[FloatArray], photos: Sequence[LabelledPhoto]
) -> MatchedRotations:
    """Assign predicted rotations to the labelled faces, photo by photo.

    Args:
        predictions: a system's faces in each photo.
        rotations: (K, 3, 3) of the K faces in each photo.
        photos: with the boxes of the labelled faces.
    """
    every = [
        _assign(match_loosely(predicted, photo), rotation, len(photo.box_xyxy))
        for predicted, rotation, photo in zip(predictions, rotations, photos, strict=True)
    ]
    return MatchedRotations(*(np.concatenate(part) for part in zip(*every, strict=True)))


def _assign(matches: IntArray, rotations: FloatArray, count: int) -> tuple[FloatArray, BoolArray]:
    """Return rotations (N, 3, 3) of N labelled faces, and which were found, from matches (K,)."""
    assigned, found = np.tile(np.eye(3), (count, 1, 1)), np.zeros(count, bool)
    hits = matches >= 0
    assigned[matches[hits]], found[matches[hits]] = rotations[hits], True
    return assigned, found


def summary(matched: MatchedRotations, truth: FloatArray, chosen: BoolArray) -> tuple[Cell, ...]:
    """Summarize the errors of a system.

    Args:
        matched: rotations of N labelled heads.
        truth: (N, 3, 3).
        chosen: (N,) the heads to count; errors are over those of them that were found.

    Returns:
        The cells of :data:`COLUMNS` after the first two.
    """
    used = matched.found & chosen
    counts = (percent(int(used.sum()), int(chosen.sum())), int(chosen.sum()))
    if not used.any():
        return (*[None] * 8, *counts)
    errors = _yaw_pitch_roll_errors(matched.rotation[used], truth[used])
    close = errors < CLOSE_DEG
    return (
        *errors.mean(axis=0).tolist(),
        float(geodesic_deg(matched.rotation[used], truth[used]).mean()),
        *(100 * close.mean(axis=0)).tolist(),
        float(100 * close.all(axis=1).mean()),
        *counts,
    )


def _yaw_pitch_roll_errors(predicted: FloatArray, truth: FloatArray) -> FloatArray:
    return np.asarray(errors_deg(predicted, truth)[:, [1, 0, 2]])


def step_summary(matched: MatchedRotations, truth: FloatArray, count: int) -> tuple[Cell, ...]:
    """Summarize the yaw steps between neighbouring images of turning heads.

    Args:
        matched: rotations of ``count`` heads, head by head.
        truth: (N, 3, 3).
        count: heads.

    Returns:
        Smallest and largest step in degrees, percentage of steps within 0° to 3°, mean errors of yaw, pitch
        and roll, percentage found, images.
    """
    yaw = angles_from_rotation(matched.rotation)[:, 0].reshape(count, -1)
    found = matched.found.reshape(count, -1)
    both = found[:, 1:] & found[:, :-1]
    step = np.diff(yaw, axis=1)[both]
    counts = (percent(int(found.sum()), found.size), found.size)
    if not len(step):
        return (*[None] * 6, *counts)
    even = (step >= MIN_STEP_DEG) & (step <= MAX_STEP_DEG)
    errors = _yaw_pitch_roll_errors(matched.rotation[matched.found], truth[matched.found]).mean(axis=0)
    return (float(step.min()), float(step.max()), float(100 * even.mean()), *errors.tolist(), *counts)
