"""Errors of the 68 points end to end on whole photos, and of their most confident half."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from facegeom.geometry import alignment, transforms
from facegeom.geometry.boxes import from_points
from facegeom.geometry.schemes import IBUG68_REGIONS, five_from_68
from facegeom_lab.bench.context import MESH_OPTIONS, MESH_TITLE, SCENE_MESH_OPTIONS, Bench
from facegeom_lab.bench.matching import STRICT_IOU, MatchedLandmarks, join_matches, match_landmarks
from facegeom_lab.datasets.published import pack
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.measures.metrics import best_iou, greedy_match, halves_ratio_per_point
from facegeom_lab.measures.tables import Cell, Table, percent
from facegeom_lab.teachers.linear_map import NEIGHBOURS, LinearMap, fit_linear_map

MAP_SOURCES = ("helen", "lfpw")

_NME_PROTOCOL = (
    "68 points of the found faces against human annotations, own detection on the whole photo "
    "(at most 448 px), defaults. NME: mean distance over the 68 points divided by the distance of the "
    "labelled outer eye corners (36, 45), mean over faces. facegeom finds a face when a box matches as in "
    "the detection table. MediaPipe (static, refined, up to 12 faces): its 478 points become the 68 by "
    f"the best linear map (each point from the {NEIGHBOURS} nearest mesh points, ridge, fitted "
    "on the training faces of HELEN and LFPW); found: IoU of the 68 points' extents of at least 0.5. 'On "
    "both': the faces that both systems find."
)
_REGIONS_PROTOCOL = (
    "Faces, distances and their unit as in the end-to-end table, means over the points of a region. Inner: "
    "the 51 points without the jaw's outline."
)
_PARTS = {"jaw": ("jaw",), "inner": ("brow", "nose", "eye", "lips")}
_PARTS |= {"brows": ("brow",), "nose": ("nose",), "eyes": ("eye",), "lips": ("lips",)}
REGIONS = {
    part: [point for name, points in IBUG68_REGIONS.items() if name.startswith(starts) for point in points]
    for part, starts in _PARTS.items()
}
"""Parts of the 68 points."""

_CONFIDENCE_PROTOCOL = (
    "For each of the 68 points on its own: the found faces sorted by the confidence of that point, the "
    "mean error of the more trusted half divided by the mean error of the other half (100 %: the "
    "confidence says nothing). Errors and faces as in the end-to-end table."
)
_ALIGNED_PROTOCOL = (
    "Aligned crops of the found faces, ArcFace's template: distances of eye centres, nose tip and mouth "
    "corners from their places, in percent of the crop's side, mean over points and faces. A similarity fits "
    "size, place and roll; what is left is the shape and the turn of the head: people's own annotations, "
    "aligned the same way, leave as much. Mean place: distance of the mean over all faces from the "
    "template, mean over the five points. Inverse: largest error of 100 points there and back, pixels."
)


def end_to_end(bench: Bench) -> list[Table]:
    """Measure NME and recall beside MediaPipe on the same photos, in all and by region."""
    mapping = _mesh_to_68(bench) if "mediapipe" in bench.peers else None
    rows: list[tuple[Cell, ...]] = []
    parts: list[tuple[Cell, ...]] = []
    for name, photos in bench.scene_sets().items():
        systems = {"facegeom": match_landmarks(bench.predictions(photos), photos)}
        if mapping is not None:
            systems[MESH_TITLE] = _mediapipe_landmarks(bench, mapping, photos)
        common = _found_by_all(list(systems.values())) if len(systems) > 1 else None
        rows += [(name, system, *_summary(matched, common)) for system, matched in systems.items()]
        parts += [(name, system, *_by_region(matched)) for system, matched in systems.items()]
    columns = (
        *("set", "system", "NME, %", "median, %", "NME on both, %", "found, %", "found", "faces labelled"),
    )
    regions = ("set", "system", *(f"{name}, %" for name in REGIONS), "faces")
    return [
        Table("End to end: 68 points", _NME_PROTOCOL, columns, rows),
        Table("End to end: by region", _REGIONS_PROTOCOL, regions, parts),
    ]


def _mesh_to_68(bench: Bench) -> LinearMap:
    """Fit the linear map from MediaPipe's mesh to the 68 points on training faces."""
    photos = pack.face_photos(bench.data, "train", MAP_SOURCES)
    predictions = bench.peer_predictions("mediapipe", "mesh", MESH_OPTIONS, photos)
    pairs = [
        (f.mesh_px[0], p.landmarks_px[0]) for f, p in zip(predictions, photos, strict=True) if len(f.score)
    ]
    return fit_linear_map(np.stack([mesh for mesh, _ in pairs]), np.stack([truth for _, truth in pairs]))


def _mediapipe_landmarks(
    bench: Bench, mapping: LinearMap, photos: Sequence[LabelledPhoto]
) -> MatchedLandmarks:
    predictions = bench.peer_predictions("mediapipe", "mesh", SCENE_MESH_OPTIONS, photos)
    points, matches = [], []
    for predicted, photo in zip(predictions, photos, strict=True):
        points.append(
            mapping.apply(predicted.mesh_px[..., :2]) if len(predicted.score) else np.zeros((0, 68, 2))
        )
        overlap = best_iou(from_points(points[-1]), from_points(photo.landmarks_px))
        matches.append(greedy_match(predicted.score, overlap, overlap >= STRICT_IOU))
    return join_matches(points, [np.ones(p.shape[:2]) for p in points], matches, photos)


def _found_by_all(systems: Sequence[MatchedLandmarks]) -> set[tuple[int, int]]:
    """Return photo and face indices of the labelled faces that every system finds."""
    sets = [{(int(photo), int(face)) for photo, face in matched.faces} for matched in systems]
    return set.intersection(*sets)


def _by_region(matched: MatchedLandmarks) -> tuple[Cell, ...]:
    errors = 100 * matched.errors()
    means = [float(errors[:, points].mean()) if len(errors) else None for points in REGIONS.values()]
    return (*means, len(errors))


def _summary(matched: MatchedLandmarks, common: set[tuple[int, int]] | None) -> tuple[Cell, ...]:
    nme = 100 * matched.errors().mean(axis=1)
    both = [
        error for error, (p, f) in zip(nme, matched.faces, strict=True) if (int(p), int(f)) in (common or ())
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
    """Measure the error of the more confident half over that of the other, one table."""
    sets = {name: match_landmarks(bench.predictions(p), p) for name, p in bench.scene_sets().items()}
    errors = {name: matched.errors() for name, matched in sets.items()}
    confidences = {name: matched.confidence for name, matched in sets.items()}
    errors["both"] = np.concatenate(list(errors.values()))
    confidences["both"] = np.concatenate(list(confidences.values()))
    rows = [(name, *_halves_ratios(errors[name], confidences[name])) for name in errors]
    columns = ("set", "mean over the points, %", "worst point, %", "worst point's number", "faces")
    return [Table("Confidence: error of the trusted half", _CONFIDENCE_PROTOCOL, columns, rows)]


def _halves_ratios(
    errors: npt.NDArray[np.floating], confidences: npt.NDArray[np.floating]
) -> tuple[Cell, ...]:
    if len(errors) < 2:
        return None, None, None, len(errors)
    ratio = 100 * halves_ratio_per_point(errors, confidences)
    return float(ratio.mean()), float(ratio.max()), int(ratio.argmax()), len(errors)


def aligned(bench: Bench) -> list[Table]:
    """Measure how near the five points of aligned crops come to ArcFace's template, one table."""
    rows: list[tuple[Cell, ...]] = []
    for name, photos in bench.scene_sets().items():
        matched = match_landmarks(bench.predictions(photos), photos)
        for who, points in (("facegeom", matched.points_px), ("people", matched.truth_px)):
            rows.append((name, who, *_alignment_errors(points), len(points)))
    columns = ("set", "points of", "distance, %", "mean place, %", "inverse, 10⁻¹² px", "faces")
    return [Table("Aligned crops", _ALIGNED_PROTOCOL, columns, rows)]


def _alignment_errors(points_px: npt.NDArray[np.floating]) -> tuple[Cell, ...]:
    """Return mean distance, distance of the mean place, and error of the inverse."""
    if not len(points_px):
        return None, None, None
    maps = alignment.crop_from_photo(
        "arcface", alignment.ARCFACE_PX, points_px, np.zeros((len(points_px), 4))
    )
    off = transforms.apply(maps, five_from_68(points_px.astype(float))) - alignment.ARCFACE_XY
    some = np.random.default_rng(0).uniform(0, 500, (100, 2))
    back = transforms.apply(transforms.invert(maps), transforms.apply(maps, some))
    return (
        float(100 * np.linalg.norm(off, axis=2).mean() / alignment.ARCFACE_PX),
        float(100 * np.linalg.norm(off.mean(axis=0), axis=1).mean() / alignment.ARCFACE_PX),
        float(1e12 * np.abs(back - some).max()),
    )
