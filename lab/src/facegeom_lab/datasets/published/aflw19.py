"""AFLW-19: AFLW's faces with all of 19 points, hidden ones too.

Zhu et al., "Unconstrained Face Alignment via Cascaded Compositional Learning", CVPR 2016.

Layout: that of AFLW, and ``AFLWinfo_release.mat`` with ``nameList`` the photos, ``data`` all x and then all
y, ``bbox`` left, right, top, bottom, ``mask_new`` 1 where a point is visible, ``ra`` a permutation of the
faces whose first 20,000 are for training.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facegeom_lab.datasets.published.aflw import photo_folder
from facegeom_lab.datasets.published.common import check_split, damaged, face_names, locate, require
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

INFO = DatasetInfo(
    name="aflw19",
    title="AFLW-19",
    url="http://mmlab.ie.cuhk.edu.hk/projects/compositional.html",
    terms="research only, not commercial; the photos are those of AFLW",
    scheme="aflw19",
    splits=("train", "test", "test-frontal"),
)

POINTS = 19
TRAIN_FACES = 20_000

_FILE = "AFLWinfo_release.mat"
_VARIABLES = ("nameList", "data", "bbox", "mask_new", "ra")


@dataclass(frozen=True, eq=False)
class _Faces:
    """Arrays of the file, one row for each of N faces."""

    files: list[str]
    points: np.ndarray
    boxes: np.ndarray
    visible: np.ndarray
    order: np.ndarray


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the faces of AFLW-19 with boxes.

    Args:
        root: the folder of ``AFLWinfo_release.mat``; the photos lie below it as AFLW has them.
        split: train (20,000 faces), test ("AFLW-Full", 4386), test-frontal (those of the test split with
            all points visible), or None for train and test.

    Raises:
        InputError: another split; a file is missing or damaged.
    """
    check_split(split, INFO)
    faces = _load(locate(root, (_FILE, f"data/{_FILE}"), INFO))
    photos, names = photo_folder(root, INFO), face_names(faces.files)
    return [
        FaceRecord(
            name=names[index],
            read=photo_reader(require(photos / faces.files[index], INFO)),
            split=_split_of(rank),
            scheme=INFO.scheme,
            points=faces.points[index],
            visible=faces.visible[index],
            box_xyxy=faces.boxes[index],
            source="aflw",
        )
        for rank, index in enumerate(faces.order.tolist())
        if split in (None, _split_of(rank))
        or (split == "test-frontal" and _split_of(rank) == "test" and faces.visible[index].all())
    ]


def _split_of(rank: int) -> str:
    return "train" if rank < TRAIN_FACES else "test"


def _load(file: Path) -> _Faces:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        table = loadmat(file, variable_names=_VARIABLES)
        files = [str(name[0]) for name in table["nameList"].ravel()]
        count = len(files)
        faces = _Faces(
            files=files,
            points=table["data"].astype(np.float64).reshape(count, 2, POINTS).swapaxes(1, 2),
            boxes=table["bbox"].astype(np.float64).reshape(count, 4)[:, [0, 2, 1, 3]],
            visible=table["mask_new"].reshape(count, POINTS).astype(bool),
            order=table["ra"].astype(np.intp).ravel() - 1,
        )
    except (MatReadError, NotImplementedError, OSError, LookupError, TypeError, ValueError) as error:
        raise damaged(file, f"the variables {', '.join(_VARIABLES)}", repr(error), INFO) from error
    if not np.array_equal(np.sort(faces.order), np.arange(count)):
        raise damaged(file, f"an order of {count} faces in ra", f"{len(faces.order)} numbers", INFO)
    return faces
