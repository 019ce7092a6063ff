"""EURECOM Kinect Face Dataset: photo and depth of 52 people, two sessions, nine states of face and light.

Min et al., "KinectFaceDB: A Kinect Database for Face Recognition", IEEE Trans. SMC 2014.

Layout: ``EURECOM_Kinect_Face_Dataset/0001/s1/RGB/rgb_0001_s1_Smile.bmp`` and
``…/s1/Depth/DepthKinect/depth_0001_s1_Smile.txt``. A photo is a crop of 256 x 256 pixels around the face
of the Kinect's 640 x 480; the text has a line for each of its pixels: column and row in the Kinect's image,
and z in millimetres, 0 where unknown.
"""

from functools import partial
from pathlib import Path

import numpy as np

from facegeom_lab.datasets.published.common import base, check_split, damaged, lines, require
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

INFO = DatasetInfo(
    name="eurecom",
    title="EURECOM Kinect Face Dataset",
    url="http://rgb-d.eurecom.fr",
    terms="research only, by agreement",
    scheme="ibug68",
    splits=("train", "test"),
)

SESSIONS = {"s1": "train", "s2": "test"}
SIZE_PX = 256


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the photos with depth; no points. The first session is train, the second test, as published.

    Args:
        root: the folder of ``0001`` …, or the one that holds it as ``EURECOM_Kinect_Face_Dataset``.
        split: train, test, or None for both.

    Raises:
        InputError: another split; a file is missing.
    """
    check_split(split, INFO)
    folder = base(root, "EURECOM_Kinect_Face_Dataset")
    photos = [
        image
        for session, subset in SESSIONS.items()
        if split in (None, subset)
        for image in sorted(folder.glob(f"[0-9][0-9][0-9][0-9]/{session}/RGB/rgb_*.bmp"))
    ]
    if not photos:
        require(folder / "0001" / "s1" / "RGB" / "rgb_0001_s1_Neutral.bmp", INFO)
    return [_record(folder, image) for image in photos]


def _record(folder: Path, image: Path) -> FaceRecord:
    session = image.parent.parent
    text = session / "Depth" / "DepthKinect" / f"{image.stem.replace('rgb_', 'depth_', 1)}.txt"
    return FaceRecord(
        name=image.relative_to(folder).as_posix(),
        read=photo_reader(image),
        split=SESSIONS[session.name],
        depth=partial(read_depth, require(text, INFO)),
        source=INFO.name,
    )


def read_depth(text: Path) -> np.ndarray:
    """Read the depth (256, 256) float32, z of the Kinect's frame in millimetres, 0 where unknown.

    Raises:
        InputError: the text holds something else.
    """
    try:
        rows = np.array([line.split() for line in lines(text, INFO)], float)
    except ValueError as error:
        raise damaged(text, "lines of column, row, depth", str(error), INFO) from error
    if rows.ndim != 2 or rows.shape[1] != 3 or not np.isfinite(rows).all():
        raise damaged(text, "lines of column, row, depth", f"an array {rows.shape}", INFO)
    column, row = (rows[:, :2] - rows[:, :2].min(axis=0)).astype(int).T
    if max(column.max(), row.max()) >= SIZE_PX:
        raise damaged(text, f"{SIZE_PX} x {SIZE_PX} pixels", f"{column.max() + 1} x {row.max() + 1}", INFO)
    depth = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    depth[row, column] = rows[:, 2]
    return depth
