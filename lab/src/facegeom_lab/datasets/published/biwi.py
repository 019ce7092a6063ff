"""BIWI Kinect Head Pose Database: 24 videos of 20 people who turn their heads.

Fanelli et al., "Random Forests for Real Time 3D Face Analysis", IJCV 2013.

Layout: the archive's folder ``hpdb`` with ``01`` to ``24``, in each ``frame_00003_rgb.png``,
``frame_00003_pose.txt``, ``frame_00003_depth.bin`` and, once, ``rgb.cal`` and ``depth.cal``. A pose file
holds the head's rotation, three rows of three numbers, and its centre in millimetres, both in the frame of
the depth camera: x right, y down, z away. A depth file holds width and height as 32-bit integers and then
the pixels, row by row, run-length encoded: the count of unknown pixels, the count of known ones, the
millimetres of these as 16-bit integers. A calibration holds the camera matrix, a line of lens distortion
(zeros), the rotation and the translation in millimetres from the depth camera's frame into its own, and the
size of the images.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from facegeom_lab.datasets.published.common import base, check_split, damaged, lines, numbers, require
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

INFO = DatasetInfo(
    name="biwi",
    title="BIWI Kinect Head Pose Database",
    url="https://icu.ee.ethz.ch/research/datsets.html",
    terms="research and education only, not commercial",
    scheme="ibug68",
    splits=("test",),
)

SUBJECTS = (
    *("F01", "F02", "F03", "F04", "F05", "F06", "M01", "M02", "M03", "M04", "M05", "M06"),
    *("M07", "M08", "F03", "M09", "M10", "F05", "M11", "M12", "F02", "M01", "M13", "M14"),
)
"""Subjects of the videos 01 to 24; four people were recorded twice."""

FOV_DEG = 63.44
"""Angle of view of the colour camera, 517.7 pixels of focal length for 640."""

HEAD_MM = 200.0
"""Side of the square around the head's centre that is a record's box."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """The colour camera of a video.

    Attributes:
        matrix: (3, 3) camera matrix, pixels.
        rotation: (3, 3) from the depth camera's frame into the colour camera's, less than 1°.
        translation_mm: (3,) likewise.
        size_wh: of the images, pixels.
    """

    matrix: np.ndarray
    rotation: np.ndarray
    translation_mm: np.ndarray
    size_wh: tuple[int, int]

    @property
    def fov_deg(self) -> float:
        """Angle of view across the longer side, degrees."""
        return float(2 * np.rad2deg(np.arctan(max(self.size_wh) / 2 / self.matrix[0, 0])))

    def square(self, centre_mm: np.ndarray, side_mm: float) -> np.ndarray:
        """Project a square that faces the camera to a box (4,), pixels; its middle is in the depth frame."""
        centre = self.rotation @ centre_mm + self.translation_mm
        middle = (self.matrix @ centre)[:2] / centre[2]
        half = self.matrix[[0, 1], [0, 1]] * side_mm / 2 / centre[2]
        return np.concatenate([middle - half, middle + half])


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the 15,678 frames of BIWI with rotation, a box and, where it was unpacked, depth; no points.

    The set is published without splits and used as a test set. The rotation is the published matrix, in the
    depth camera's frame, as in all published evaluations; the colour camera is rotated against it by less
    than 1°. The set has no boxes: the box is that of a square of 200 mm around the head's centre.

    Args:
        root: the folder of ``01`` to ``24``, or the one that holds it as ``hpdb``.
        split: test or None, which mean the same.

    Raises:
        InputError: another split; a file is missing or damaged.
    """
    check_split(split, INFO)
    folder = base(root, "hpdb")
    return [
        record
        for number, subject in enumerate(SUBJECTS, 1)
        for record in _video(folder, f"{number:02d}", subject)
    ]


def _video(folder: Path, name: str, subject: str) -> list[FaceRecord]:
    video = require(folder / name, INFO)
    camera = read_calibration(video / "rgb.cal")
    poses = sorted(video.glob("frame_*_pose.txt"))
    if not poses:
        raise damaged(video, "a pose.txt file for each frame", "none", INFO)
    return [_record(folder, pose, camera, subject) for pose in poses]


def _record(folder: Path, pose: Path, camera: Calibration, subject: str) -> FaceRecord:
    image = require(pose.with_name(pose.name.replace("_pose.txt", "_rgb.png")), INFO)
    rotation, centre_mm = read_pose(pose)
    depth = pose.with_name(pose.name.replace("_pose.txt", "_depth.bin"))
    return FaceRecord(
        name=image.relative_to(folder).as_posix(),
        read=photo_reader(image),
        split="test",
        box_xyxy=camera.square(centre_mm, HEAD_MM),
        rotation=rotation,
        depth=partial(colour_depth, depth, camera) if depth.is_file() else None,
        source=subject,
    )


def read_depth(file: Path) -> np.ndarray:
    """Read the depth camera's image, (480, 640) float32 z in millimetres, 0 where unknown.

    Raises:
        InputError: the file is missing or holds something else.
    """
    content = require(file, INFO).read_bytes()
    if len(content) < 8:
        raise damaged(file, "width and height", f"{len(content)} bytes", INFO)
    width, height = np.frombuffer(content, "<i4", 2).tolist()
    depth, pixel, byte = np.zeros(max(width * height, 0), np.float32), 0, 8
    while pixel < len(depth):
        if byte + 8 > len(content):
            raise damaged(file, f"{len(depth)} pixels", f"{pixel}", INFO)
        unknown, known = np.frombuffer(content, "<i4", 2, byte).tolist()
        pixel, byte = pixel + unknown, byte + 8
        if known < 0 or unknown < 0 or unknown + known == 0 or byte + 2 * known > len(content):
            raise damaged(file, f"runs of {len(depth)} pixels", f"one of {unknown} and {known}", INFO)
        depth[pixel : pixel + known] = np.frombuffer(content, "<i2", known, byte)[: len(depth) - pixel]
        pixel, byte = pixel + known, byte + 2 * known
    return depth.reshape(height, width)


def colour_depth(file: Path, camera: Calibration) -> np.ndarray:
    """Read a depth file and project it into the colour camera, where each pixel takes its nearest point.

    Args:
        file: ``_depth.bin`` beside ``depth.cal``.
        camera: the colour camera.

    Returns:
        (H, W) float32, z in millimetres in the colour camera's frame, 0 where unknown.

    Raises:
        InputError: a file is missing or holds something else.
    """
    depth, depth_camera = read_depth(file), read_calibration(file.with_name("depth.cal"))
    row, column = np.nonzero(depth)
    points = (
        np.linalg.inv(depth_camera.matrix) @ np.stack([column, row, np.ones(len(row))]) * depth[row, column]
    )
    x, y, z = camera.rotation @ points + camera.translation_mm[:, None]
    projected = camera.matrix @ np.stack([x / z, y / z, np.ones_like(z)])
    width, height = camera.size_wh
    x, y = np.rint(projected[0]).astype(int), np.rint(projected[1]).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    nearest = np.full((height, width), np.inf, np.float32)
    np.minimum.at(nearest, (y[inside], x[inside]), z[inside].astype(np.float32))
    return np.where(np.isfinite(nearest), nearest, 0).astype(np.float32)


def read_pose(text: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the head's rotation (3, 3) and centre (3,) in mm, both in the depth camera's frame.

    Raises:
        InputError: the file is missing or holds something else.
    """
    rows = _rows(text, (3, 3, 3, 3))
    return _checked_rotation(np.stack(rows[:3]), text), rows[3]


def read_calibration(text: Path) -> Calibration:
    """Read the ``.cal`` file of a camera.

    Raises:
        InputError: the file is missing or holds something else.
    """
    rows = _rows(text, (3, 3, 3, None, 3, 3, 3, 3, 2))
    width, height = rows[8].astype(int).tolist()
    return Calibration(
        np.stack(rows[:3]), _checked_rotation(np.stack(rows[4:7]), text), rows[7], (width, height)
    )


def _rows(text: Path, counts: tuple[int | None, ...]) -> list[np.ndarray]:
    """Parse the numbers of each line that is not empty; a count of None allows any."""
    content = [line.split() for line in lines(text, INFO) if line.strip()]
    if len(content) != len(counts):
        raise damaged(text, f"{len(counts)} lines of numbers", str(len(content)), INFO)
    return [
        numbers(fields, len(fields) if count is None else count, str(text), INFO)
        for fields, count in zip(content, counts, strict=True)
    ]


def _checked_rotation(matrix: np.ndarray, text: Path) -> np.ndarray:
    """Return the matrix if it is a rotation, to the four digits of the files."""
    if np.abs(matrix @ matrix.T - np.eye(3)).max() > 1e-3 or np.linalg.det(matrix) < 0:
        raise damaged(text, "a rotation matrix", f"{matrix.tolist()}", INFO)
    return matrix
