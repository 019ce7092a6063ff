"""300W-LP: 122,450 views of 300W's faces, most of them rotated by a morphable model.

Zhu et al., "Face Alignment Across Large Poses: A 3D Solution", CVPR 2016. The training
set of most head pose networks.

Layout: the archive's folder ``300W_LP`` with ``AFW``, ``HELEN``, ``IBUG``, ``LFPW``, their mirror images in
``AFW_Flip`` and so on; in each, ``AFW_134212_1_0.jpg`` and ``.mat`` side by side, the last number counting
the views of one face, 0 the photo as it was. The ``.mat`` holds ``Pose_Para`` (1, 7): pitch, yaw, roll in
radians, then translation and scale; ``pt2d`` (2, 68): the points in pixels.
"""

from pathlib import Path

from facegeom_lab.datasets.angle_conventions import rotation_from_pose_para
from facegeom_lab.datasets.published.common import (
    VAL_FOLD,
    base,
    check_split,
    damaged,
    fold,
    read_mat,
    require,
)
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

INFO = DatasetInfo(
    name="300w-lp",
    title="300W-LP",
    url="http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm",
    terms="research only; the photos are 300W's",
    scheme="ibug68",
    splits=("train", "val"),
)

COLLECTIONS = ("AFW", "HELEN", "IBUG", "LFPW")

_SHAPES = {"Pose_Para": (1, 7), "pt2d": (2, 68)}


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the faces of 300W-LP with 68 points and rotation; no boxes, no visibility labels.

    The set is published without splits. A tenth of the faces is val, by the checksum of the original's name,
    so that all views of a face and their mirror images are in one split. 300W's own test photos are in both.

    MATLAB counts pixels from 1; the returned points count from 0. The rotation holds for parallel projection,
    see :func:`~facegeom_lab.datasets.angle_conventions.rotation_from_pose_para`.

    Args:
        root: the folder of ``AFW``, ``AFW_Flip`` and so on, or the one that holds it as ``300W_LP``.
        split: train, val, or None for both.

    Raises:
        InputError: another split; a file is missing or damaged.
    """
    check_split(split, INFO)
    folder = base(root, "300W_LP")
    places = [folder / f"{name}{flip}" for name in COLLECTIONS for flip in ("", "_Flip")]
    return [
        _record(folder, labels)
        for place in places
        for labels in _labels(place)
        if split in (None, split_of(labels.stem))
    ]


def split_of(stem: str) -> str:
    """Return the split of a view, given its file's name without suffix."""
    face = stem.replace("_Flip", "").rpartition("_")[0]
    return "val" if fold(face) == VAL_FOLD else "train"


def _labels(place: Path) -> list[Path]:
    found = sorted(require(place, INFO).glob("*.mat"))
    if not found:
        raise damaged(place, "a .mat file for each photo", "none", INFO)
    return found


def _record(folder: Path, labels: Path) -> FaceRecord:
    image = require(labels.with_suffix(".jpg"), INFO)
    content = read_mat(labels, _SHAPES, INFO)
    return FaceRecord(
        name=image.relative_to(folder).as_posix(),
        read=photo_reader(image),
        split=split_of(labels.stem),
        scheme=INFO.scheme,
        points=content["pt2d"].T - 1,
        rotation=rotation_from_pose_para(content["Pose_Para"][0, :3]),
        source=labels.parent.name.removesuffix("_Flip").lower(),
    )
