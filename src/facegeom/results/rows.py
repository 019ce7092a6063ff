"""Faces as rows of a table: plain numbers by name, for the csv module, pandas and the like."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

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


FIELDS = ("score", "box_xyxy", "yaw_deg", "pitch_deg", "roll_deg", "translation_mm", "landmarks_px")
"""Fields of :class:`facegeom.Faces` that rows are made of."""


def to_rows(
    fields: Mapping[str, Float32Array], about: Mapping[str, Any], points: bool
) -> list[dict[str, Any]]:
    """Return a dict for each face; see :meth:`facegeom.results.Faces.to_rows`.

    Args:
        fields: arrays of N faces by the names of :data:`FIELDS`.
        about: file, fov_deg and fov_source of the photo.
        points: whether the 68 points follow.
    """
    columns, view = _columns(points), (about["fov_deg"], about["fov_source"])
    *numbers, landmarks = (fields[name] for name in FIELDS)
    return [
        dict(zip(columns, (about["file"], face, *values, *view, *places), strict=False))
        for face, (values, places) in enumerate(
            zip(np.column_stack(numbers).tolist(), landmarks.reshape(-1, 2 * 68).tolist(), strict=True)
        )
    ]


def to_dataframe(fields: Mapping[str, Float32Array], about: Mapping[str, Any], points: bool) -> Any:
    """Return a ``pandas.DataFrame``; the arguments are those of :func:`to_rows`.

    Raises:
        InputError: pandas is not installed.
    """
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise InputError(
            "to_dataframe needs pandas: pip install pandas, or take to_rows, which needs nothing"
        ) from error
    return pandas.DataFrame(to_rows(fields, about, points), columns=list(_columns(points)))


def _columns(points: bool) -> tuple[str, ...]:
    return COLUMNS + _LANDMARKS if points else COLUMNS
