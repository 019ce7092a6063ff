"""How lids, irises and lips move, and how well a face's own shape is followed, against MediaPipe's mesh."""

import numpy as np
import numpy.typing as npt

from facegeom.geometry.placement import fit_canonical_head
from facegeom.geometry.schemes import SCHEMES
from facegeom_lab.bench.accuracy.mesh import central_meshes, same_faces
from facegeom_lab.bench.context import Bench
from facegeom_lab.datasets.published import pack
from facegeom_lab.measures.motion import SEEN_WIDTH, iris_offset, lid_gap, mouth_gap, seen_eyes
from facegeom_lab.measures.tables import Cell, Table

FloatArray = npt.NDArray[np.floating]

PER_BIN = 40
"""Values of the reference in each bin at most, drawn once: rare ones count like common ones."""

SHUT, OPEN = 0.1, 0.35
"""Lid gaps of the reference, in widths of the eye, below and above which an eye is called shut and open."""

SHAPE_REGIONS = {
    "brows": ("brow_right", "brow_left"),
    "eyes": ("eye_right", "eye_left"),
    "irises": ("iris_right", "iris_left"),
    "lips": ("lips_outer", "lips_inner"),
    "jaw": ("oval",),
}
NOSE = (
    *(1, 2, 4, 5, 6, 19, 45, 48, 64, 94, 97, 98, 115, 131, 195, 197, 220),
    *(275, 278, 294, 326, 327, 344, 360, 440),
)

_MOTION_PROTOCOL = (
    "Faces of held-out people (`val` of data/faces), each system with its own detection, the face nearest "
    "to the centre. Lids: mean distance of three pairs of lid points over the eye's width. Iris: its place "
    "between outer (0) and inner corner (1). Lips: mean distance of three pairs over the mouth's width. Eyes "
    f"narrower than {SEEN_WIDTH} of the face's other eye are left out. At most {PER_BIN} values of each bin "
    "of MediaPipe's value (12 bins): shut and averted eyes count like others. Slope of the regression "
    f"of ours on MediaPipe's; shut: MediaPipe's gap below {SHUT}; open: above {OPEN}; means of ours, of "
    "MediaPipe's in brackets."
)
_SHAPE_PROTOCOL = (
    "Meshes laid on the canonical head by a similarity; x and y of each point less its mean over the faces. "
    "Slope of the regression of ours on MediaPipe's, and correlation, over all points of a region. Faces as "
    "in the table above."
)


def eyes(bench: Bench) -> list[Table]:
    """Measure slopes of motion and of shape, two tables."""
    if "mediapipe" not in bench.peers:
        return []
    same = same_faces(*central_meshes(bench, pack.face_photos(bench.data, "val")))
    ours, theirs = (np.stack([pair[which] for pair in same]).astype(np.float64) for which in (0, 1))
    return [
        Table("Lids, irises, lips", _MOTION_PROTOCOL, MOTION_COLUMNS, motion_rows(ours, theirs)),
        Table(
            "A face's own shape",
            _SHAPE_PROTOCOL,
            ("region", "slope", "correlation", "faces"),
            shape_rows(ours, theirs),
        ),
    ]


MOTION_COLUMNS = ("of", "slope", "correlation", "mean error", "shut", "open", "values")


def motion_rows(ours: FloatArray, theirs: FloatArray) -> list[tuple[Cell, ...]]:
    """Compare lids, irises and lips of meshes (N, 478, 3) with the reference's, one row each."""
    seen, rows = seen_eyes(theirs), []
    for name, measure in (("lids", lid_gap), ("iris", iris_offset), ("lips", mouth_gap)):
        found, truth = measure(ours), measure(theirs)
        chosen = seen if truth.shape == seen.shape else np.ones_like(truth, bool)
        found, truth = found[chosen], truth[chosen]
        even = evenly(truth)
        x, y = truth[even], found[even]
        ends: tuple[Cell, ...] = (None, None)
        if name == "lids":
            ends = tuple(
                f"{found[part].mean():.2f} ({truth[part].mean():.2f}, {part.sum()})" if part.any() else None
                for part in (truth < SHUT, truth > OPEN)
            )
        rows.append((name, *slope_and_correlation(x, y), float(np.abs(x - y).mean()), *ends, len(x)))
    return rows


def evenly(values: FloatArray) -> npt.NDArray[np.intp]:
    """Choose at most ``PER_BIN`` of values (N,) in each of 12 bins from the 1st to the 99th percentile."""
    low, high = np.percentile(values, (1, 99))
    bins = np.digitize(values, np.linspace(low, high, 13)[1:-1])
    order = np.random.default_rng(0).permutation(len(values))
    return np.concatenate([order[bins[order] == each][:PER_BIN] for each in range(12)])


def slope_and_correlation(truth: FloatArray, found: FloatArray) -> tuple[float, float]:
    """Return slope and correlation of ``found`` against ``truth``; 0 for constants."""
    (var_truth, both), (_, var_found) = np.cov(truth.ravel(), found.ravel())
    deviation = np.sqrt(var_truth * var_found)
    return (float(both / var_truth), float(both / deviation)) if deviation > 0 else (0.0, 0.0)


def shape_rows(ours: FloatArray, theirs: FloatArray) -> list[tuple[Cell, ...]]:
    """Compare deviations from the mean face, one row per region."""
    regions = {
        name: [index for part in parts for index in SCHEMES["mesh478"].regions[part]]
        for name, parts in SHAPE_REGIONS.items()
    }
    regions["nose"] = list(NOSE)
    mine, reference = (_deviations(each) for each in (ours, theirs))
    rows: list[tuple[Cell, ...]] = [
        (name, *slope_and_correlation(reference[:, points], mine[:, points]), len(ours))
        for name, points in regions.items()
    ]
    across = regions["irises"]
    rows.append(
        ("irises, across", *slope_and_correlation(reference[:, across, 0], mine[:, across, 0]), len(ours))
    )
    return rows


def _deviations(meshes: FloatArray) -> FloatArray:
    """Return x and y (N, 478, 2) on the canonical head, less the mean over the faces, millimetres."""
    fit = fit_canonical_head(meshes)  # canonical head -> mesh
    laid = fit.undo(meshes)
    return np.asarray((laid - laid.mean(axis=0))[..., :2])
