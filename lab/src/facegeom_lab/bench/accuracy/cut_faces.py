"""Faces of which a part lies beyond the photo's edge or under a flat cover."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facegeom.geometry.boxes import iou
from facegeom.geometry.schemes import IBUG68_EYE_CORNERS
from facegeom.image import reading
from facegeom.results import Faces
from facegeom_lab.bench.context import Bench
from facegeom_lab.bench.progress import track
from facegeom_lab.measures.tables import Cell, Table, percent

FloatArray = npt.NDArray[np.floating]
UInt8Array = npt.NDArray[np.uint8]

EDGES = ("left", "right", "top", "bottom")
COVERS = {"grey": 127, "white": 255, "black": 0, "the edge's colour": None}
FRAME = 0.7
FOUND_IOU = 0.3

_PROTOCOL = (
    "The first labelled face of each whole photo. `cut`: the photo ends inside its box, a quarter or a third "
    "of which lies beyond the edge; `covered`: a third of the box, and what lies beyond it on that side, has "
    "one colour, at last the mean of the pixels beside it; `framed`: the photo ends at 0.7 of the box's "
    "width and height around its centre. Found: IoU of at least 0.3 between what is left of the predicted "
    "box and of the labelled one. Error: mean over the visible points of the found faces, percent of the "
    "distance of the outer eye corners. Defaults."
)
COLUMNS = ("set", "change", "edge", "found, %", "error of visible points, %", "faces")


class Change(NamedTuple):
    """A changed photo.

    Attributes:
        title: what was done.
        edge: one of ``EDGES``, or "all".
        pixels: (H, W, 3) uint8.
        origin: (2,) where its first pixel lies in the photo.
        left: (4,) what is left of the face's box, pixels of the photo.
    """

    title: str
    edge: str
    pixels: UInt8Array
    origin: FloatArray
    left: FloatArray


def changes(pixels: UInt8Array, box_xyxy: FloatArray) -> Iterator[Change]:
    """Yield a photo cut and covered at each edge of a box (4,), and ending at all edges inside it."""
    height, width = pixels.shape[:2]
    for fraction, title in ((0.25, "cut by a quarter"), (1 / 3, "cut by a third")):
        for edge in EDGES:
            yield _cut(title, edge, pixels, box_xyxy, _visible(box_xyxy, edge, fraction, width, height))
    for colour, level in COVERS.items():
        for edge in EDGES:
            x0, y0, x1, y1 = _visible(box_xyxy, edge, 1 / 3, width, height)
            seen = pixels[y0:y1, x0:x1]
            border = {"left": seen[:, 0], "right": seen[:, -1], "top": seen[0], "bottom": seen[-1]}[edge]
            covered = np.empty_like(pixels)
            covered[:] = border.mean(axis=0) if level is None else level
            covered[y0:y1, x0:x1] = seen
            left = np.clip(box_xyxy, [x0, y0, x0, y0], [x1, y1, x1, y1]).astype(np.float64)
            yield Change(f"covered by {colour}", edge, covered, np.zeros(2), left)
    centre, half = (box_xyxy[:2] + box_xyxy[2:]) / 2, FRAME * (box_xyxy[2:] - box_xyxy[:2]) / 2
    inner = np.clip(np.concatenate([centre - half, centre + half]), 0, [width, height] * 2).astype(int)
    yield _cut(f"framed to {FRAME}", "all", pixels, box_xyxy, inner.tolist())


def _cut(title: str, edge: str, pixels: UInt8Array, box: FloatArray, seen: Sequence[int]) -> Change:
    """Return the photo cut to what stays visible: left, top, right, bottom."""
    x0, y0, x1, y1 = seen
    left = np.clip(box, [x0, y0, x0, y0], [x1, y1, x1, y1]).astype(np.float64)
    return Change(title, edge, np.ascontiguousarray(pixels[y0:y1, x0:x1]), np.array([x0, y0]), left)


def _visible(box: FloatArray, edge: str, fraction: float, width: int, height: int) -> tuple[int, ...]:
    """Return the part of the photo that stays visible: left, top, right, bottom, whole pixels."""
    x0, y0, x1, y1 = box
    across, down = fraction * (x1 - x0), fraction * (y1 - y0)
    parts = {
        "left": (x0 + across, 0, width, height),
        "right": (0, 0, x1 - across, height),
        "top": (0, y0 + down, width, height),
        "bottom": (0, 0, width, y1 - down),
    }
    return tuple(int(side) for side in parts[edge])


def cut_faces(bench: Bench) -> list[Table]:
    """Measure cut and covered faces, one table."""
    rows: list[tuple[Cell, ...]] = []
    for name, photos in bench.scene_sets().items():
        errors: dict[tuple[str, str], list[float]] = {}
        labelled = [photo for photo in photos if len(photo.box_xyxy)]
        for photo in track(labelled, f"{name}, cut"):
            pixels = reading.read(photo.path)
            for change in changes(pixels, photo.box_xyxy[0]):
                faces = bench.analyze(change.pixels)
                error = visible_error(faces, change, photo.landmarks_px[0])
                errors.setdefault((change.title, change.edge), []).append(error)
        for (title, edge), column in errors.items():
            found = np.array(column)[np.isfinite(column)]
            mean = float(found.mean()) if len(found) else None
            rows.append((name, title, edge, percent(len(found), len(column)), mean, len(column)))
    return [Table("Faces cut by the edge or covered", _PROTOCOL, COLUMNS, rows)]


def visible_error(faces: Faces, change: Change, landmarks_px: FloatArray) -> float:
    """Return the mean error of the visible points, percent of the outer eye corners' distance; NaN if missed.

    Args:
        faces: found in the changed photo.
        change: the changed photo.
        landmarks_px: (68, 2) the face's points in the unchanged photo.
    """
    x0, y0, x1, y1 = change.left
    origin = np.tile(change.origin, 2)
    boxes = np.clip(faces.box_xyxy + origin, [x0, y0, x0, y0], [x1, y1, x1, y1])
    overlap = iou(boxes, change.left[None])[:, 0]
    if not len(overlap) or overlap.max() < FOUND_IOU:
        return float("nan")
    visible = ((landmarks_px >= (x0, y0)) & (landmarks_px < (x1, y1))).all(axis=1)
    missed = faces.landmarks_px[overlap.argmax()] + change.origin - landmarks_px
    first, second = (landmarks_px[corner] for corner in IBUG68_EYE_CORNERS)
    eyes = np.linalg.norm(first - second)
    return float(100 * np.linalg.norm(missed, axis=1)[visible].mean() / eyes)
