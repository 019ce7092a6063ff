"""Photos in little or coloured light, noisy, blurred, compressed: faces found and errors of their points."""

import cv2
import numpy as np

from facegeom_lab.bench.accuracy.copies import Change, UInt8Array, changed_copies
from facegeom_lab.bench.accuracy.detection import systems
from facegeom_lab.bench.context import Bench
from facegeom_lab.bench.matching import match_landmarks, recall
from facegeom_lab.measures.tables import Cell, Table

FOLDER = "poor"
_GAMMA = 2.2
_MOTION_PX = 15
_QUALITY = 98

_PROTOCOL = (
    "The scenes, of at most 448 px, and changed copies. Light: the photo in so much of its own, rounded to "
    "grey levels, with normal noise of so many. Backlit: a tenth of the light under a veil of 40 levels. "
    "Red light: a twentieth of green and blue. Out of focus: a Gaussian of 3 pixels. Moved: the mean along "
    f"{_MOTION_PX} pixels of a row. Found: as in the table of hard cases. Error: 68 points of the faces "
    "found as in the detection table, inter-ocular, and their mean confidence. Defaults throughout."
)


def lit(share: "float | tuple[float, float, float]", noise: float = 0.0, veil: float = 0.0) -> Change:
    """Return the change that shows a photo in a share of its light.

    Args:
        share: of all channels or of red, green and blue, of linear light.
        noise: standard deviation of what is added, grey levels; the same for the same photo.
        veil: added to all values, grey levels.
    """

    def change(pixels: UInt8Array) -> UInt8Array:
        values = 255 * (np.asarray(share) * (pixels / 255) ** _GAMMA) ** (1 / _GAMMA) + veil
        spread = np.random.default_rng(pixels.size).normal(0, noise, pixels.shape) if noise else 0.0
        return np.clip(np.round(values + spread), 0, 255).astype(np.uint8)

    return change


def unfocused(pixels: UInt8Array) -> UInt8Array:
    """Blur by a Gaussian of 3 pixels."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 3.0), np.uint8)


def moved(pixels: UInt8Array) -> UInt8Array:
    """Average along a row."""
    return np.asarray(cv2.blur(pixels, (_MOTION_PX, 1)), np.uint8)


CHANGES: dict[str, tuple[str, Change, int]] = {
    "as it is": ("plain.png", np.array, _QUALITY),
    "a tenth of the light, noise 2": ("tenth.png", lit(0.1, 2.0), _QUALITY),
    "a twentieth of the light, noise 4": ("twentieth.png", lit(0.05, 4.0), _QUALITY),
    "a fiftieth of the light, noise 4": ("fiftieth.png", lit(0.02, 4.0), _QUALITY),
    "backlit": ("backlit.png", lit(0.1, 2.0, 40.0), _QUALITY),
    "red light": ("red.png", lit((1.0, 0.05, 0.05)), _QUALITY),
    "noise 25": ("noise.png", lit(1.0, 25.0), _QUALITY),
    "out of focus": ("unfocused.png", unfocused, _QUALITY),
    "moved": ("moved.png", moved, _QUALITY),
    "JPEG of quality 10": ("10.jpg", np.array, 10),
}
"""Ending of the copy's name, how it is made, and the quality of a JPEG."""


def poor_pictures(bench: Bench) -> list[Table]:
    """Measure each system on each change, one table."""
    rows: list[tuple[Cell, ...]] = []
    for name, scenes in bench.scene_sets().items():
        for title, (ending, change, quality) in CHANGES.items():
            photos = changed_copies(scenes, bench.cache / FOLDER, ending, change, quality)
            own = match_landmarks(bench.predictions(photos), photos)
            error = 100 * float(own.errors().mean()) if len(own.faces) else None
            confidence = float(own.confidence.mean()) if len(own.faces) else None
            for system, predictions in systems(bench, photos):
                _, loose, labelled, boxes = recall(predictions, photos)
                points = (error, confidence) if system == "facegeom" else (None, None)
                rows.append((name, title, system, loose, *points, labelled, boxes))
    columns = ("set", "change", "system", "found, %", "error, %", "confidence", "faces", "boxes")
    return [Table("Poor pictures", _PROTOCOL, columns, rows)]
