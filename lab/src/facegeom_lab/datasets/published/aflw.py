"""AFLW: 24,386 faces with up to 21 points (Köstinger et al., "Annotated Facial Landmarks in the Wild", 2011).

Layout: ``data/aflw.sqlite`` with its tables and the photos in ``data/flickr/{0,2,3}``. The database's pose is
not used: it follows from a mean face fitted to the same points.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from facegeom_lab.datasets.published.common import (
    TEST_FOLD,
    check_split,
    damaged,
    face_names,
    fold,
    locate,
    require,
)
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

INFO = DatasetInfo(
    name="aflw",
    title="AFLW",
    url="https://www.tugraz.at/institute/icg/research/team-bischof/lrs/downloads/aflw/",
    terms="research only, not commercial, on request",
    scheme="aflw21",
    splits=("train", "test"),
)

FEATURES = (
    *("LeftBrowLeftCorner", "LeftBrowCenter", "LeftBrowRightCorner"),
    *("RightBrowLeftCorner", "RightBrowCenter", "RightBrowRightCorner"),
    *("LeftEyeLeftCorner", "LeftEyeCenter", "LeftEyeRightCorner"),
    *("RightEyeLeftCorner", "RightEyeCenter", "RightEyeRightCorner"),
    *("LeftEar", "NoseLeft", "NoseCenter", "NoseRight", "RightEar"),
    *("MouthLeftCorner", "MouthCenter", "MouthRightCorner", "ChinCenter"),
)
"""``FeatureCoordTypes.descr`` in the scheme's order; left and right are those of the image."""

_FACES = """
    SELECT Faces.face_id, FaceImages.filepath FROM Faces JOIN FaceImages ON FaceImages.file_id = Faces.file_id
    ORDER BY FaceImages.filepath, Faces.face_id
"""
_COORDS = """
    SELECT face_id, descr, FeatureCoords.x, FeatureCoords.y
    FROM FeatureCoords JOIN FeatureCoordTypes ON FeatureCoordTypes.feature_id = FeatureCoords.feature_id
"""
_RECTS = "SELECT face_id, x, y, w, h FROM FaceRect"


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the faces of AFLW that have a point. Only visible points are annotated; the others are NaN.

    The set is published without splits. A tenth of the photos is test, by the checksum of their names;
    :mod:`~facegeom_lab.datasets.published.aflw19` has the splits of the common protocol.

    Args:
        root: the unpacked ``aflw``, or the folder that holds it.
        split: train, test, or None for both.

    Raises:
        InputError: another split; a file is missing or damaged.
    """
    check_split(split, INFO)
    database = locate(root, ("data/aflw.sqlite", "aflw.sqlite", "aflw/data/aflw.sqlite"), INFO)
    faces, points, boxes = _tables(database)
    faces = [(face, file) for face, file in faces if face in points]
    names = face_names([file for _, file in faces])
    photos = photo_folder(root, INFO)
    return [
        FaceRecord(
            name=name,
            read=photo_reader(require(photos / file, INFO)),
            split=split_of(file),
            scheme=INFO.scheme,
            points=points[face],
            visible=np.isfinite(points[face]).all(axis=1),
            box_xyxy=boxes.get(face),
            source=INFO.name,
        )
        for name, (face, file) in zip(names, faces, strict=True)
        if split in (None, split_of(file))
    ]


def photo_folder(root: Path, info: DatasetInfo) -> Path:
    """Return the folder of AFLW's photos, which holds ``0``, ``2`` and ``3``."""
    return locate(root, ("data/flickr", "flickr", "aflw/data/flickr", "images"), info)


def split_of(file: str) -> str:
    """Return the split of a photo."""
    return "test" if fold(file) == TEST_FOLD else "train"


def _tables(database: Path) -> tuple[list[tuple[int, str]], dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Return the faces with their photos, points (21, 2) and boxes (4,) by face."""
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            faces = connection.execute(_FACES).fetchall()
            coords = connection.execute(_COORDS).fetchall()
            rects = connection.execute(_RECTS).fetchall()
    except sqlite3.Error as error:
        raise damaged(database, "the database of AFLW", str(error), INFO) from error
    boxes = {face: np.array([x, y, x + w, y + h], np.float64) for face, x, y, w, h in rects}
    return faces, _points(database, coords), boxes


def _points(database: Path, coords: list[tuple[int, str, float, float]]) -> dict[int, np.ndarray]:
    order = {feature: index for index, feature in enumerate(FEATURES)}
    points: dict[int, np.ndarray] = {}
    for face, feature, x, y in coords:
        if feature not in order:
            raise damaged(database, "the features of AFLW", repr(feature), INFO)
        points.setdefault(face, np.full((len(FEATURES), 2), np.nan))[order[feature]] = x, y
    return points
