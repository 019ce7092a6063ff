"""Faces of a video as CSV files for spreadsheets: the columns of ``table.py``, one for each number."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from facegeom.export.files import replacing
from facegeom.video.frames import Frame
from facegeom.video.table import COLUMN_SHAPES, face_columns
from facegeom.video.tracking import TrackedFaces

_FRAME = ("frame", "time_s")
_AXES = "xyz"
_SIDES = ("left", "top", "right", "bottom")
_THREE_DECIMALS = ("_px", "_mm", "_deg", "_xyxy")
"""Endings of fields in pixels, millimetres and degrees; other fields have six decimals."""


def faces_header() -> list[str]:
    """Return the names of the columns of the file of faces.

    ``box_left``, ``landmarks_px_0_x``, ``mesh_confidence_477``, ``rotation_0_0`` (row, column),
    ``translation_mm_x``: the field, the number of the point from 0, the axis.
    """
    names = [name for field, shape in COLUMN_SHAPES.items() for name in _column_names(field, shape)]
    return [*_FRAME, "id", *names]


def frames_header() -> list[str]:
    """Return the names of the columns of the file of frames."""
    return [*_FRAME, "faces", "damaged", "cut"]


def _column_names(field: str, shape: tuple[int, ...]) -> list[str]:
    if field == "box_xyxy":
        return [f"box_{side}" for side in _SIDES]
    last_is_axis = bool(shape) and shape[-1] <= len(_AXES) and not field.endswith("rotation")
    ranges = [map(str, range(size)) for size in shape]
    if last_is_axis:
        ranges[-1] = map(str, _AXES[: shape[-1]])
    return ["_".join((field, *parts)) for parts in product(*ranges)]


class FacesCsv:
    """Write the faces of each frame, one row for each."""

    header = staticmethod(faces_header)

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, frame: Frame, tracked: TrackedFaces) -> None:
        """Append the rows of one frame."""
        if not len(tracked.ids):
            return
        count, texts = len(tracked.ids), []
        for name, values in face_columns(tracked.faces).items():
            form = "%.3f" if name.endswith(_THREE_DECIMALS) else "%.6f"
            texts.append([[form % number for number in row] for row in values.reshape(count, -1).tolist()])
        for row, track_id in enumerate(tracked.ids.tolist()):
            numbers = [number for text in texts for number in text[row]]
            self._writer.writerow([frame.index, f"{frame.time_s:.6f}", track_id, *numbers])


class FramesCsv:
    """Write one row for each frame."""

    header = staticmethod(frames_header)

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, frame: Frame, tracked: TrackedFaces) -> None:
        """Append the row of one frame."""
        flags = (int(np.bool_(flag)) for flag in (frame.damaged, tracked.cut))
        self._writer.writerow([frame.index, f"{frame.time_s:.6f}", len(tracked.ids), *flags])


@contextmanager
def open_csv(path: Path, kind: type[FacesCsv] | type[FramesCsv]) -> Iterator[FacesCsv | FramesCsv]:
    """Open a CSV file for writing; it appears under its name when the block ends without an error.

    Args:
        path: path of the file.
        kind: what its rows are.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="ascii") as file:
        writer = csv.writer(file)
        writer.writerow(kind.header())
        yield kind(writer)
