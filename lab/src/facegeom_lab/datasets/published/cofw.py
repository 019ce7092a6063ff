"""COFW: 1852 partly covered faces with 29 points (Burgos-Artizzu et al., "Robust face landmark estimation
under occlusion", ICCV 2013).

Layout: ``COFW_train_color.mat`` and ``COFW_test_color.mat``, MATLAB 7.3 (HDF5), the photos inside: ``IsTr``
the photos, ``phisTr`` all x, all y, then 1 where a point is covered, ``bboxesTr`` left, top, width, height;
in the test's file ``IsT``, ``phisT``, ``bboxesT``.
"""

from functools import partial
from pathlib import Path

import numpy as np

from facegeom_lab.datasets.published.common import base, check_split, damaged, require
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord

INFO = DatasetInfo(
    name="cofw",
    title="COFW (colour)",
    url="https://data.caltech.edu/records/20099",
    terms="research; the photos belong to their owners",
    scheme="cofw29",
    splits=("train", "test"),
)

POINTS = 29
LFPW_FACES = 845
"""So many of the training faces, the first, come from LFPW and are hardly covered."""

_SUFFIXES = {"train": "Tr", "test": "T"}


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """The faces of COFW with boxes and covered points. Pixels, counted from 1 there, are counted from 0.

    Args:
        root: the folder of the two files, or the one that holds it as ``COFW_color``.
        split: train (1345 faces), test (507), or None for both.

    Raises:
        InputError: another split; a file is missing or damaged.
    """
    check_split(split, INFO)
    parts = INFO.splits if split is None else (split,)
    return [record for part in parts for record in _part(base(root, "COFW_color"), part)]


def _part(folder: Path, part: str) -> list[FaceRecord]:
    file = require(folder / f"COFW_{part}_color.mat", INFO)
    shapes, boxes = _labels(file, _SUFFIXES[part])
    coordinates = shapes[:, : 2 * POINTS].reshape(-1, 2, POINTS).swapaxes(1, 2) - 1
    corners = boxes[:, :2] - 1
    edges = np.concatenate([corners, corners + boxes[:, 2:]], axis=1)
    return [
        FaceRecord(
            name=f"{file.name}/{index}",
            read=partial(read_picture, file, f"Is{_SUFFIXES[part]}", index),
            split=part,
            scheme=INFO.scheme,
            points=coordinates[index],
            visible=shapes[index, 2 * POINTS :] == 0,
            box_xyxy=edges[index],
            source="lfpw" if part == "train" and index < LFPW_FACES else "cofw",
        )
        for index in range(len(shapes))
    ]


def _labels(file: Path, suffix: str) -> tuple[np.ndarray, np.ndarray]:
    """Shapes (N, 87) and boxes (N, 4) of a file; MATLAB's rows are HDF5's columns."""
    import h5py

    try:
        with h5py.File(file, "r") as content:
            count = content[f"Is{suffix}"].size
            shapes = np.asarray(content[f"phis{suffix}"], np.float64).T
            boxes = np.asarray(content[f"bboxes{suffix}"], np.float64).T
    except (OSError, KeyError, ValueError) as error:
        raise damaged(file, f"Is{suffix}, phis{suffix} and bboxes{suffix}", str(error), INFO) from error
    if shapes.shape != (count, 3 * POINTS) or boxes.shape != (count, 4):
        expected = f"{count} x {3 * POINTS} and {count} x 4 numbers"
        raise damaged(file, expected, f"{shapes.shape} and {boxes.shape}", INFO)
    return shapes, boxes


def read_picture(file: Path, variable: str, index: int) -> np.ndarray:
    """One photo (H, W, 3) uint8 RGB of the cell array ``variable``; a few of COFW's are grey."""
    import h5py

    with h5py.File(file, "r") as content:
        picture = np.asarray(content[content[variable][()].ravel()[index]]).T
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    return np.ascontiguousarray(picture, np.uint8)
