"""300W: 68 points on the photos of five collections.

Sagonas et al., "300 Faces in-the-Wild Challenge", ICCV workshops 2013.

Layout: the archives of the facial point annotations side by side, each photo with a ``.pts`` file of the same
name: ``afw``, ``helen/{trainset,testset}``, ``lfpw/{trainset,testset}``, ``ibug``, and the challenge's own
``300W/{01_Indoor,02_Outdoor}``.
"""

from pathlib import Path

import numpy as np

from facegeom_lab.datasets.published.common import check_split, damaged, lines, locate, numbers
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

INFO = DatasetInfo(
    name="300w",
    title="300W",
    url="https://ibug.doc.ic.ac.uk/resources/facial-point-annotations/",
    terms="research only, not commercial",
    scheme="ibug68",
    splits=("train", "test", "test-common", "test-challenge", "test-300w"),
)

POINTS = 68

_TRAIN = (("afw", "afw"), ("helen", "helen/trainset"), ("lfpw", "lfpw/trainset"))
_COMMON = (("helen", "helen/testset"), ("lfpw", "lfpw/testset"))
_CHALLENGE = (("ibug", "ibug"),)
_OWN = (("300w-indoor", "300W/01_Indoor"), ("300w-outdoor", "300W/02_Outdoor"))
_FOLDERS = {
    "train": _TRAIN,
    "test": (*_COMMON, *_CHALLENGE),
    "test-common": _COMMON,
    "test-challenge": _CHALLENGE,
    "test-300w": _OWN,
}
"""Source and folder of each split."""


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the faces of 300W; no boxes, no occlusion labels.

    Args:
        root: the folder of ``afw``, ``helen`` and so on.
        split: train (3148 faces); test (689), which is test-common (554) and test-challenge (135);
            test-300w (600), the challenge's own photos; None for train and test.

    Raises:
        InputError: another split; a file is missing or damaged.
    """
    check_split(split, INFO)
    subsets = ("train", "test") if split is None else (split,)
    return [
        record
        for subset in subsets
        for source, place in _FOLDERS[subset]
        for record in _folder(root, place, subset.partition("-")[0], source)
    ]


def _folder(root: Path, place: str, split: str, source: str) -> list[FaceRecord]:
    folder = locate(root, tuple(dict.fromkeys((place, place.removeprefix("300W/")))), INFO)
    texts = sorted(folder.glob("*.pts"))
    if not texts:
        raise damaged(folder, "a .pts file for each photo", "none", INFO)
    return [_record(root, text, split, source) for text in texts]


def _record(root: Path, text: Path, split: str, source: str) -> FaceRecord:
    image = locate(text.parent, (f"{text.stem}.jpg", f"{text.stem}.png"), INFO)
    return FaceRecord(
        name=image.relative_to(root).as_posix(),
        read=photo_reader(image),
        split=split,
        scheme=INFO.scheme,
        points=read_pts(text),
        source=source,
    )


def read_pts(text: Path) -> np.ndarray:
    """Read the points (68, 2) of a ``.pts`` file; the file counts pixels from 1, the result from 0.

    Raises:
        InputError: the file holds something else.
    """
    content = [line.strip() for line in lines(text, INFO)]
    if "{" not in content or content[-1] != "}":
        raise damaged(text, "points between { and }", f"{len(content)} lines without them", INFO)
    rows = content[content.index("{") + 1 : -1]
    if len(rows) != POINTS:
        raise damaged(text, f"{POINTS} points", str(len(rows)), INFO)
    return np.stack([numbers(row.split(), 2, str(text), INFO) for row in rows]) - 1
