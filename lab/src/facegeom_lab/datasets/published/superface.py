"""Florence Superface: 20 people before a Kinect, with a scan of high resolution of each.

Berretti et al., "Superfaces: A super-resolution model for 3D faces", ECCV workshops 2012.

Layout: ``subject001/rgbFrame/frameRGB1.png`` and ``subject001/depthFrame/frameD1.depth`` or
``frameD1.png`` with the same number; a video lacks some numbers. A ``.depth`` file begins with
``PHDE``, width and height as 32-bit integers, then a 32-bit float for each pixel, row by row; a PNG has 16
bits. Both are millimetres, 0 where unknown.
"""

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from facegeom_lab.datasets.published.common import TEST_FOLD, check_split, damaged, fold, require
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

INFO = DatasetInfo(
    name="superface",
    title="Florence Superface",
    url="https://www.micc.unifi.it/resources/datasets/florence-superface/",
    terms="research only, on request",
    scheme="ibug68",
    splits=("train", "test"),
)

MAGIC = b"PHDE"


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the frames that have depth; no points. A tenth of the people is test.

    Args:
        root: the folder of ``subject001`` ….
        split: train, test, or None for both.

    Raises:
        InputError: another split; no frame is there.
    """
    check_split(split, INFO)
    frames = sorted(root.glob("subject*/rgbFrame/frameRGB*.png"))
    if not frames:
        require(root / "subject001" / "rgbFrame" / "frameRGB1.png", INFO)
    found = [(frame, _depth_file(frame)) for frame in frames]
    listed = [_record(root, frame, depth) for frame, depth in found if depth is not None]
    return [record for record in listed if split in (None, record.split)]


def _depth_file(frame: Path) -> Path | None:
    """Return the depth file of a frame; None where the video has none."""
    stem = frame.parent.parent / "depthFrame" / frame.stem.replace("frameRGB", "frameD")
    return next(
        (file for file in (stem.with_suffix(".depth"), stem.with_suffix(".png")) if file.is_file()), None
    )


def _record(root: Path, frame: Path, depth: Path) -> FaceRecord:
    person = frame.parent.parent.name
    return FaceRecord(
        name=frame.relative_to(root).as_posix(),
        read=photo_reader(frame),
        split="test" if fold(person) == TEST_FOLD else "train",
        depth=partial(read_depth, depth),
        source=INFO.name,
    )


def read_depth(file: Path) -> np.ndarray:
    """Read the depth (H, W) float32 in millimetres, 0 where unknown.

    Raises:
        InputError: the file is damaged.
    """
    if file.suffix == ".depth":
        return _read_floats(file)
    try:
        with Image.open(file) as image:
            return np.asarray(image).astype(np.float32)
    except (OSError, UnidentifiedImageError) as error:
        raise damaged(file, "an image of 16 bits", str(error), INFO) from error


def _read_floats(file: Path) -> np.ndarray:
    content = file.read_bytes()
    if content[:4] != MAGIC or len(content) < 12:
        raise damaged(file, "a file that begins with PHDE", repr(content[:4]), INFO)
    width, height = np.frombuffer(content, "<i4", 2, 4).tolist()
    if len(content) != 12 + 4 * width * height:
        raise damaged(file, f"{width} x {height} numbers", f"{len(content)} bytes", INFO)
    depth = np.frombuffer(content, "<f4", width * height, 12).reshape(height, width)
    return np.nan_to_num(depth, nan=0, posinf=0, neginf=0).astype(np.float32)
