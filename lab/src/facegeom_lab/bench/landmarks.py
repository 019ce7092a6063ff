"""The 68 points end to end on whole photos, and what their confidence says about them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from facegeom.geometry.boxes import from_points
from facegeom_lab.bench.context import Bench
from facegeom_lab.bench.matching import STRICT_IOU, Matched, collect, matched_landmarks
from facegeom_lab.datasets import pack_photos
from facegeom_lab.datasets.pack_photos import Picture
from facegeom_lab.measures.metrics import best_iou, greedy_match, halves_ratio_per_point
from facegeom_lab.measures.tables import Cell, Table, percent
from facegeom_lab.teachers.linear_map import NEIGHBOURS, LinearMap, fit_linear_map

SYSTEM = "MediaPipe FaceMesh"
MESH_OPTIONS = {"static_image_mode": True, "refine_landmarks": True}
SCENE_OPTIONS = {**MESH_OPTIONS, "max_num_faces": 12}
MAP_SOURCES = ("helen", "lfpw")

_NME_PROTOCOL = (
    "68 points of the found faces against people's, each system with its own detection on the whole photo "
    "(at most 448 px), defaults. NME: mean distance over the 68 points divided by the distance of the "
    "labelled outer eye corners (36, 45), mean over faces. facegeom finds a face when a box matches as in "
    "the detection table. MediaPipe (static, refined, up to 12 faces): its 478 points become the 68 by "
    f"the best linear map (each point from the {NEIGHBOURS} nearest mesh points, ridge, fitted "
    "on the training faces of HELEN and LFPW); found: IoU of the 68 points' extents of at least 0.5. 'On "
    "both': the faces that both systems find."
)
_CONFIDENCE_PROTOCOL = (
    "For each of the 68 points on its own: the found faces sorted by the confidence of that point, the "
    "mean error of the more trusted half divided by the mean error of the other half (100 %: the "
    "confidence says nothing). Errors and faces as in the end-to-end table."
)


def end_to_end(bench: Bench) -> list[Table]:
    """One table: NME and share found, beside MediaPipe on the same photos."""
    mapping = _mesh_to_68(bench) if "mediapipe" in bench.peers else None
    rows: list[tuple[Cell, ...]] = []
    for name, pictures in bench.scene_sets().items():
        systems = {"facegeom": matched_landmarks(bench.ours(pictures), pictures)}
        if mapping is not None:
            systems[SYSTEM] = _mediapipe_landmarks(bench, mapping, pictures)
        shared = _common(list(systems.values())) if len(systems) > 1 else None
        rows += [(name, system, *_summary(matched, shared)) for system, matched in systems.items()]
    columns = (
        "set",
        "system",
        "NME, %",
        "median, %",
        "NME on both, %",
        "found, %",
        "found",
        "faces labelled",
    )
    return [Table("End to end: 68 points", _NME_PROTOCOL, columns, rows)]


def _mesh_to_68(bench: Bench) -> LinearMap:
    pictures = pack_photos.faces(bench.data, "train", MAP_SOURCES)
    answers = bench.peer("mediapipe", "mesh", MESH_OPTIONS, pictures)
    pairs = [
        (f.mesh_px[0], p.landmarks_px[0]) for f, p in zip(answers, pictures, strict=True) if len(f.score)
    ]
    return fit_linear_map(np.stack([mesh for mesh, _ in pairs]), np.stack([truth for _, truth in pairs]))


def _mediapipe_landmarks(bench: Bench, mapping: LinearMap, pictures: Sequence[Picture]) -> Matched:
    answers = bench.peer("mediapipe", "mesh", SCENE_OPTIONS, pictures)
    points, matches = [], []
    for found, picture in zip(answers, pictures, strict=True):
        points.append(mapping.apply(found.mesh_px[..., :2]) if len(found.score) else np.zeros((0, 68, 2)))
        overlap = best_iou(from_points(points[-1]), from_points(picture.landmarks_px))
        matches.append(greedy_match(found.score, overlap, overlap >= STRICT_IOU))
    return collect(points, [np.ones(p.shape[:2]) for p in points], matches, pictures)


def _common(systems: Sequence[Matched]) -> set[tuple[int, int]]:
    sets = [{(int(picture), int(face)) for picture, face in matched.faces} for matched in systems]
    return set.intersection(*sets)


def _summary(matched: Matched, shared: set[tuple[int, int]] | None) -> tuple[Cell, ...]:
    nme = 100 * matched.errors().mean(axis=1)
    both = [
        error for error, (p, f) in zip(nme, matched.faces, strict=True) if (int(p), int(f)) in (shared or ())
    ]
    found = len(nme)
    return (
        float(nme.mean()) if found else None,
        float(np.median(nme)) if found else None,
        float(np.mean(both)) if both else None,
        percent(found, matched.labelled),
        found,
        matched.labelled,
    )


def confidence(bench: Bench) -> list[Table]:
    """One table: the error of trusted points over that of the others."""
    sets = {name: matched_landmarks(bench.ours(p), p) for name, p in bench.scene_sets().items()}
    errors = {name: matched.errors() for name, matched in sets.items()}
    trust = {name: matched.confidence for name, matched in sets.items()}
    errors["both"] = np.concatenate(list(errors.values()))
    trust["both"] = np.concatenate(list(trust.values()))
    rows = [(name, *_halves(errors[name], trust[name])) for name in errors]
    columns = ("set", "mean over the points, %", "worst point, %", "worst point's number", "faces")
    return [Table("Confidence: error of the trusted half", _CONFIDENCE_PROTOCOL, columns, rows)]


def _halves(errors: npt.NDArray[np.floating], trust: npt.NDArray[np.floating]) -> tuple[Cell, ...]:
    if len(errors) < 2:
        return None, None, None, len(errors)
    ratio = 100 * halves_ratio_per_point(errors, trust)
    return float(ratio.mean()), float(ratio.max()), int(ratio.argmax()), len(errors)
