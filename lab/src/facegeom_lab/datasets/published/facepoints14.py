"""The data set of the compact task of 14 facial points: ``gt.csv`` beside a folder ``images``.

Layout: either both directly, or in ``train`` and ``test``. The table's header is
``filename,x1,y1,...,x14,y14``; an empty field or ``NaN`` is a point that was not annotated.
"""

import csv
from pathlib import Path

import numpy as np

from facegeom_lab.datasets.published.common import check_split, damaged, lines, require
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

POINTS = 14
HEADER = ("filename", *(f"{axis}{point}" for point in range(1, POINTS + 1) for axis in "xy"))

INFO = DatasetInfo(
    name="facepoints14",
    title="14 facial points",
    url="https://graphics.cs.msu.ru",
    terms="handed out to a course; take it as research only",
    scheme="facepoints14",
    splits=("train", "test"),
)


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the labelled images.

    Args:
        root: the folder of ``gt.csv`` and ``images``, or that of ``train`` and ``test`` which hold them.
        split: train, test, or None for train and, if there, test.

    Raises:
        InputError: another split; a file is missing or damaged.
    """
    check_split(split, INFO)
    train, test = root / "train" if (root / "train").is_dir() else root, root / "test"
    found = [] if split == "test" else _subset(root, train, "train")
    if split == "test" or (split is None and test.is_dir()):
        found += _subset(root, test, "test")
    return found


def _subset(root: Path, folder: Path, subset: str) -> list[FaceRecord]:
    images = require(folder / "images", INFO)
    return [
        FaceRecord(
            name=(images / name).relative_to(root).as_posix(),
            read=photo_reader(require(images / name, INFO)),
            split=subset,
            scheme=INFO.scheme,
            points=points,
            source=INFO.name,
        )
        for name, points in read_table(folder / "gt.csv").items()
    ]


def read_table(file: Path) -> dict[str, np.ndarray]:
    """Read the points (14, 2) by image, NaN where one was not annotated.

    Raises:
        InputError: the file is missing or damaged.
    """
    header, *rows = csv.reader(lines(file, INFO) or [""])
    if tuple(header) != HEADER:
        raise damaged(file, "the header filename,x1,y1,...,x14,y14", repr(",".join(header)[:60]), INFO)
    return {row[0]: _points(row, f"{file}:{number}") for number, row in enumerate(rows, 2) if row}


def _points(row: list[str], place: str) -> np.ndarray:
    try:
        values = np.array([float(field) if field.strip() else np.nan for field in row[1:]])
    except ValueError as error:
        raise damaged(place, f"{2 * POINTS} numbers", str(error), INFO) from error
    if len(values) != 2 * POINTS or np.isinf(values).any():
        raise damaged(place, f"{2 * POINTS} finite numbers", f"{len(values)} of {row[0]}", INFO)
    points = values.reshape(POINTS, 2)
    return np.where(np.isnan(points).any(axis=1, keepdims=True), np.nan, points)
