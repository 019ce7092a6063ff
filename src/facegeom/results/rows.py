"""Faces as rows of a table: plain numbers by name, for the csv module, pandas and the like."""

import csv
import io
from typing import Any

import numpy as np

_BOX = ("box_left", "box_top", "box_right", "box_bottom")
_PLACE = ("x_mm", "y_mm", "z_mm")
_LANDMARKS = tuple(f"landmark_{index}_{axis}" for index in range(68) for axis in "xy")
COLUMNS = (
    *("file", "face", "score"),
    *_BOX,
    *("yaw_deg", "pitch_deg", "roll_deg"),
    *_PLACE,
    *("fov_deg", "fov_source"),
)
"""Names of the columns, without those of the points."""

_NUMBERS = ("score", "box_xyxy", "yaw_deg", "pitch_deg", "roll_deg", "translation_mm")
"""Fields of the faces in the columns from "score" to "z_mm"."""


def columns(points: bool) -> tuple[str, ...]:
    """Return the names of the columns, with or without those of the 68 points."""
    return COLUMNS + _LANDMARKS if points else COLUMNS


def to_rows(faces: Any, points: bool) -> list[dict[str, Any]]:
    """Return a dict for each of :class:`facegeom.Faces`; see :meth:`facegeom.Faces.to_rows`."""
    numbers = np.column_stack([getattr(faces, name) for name in _NUMBERS]).tolist()
    landmarks = faces.landmarks_px.reshape(-1, 2 * 68).tolist()
    names, view = columns(points), (faces.fov_deg, faces.fov_source)
    return [
        dict(zip(names, (faces.file, face, *values, *view, *places), strict=False))
        for face, (values, places) in enumerate(zip(numbers, landmarks, strict=True))
    ]


def to_csv(faces: Any) -> bytes:
    """Return the rows with the 68 points as CSV; scores have 6 decimals, other fractions 3."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(points=True))
    for row in to_rows(faces, points=True):
        writer.writerow(
            f"{value:.{6 if name == 'score' else 3}f}" if isinstance(value, float) else value
            for name, value in row.items()
        )
    return text.getvalue().encode(errors="replace")  # the name of a file need not be UTF-8
