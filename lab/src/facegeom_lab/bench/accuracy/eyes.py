"""How lids, irises and lips move, and how well a face's own shape is followed."""

import numpy as np
import numpy.typing as npt

from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import fit_canonical_head
from facegeom.geometry.schemes import SCHEMES
from facegeom_lab.bench.accuracy.mesh import central_meshes, nearest, same_faces
from facegeom_lab.bench.context import Bench
from facegeom_lab.bench.progress import track
from facegeom_lab.datasets.published import pack
from facegeom_lab.datasets.training.expression_samples import rendered_samples
from facegeom_lab.measures.motion import (
    MOUTH_CORNERS,
    SEEN_WIDTH,
    iris_offset,
    lid_gap,
    mouth_gap,
    seen_eyes,
)
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.synth.anatomy import mesh_in_picture
from facegeom_lab.synth.generate import MODEL_FILE, load_backgrounds
from facegeom_lab.synth.model import load_model
from facegeom_lab.synth.scene import Sample

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


HEADS, SEED = 400, 4
MOUTH_CENTRE = (13, 14)
_RENDERED_PROTOCOL = (
    f"{HEADS} heads rendered from identities, lights and backgrounds that training never saw, each with "
    "shapes and a look, yaw to 50°, own detection, faces found. Exact values; lids, iris and lips as above. "
    "Meshes laid on the canonical head by a similarity: how far the mouth's middle lies beside the face's, "
    "the distance of its corners, the height of the brows over the eyes, mm."
)


def motions(bench: Bench) -> list[Table]:
    """Measure slopes of motion on rendered heads, one table."""
    title = "Lids, irises, lips of rendered heads"
    return [Table(title, _RENDERED_PROTOCOL, RENDERED_COLUMNS, rendered_rows(bench))]


def eyes(bench: Bench) -> list[Table]:
    """Measure slopes of motion and of shape on photos, two tables."""
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
RENDERED_COLUMNS = ("of", "slope", "correlation", "mean error", "values")


def rendered_rows(bench: Bench) -> list[tuple[Cell, ...]]:
    """Compare lids, irises, lips, mouth and brows with those of rendered heads, one row each."""
    model = load_model(bench.data / MODEL_FILE)
    backgrounds = load_backgrounds(bench.data / "backgrounds", "test")
    numbers = track(range(HEADS), f"{HEADS} rendered heads")
    pairs = []
    for sample in rendered_samples(model, backgrounds, numbers, SEED, "test"):
        truth = exact_mesh(sample)
        mesh = nearest(bench.analyze(sample.image).mesh_px, truth[..., :2].mean(axis=0))
        pairs += same_faces([mesh], [truth])
    ours, truths = (np.stack([pair[which] for pair in pairs]).astype(np.float64) for which in (0, 1))
    rows: list[tuple[Cell, ...]] = [(*row[:4], row[-1]) for row in motion_rows(ours, truths)]
    laid = [_laid(each) for each in (ours, truths)]
    for name, measure in (("mouth aside, mm", _aside), ("corners, mm", _corners), ("brows, mm", _brows)):
        found, truth = (measure(each).ravel() for each in laid)
        rows.append((name, *slope_and_correlation(truth, found), np.abs(found - truth).mean(), len(truth)))
    return rows


def exact_mesh(sample: Sample) -> FloatArray:
    """Return the mesh (478, 3) of a rendered head in its image, pixels."""
    assert sample.mesh_mm is not None
    height, width = sample.image.shape[:2]
    return mesh_in_picture(sample.mesh_mm, Camera(width, height, sample.fov_deg))


def _aside(laid: FloatArray) -> FloatArray:
    return np.asarray(laid[:, MOUTH_CENTRE, 0].mean(axis=1))


def _corners(laid: FloatArray) -> FloatArray:
    return np.linalg.norm(np.subtract(*np.moveaxis(laid[:, MOUTH_CORNERS, :2], 1, 0)), axis=-1)


def _brows(laid: FloatArray) -> FloatArray:
    regions = SCHEMES["mesh478"].regions
    sides = [(regions[f"brow_{side}"], regions[f"eye_{side}"]) for side in ("right", "left")]
    return np.stack([laid[:, eye, 1].mean(axis=1) - laid[:, brow, 1].mean(axis=1) for brow, eye in sides])


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
    laid = _laid(meshes)
    return np.asarray((laid - laid.mean(axis=0))[..., :2])


def _laid(meshes: FloatArray) -> FloatArray:
    """Return meshes (N, 478, 3) laid on the canonical head by a similarity, millimetres."""
    return np.asarray(fit_canonical_head(meshes).undo(meshes))
