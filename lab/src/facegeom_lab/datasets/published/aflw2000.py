"""AFLW2000-3D: the first 2000 photos of AFLW with a fitted morphable model; a test set with large head poses.

Zhu et al., "Face Alignment Across Large Poses: A 3D Solution", CVPR 2016.

Layout: the archive's folder ``AFLW2000`` with ``image00002.jpg`` and ``image00002.mat`` side by side. The
``.mat`` holds ``Pose_Para`` (1, 7): pitch, yaw, roll in radians, then translation and scale; ``pt3d_68`` (3,
68): x, y, z of the 68 points in pixels; ``pt2d`` (2, 21): AFLW's own points, -1 where hidden, which are not
used.
"""

from pathlib import Path

from facegeom_lab.datasets.angle_conventions import rotation_from_pose_para
from facegeom_lab.datasets.published.common import base, check_split, read_mat, require
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

INFO = DatasetInfo(
    name="aflw2000",
    title="AFLW2000-3D",
    url="http://www.cbsr.ia.ac.cn/users/xiangyuzhu/projects/3DDFA/main.htm",
    terms="research only; the photos are AFLW's",
    scheme="ibug68",
    splits=("test",),
)

_SHAPES = {"Pose_Para": (1, 7), "pt3d_68": (3, 68)}


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the 2000 faces of AFLW2000-3D with 68 points and rotation; no boxes, no visibility labels.

    Files may be missing: those that are there are read.

    MATLAB counts pixels from 1; the returned points count from 0. They are points of the model's surface:
    those of the jaw keep their place on the head when it turns, also when they are hidden. The rotation holds
    for parallel projection, see :func:`~facegeom_lab.datasets.angle_conventions.rotation_from_pose_para`.

    Args:
        root: the folder of the photos, or the one that holds it as ``AFLW2000``.
        split: test or None, which mean the same.

    Raises:
        InputError: another split; a file is missing or damaged.
    """
    check_split(split, INFO)
    folder = base(root, "AFLW2000")
    found = sorted(folder.glob("image*.mat")) or [require(folder / "image00002.mat", INFO)]
    return [_record(folder, labels) for labels in found]


def _record(folder: Path, labels: Path) -> FaceRecord:
    image = require(labels.with_suffix(".jpg"), INFO)
    content = read_mat(labels, _SHAPES, INFO)
    return FaceRecord(
        name=image.relative_to(folder).as_posix(),
        read=photo_reader(image),
        split="test",
        scheme=INFO.scheme,
        points=content["pt3d_68"][:2].T - 1,
        rotation=rotation_from_pose_para(content["Pose_Para"][0, :3]),
        source=INFO.name,
    )
