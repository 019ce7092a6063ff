"""LaPa: 22,176 photos with 106 points.

Liu et al., "A New Dataset and Boundary-Attention Semantic Segmentation for Face Parsing", AAAI 2020.

Layout: ``{train,val,test}/images/NAME.jpg`` and ``{train,val,test}/landmarks/NAME.txt``, whose first line is
106 and whose others are x and y of a point.
"""

from pathlib import Path

import numpy as np

from facegeom_lab.datasets.published.common import base, check_split, damaged, lines, numbers, require
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

INFO = DatasetInfo(
    name="lapa",
    title="LaPa",
    url="https://github.com/JDAI-CV/lapa-dataset",
    terms="research only, not commercial",
    scheme="lapa106",
    splits=("train", "val", "test"),
)

POINTS = 106


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the faces of LaPa; no boxes, no occlusion labels.

    Args:
        root: the unpacked ``LaPa``, or the folder that holds it.
        split: train, val, test, or None for all.

    Raises:
        InputError: another split; a file is missing or damaged.
    """
    check_split(split, INFO)
    folder = base(root, "LaPa")
    subsets = INFO.splits if split is None else (split,)
    return [record for subset in subsets for record in _subset(folder, subset)]


def _subset(folder: Path, subset: str) -> list[FaceRecord]:
    texts = sorted(require(folder / subset / "landmarks", INFO).glob("*.txt"))
    if not texts:
        raise damaged(folder / subset / "landmarks", "a text file for each photo", "none", INFO)
    return [_record(folder, subset, text) for text in texts]


def _record(folder: Path, subset: str, text: Path) -> FaceRecord:
    image = require(folder / subset / "images" / f"{text.stem}.jpg", INFO)
    return FaceRecord(
        name=image.relative_to(folder).as_posix(),
        read=photo_reader(image),
        split=subset,
        scheme=INFO.scheme,
        points=_points(text),
        source=INFO.name,
    )


def _points(text: Path) -> np.ndarray:
    first, *rest = lines(text, INFO) or [""]
    if first.strip() != str(POINTS) or len(rest) != POINTS:
        raise damaged(
            text, f"{POINTS} in the first line, then as many lines", f"{first!r} and {len(rest)}", INFO
        )
    return np.stack([numbers(line.split(), 2, f"{text}:{row}", INFO) for row, line in enumerate(rest, 2)])
