"""Faces as rows of a table: plain numbers by name, for the csv module, pandas and the like."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from facegeom.errors import InputError
from facegeom.results.base import Float32Array

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


class TabularFaces(Protocol):
    """What rows are made of; :class:`facegeom.Faces` has it."""

    @property
    def about(self) -> dict[str, Any]:
        """Name and angle of view of the photo."""

    @property
    def score(self) -> Float32Array:
        """Scores (N,)."""

    @property
    def box_xyxy(self) -> Float32Array:
        """Boxes (N, 4)."""

    @property
    def landmarks_px(self) -> Float32Array:
        """The 68 points (N, 68, 2)."""

    @property
    def translation_mm(self) -> Float32Array:
        """Places (N, 3) in the camera frame."""

    @property
    def yaw_deg(self) -> Float32Array:
        """Angles (N,)."""

    @property
    def pitch_deg(self) -> Float32Array:
        """Angles (N,)."""

    @property
    def roll_deg(self) -> Float32Array:
        """Angles (N,)."""


def to_rows(faces: TabularFaces, points: bool) -> list[dict[str, Any]]:
    """Return a dict for each face; see :meth:`facegeom.results.Faces.to_rows`."""
    return list(_rows(faces, _columns(points)))


def to_dataframe(faces: TabularFaces, points: bool) -> Any:
    """Return a ``pandas.DataFrame``; see :meth:`facegeom.results.Faces.to_dataframe`."""
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise InputError(
            "to_dataframe needs pandas: pip install pandas, or take to_rows, which needs nothing"
        ) from error
    return pandas.DataFrame(to_rows(faces, points), columns=list(_columns(points)))


def _columns(points: bool) -> tuple[str, ...]:
    return COLUMNS + _LANDMARKS if points else COLUMNS


def _rows(faces: TabularFaces, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    about, count = faces.about, len(faces.score)
    numbers = np.column_stack(
        [
            faces.score,
            faces.box_xyxy,
            faces.yaw_deg,
            faces.pitch_deg,
            faces.roll_deg,
            faces.translation_mm,
        ]
    ).tolist()
    points = faces.landmarks_px.reshape(count, len(_LANDMARKS)).tolist()
    for face in range(count):
        view = (about["fov_deg"], about["fov_source"])
        values = (about["file"], face, *numbers[face], *view, *points[face])
        yield dict(zip(columns, values, strict=False))
