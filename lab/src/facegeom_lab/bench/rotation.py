"""The head's rotation on rendered pictures, where it is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import average_head
from facegeom.geometry.rotation import angles_from_rotation, geodesic_deg, towards
from facegeom_lab.bench.context import Bench, Boxes
from facegeom_lab.bench.landmarks import MESH_OPTIONS, SYSTEM
from facegeom_lab.bench.matching import match_loosely
from facegeom_lab.bench.rendered import HeadSet, heads
from facegeom_lab.datasets.pack_photos import Picture
from facegeom_lab.measures.metrics import IntArray, angle_errors_deg
from facegeom_lab.measures.tables import Cell, Table, percent

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]

CLOSE_DEG = 5.0
MODERATE = HeadSet(seed=7, count=300, yaw_deg=(-45, 45), pitch_deg=(-30, 30), roll_deg=(-30, 30))
WIDE = HeadSet(seed=8, count=300, yaw_deg=(-90, 90), pitch_deg=(-30, 30), roll_deg=(-30, 30))
BANDS = ((0, 30), (30, 60), (60, 90))

_PROTOCOL = (
    "Rendered heads (ICT-FaceKit Light, dressed, lit, developed; identities, lights and backgrounds not "
    "trained on) in whole pictures of 640 x 480, one head of 60 to 250 px anywhere, its angle of view 30° "
    "to 60°, unknown to the systems; pitch and roll even within ±30°. Own detection; found: IoU of at "
    "least 0.3 with the box of the true 68 points, or the centre inside. Mean absolute errors over the "
    "found heads, degrees; geodesic: angle of the turn between the true and the given rotation. "
    "MediaPipe's rotation: its mesh laid on facegeom's canonical head by Procrustes, then turned to the "
    "line of sight of a camera with the same default angle of view as facegeom's."
)
COLUMNS = (
    "heads",
    "system",
    "yaw °",
    "pitch °",
    "roll °",
    "geodesic °",
    "yaw < 5°, %",
    "pitch < 5°, %",
    "roll < 5°, %",
    "all < 5°, %",
    "found, %",
    "pictures",
)


@dataclass(frozen=True, eq=False)
class Posed:
    """A system's rotations (N, 3, 3), and which of the N heads it found."""

    rotation: FloatArray
    found: BoolArray


def rotation(bench: Bench) -> list[Table]:
    """One table: the moderate set, then bands of the wide set's |yaw|."""
    rows: list[tuple[Cell, ...]] = []
    moderate = heads(bench.data, MODERATE, bench.cache)
    everything = np.ones(MODERATE.count, bool)
    for system, posed in _systems(bench, moderate.pictures).items():
        rows.append(("yaw within ±45°", system, *summary(posed, moderate.rotation, everything)))
    wide = heads(bench.data, WIDE, bench.cache)
    yaw = np.abs(angles_from_rotation(wide.rotation)[:, 0])
    for system, posed in _systems(bench, wide.pictures).items():
        for low, high in BANDS:
            chosen = (yaw >= low) & (yaw < high)
            rows.append((f"yaw ±({low}° to {high}°)", system, *summary(posed, wide.rotation, chosen)))
    return [Table("Rotation: rendered heads", _PROTOCOL, COLUMNS, rows)]


def _systems(bench: Bench, pictures: Sequence[Picture]) -> dict[str, Posed]:
    answers = bench.ours(pictures)
    systems = {"facegeom": posed(answers, [faces.rotation for faces in answers], pictures)}
    if "mediapipe" in bench.peers:
        found = bench.peer("mediapipe", "mesh", MESH_OPTIONS, pictures)
        camera = Camera(640, 480)
        turns = [mesh_rotations(one.mesh_px, camera) for one in found]
        systems[SYSTEM] = posed(found, turns, pictures)
    return systems


def posed(answers: Sequence[Boxes], turns: Sequence[FloatArray], pictures: Sequence[Picture]) -> Posed:
    """The rotations of the labelled faces, picture after picture.

    Args:
        answers: what a system found in each picture.
        turns: (K, 3, 3) the rotations of each answer.
        pictures: with the faces' boxes.
    """
    every = [
        _of_the_labelled(match_loosely(faces, picture), turn, len(picture.box_xyxy))
        for faces, turn, picture in zip(answers, turns, pictures, strict=True)
    ]
    return Posed(*(np.concatenate(part) for part in zip(*every, strict=True)))


def _of_the_labelled(matches: IntArray, turns: FloatArray, count: int) -> tuple[FloatArray, BoolArray]:
    """Rotations (N, 3, 3) of N labelled faces, and which were found, by the matches (K,) of the answers."""
    rotations, found = np.tile(np.eye(3), (count, 1, 1)), np.zeros(count, bool)
    hits = matches >= 0
    rotations[matches[hits]], found[matches[hits]] = turns[hits], True
    return rotations, found


def mesh_rotations(meshes_px: FloatArray, camera: Camera) -> FloatArray:
    """Head frame to camera frame (K, 3, 3) of meshes (K, 478, 3), of none as well."""
    return np.array([mesh_rotation(mesh, camera) for mesh in meshes_px]).reshape(-1, 3, 3)


def mesh_rotation(mesh_px: FloatArray, camera: Camera) -> FloatArray:
    """Head frame to camera frame (3, 3) of a mesh (478, 3) in pixels, freed of the line of sight's turn."""
    seen = average_head(mesh_px).rotation
    offset = mesh_px[:, :2].mean(axis=0) - camera.centre_px
    return np.asarray(towards(np.array([*offset, camera.focal_px])) @ seen)


def summary(posed: Posed, truth: FloatArray, chosen: BoolArray) -> tuple[Cell, ...]:
    """Errors over the found ones of the chosen heads: the table's columns after the first two."""
    used = posed.found & chosen
    counts = (percent(int(used.sum()), int(chosen.sum())), int(chosen.sum()))
    if not used.any():
        return (*[None] * 8, *counts)
    errors = angle_errors_deg(angles_from_rotation(posed.rotation[used]), angles_from_rotation(truth[used]))
    close = errors < CLOSE_DEG
    return (
        *errors.mean(axis=0).tolist(),
        float(geodesic_deg(posed.rotation[used], truth[used]).mean()),
        *(100 * close.mean(axis=0)).tolist(),
        float(100 * close.all(axis=1).mean()),
        *counts,
    )
