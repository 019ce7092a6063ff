"""COFW: 1852 partly occluded faces with 29 points.

Burgos-Artizzu et al., "Robust face landmark estimation under occlusion", ICCV 2013.

Layout: ``COFW_train_color.mat`` and ``COFW_test_color.mat``, MATLAB 7.3 (HDF5), the photos inside: ``IsTr``
the photos, ``phisTr`` all x, all y, then 1 where a point is occluded, ``bboxesTr`` left, top, width, height;
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
"""Count of the first training faces, which come from LFPW and are hardly occluded."""

_SUFFIXES = {"train": "Tr", "test": "T"}


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the faces of COFW with boxes and occlusion labels.

    The files count pixels from 1, the records from 0.

    Args:
        root: the folder of the two files, or the one that holds it as ``COFW_color``.
        split: train (1345 faces), test (507), or None for both.

    Raises:
        InputError: another split; a file is missing or damaged.
    """
    check_split(split, INFO)
    subsets = INFO.splits if split is None else (split,)
    return [record for subset in subsets for record in _subset(base(root, "COFW_color"), subset)]


def _subset(folder: Path, subset: str) -> list[FaceRecord]:
    file = require(folder / f"COFW_{subset}_color.mat", INFO)
    shapes, boxes = _labels(file, _SUFFIXES[subset])
    coordinates = shapes[:, : 2 * POINTS].reshape(-1, 2, POINTS).swapaxes(1, 2) - 1
    corners = boxes[:, :2] - 1
    edges = np.concatenate([corners, corners + boxes[:, 2:]], axis=1)
    return [
        FaceRecord(
            name=f"{file.name}/{index}",
            read=partial(read_image, file, f"Is{_SUFFIXES[subset]}", index),
            split=subset,
            scheme=INFO.scheme,
            points=coordinates[index],
            visible=shapes[index, 2 * POINTS :] == 0,
            box_xyxy=edges[index],
            source="lfpw" if subset == "train" and index < LFPW_FACES else "cofw",
        )
        for index in range(len(shapes))
    ]


def _labels(file: Path, suffix: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the shapes (N, 87) and boxes (N, 4) of a file; MATLAB's rows are HDF5's columns."""
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


def read_image(file: Path, variable: str, index: int) -> np.ndarray:
    """Read one photo (H, W, 3) uint8 RGB of the cell array ``variable``; a few are stored in grey."""
    import h5py

    with h5py.File(file, "r") as content:
        image = np.asarray(content[content[variable][()].ravel()[index]]).T
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image, np.uint8)
