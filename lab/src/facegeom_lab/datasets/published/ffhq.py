"""FFHQ: 70,000 portraits of 1024 x 1024 pixels.

Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019.

Layout: ``images1024x1024/00000/00000.png`` and so on, a folder for each thousand; some may be missing.
Optional: ``ffhq-dataset-v2.json`` with 68 points detected by dlib.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from facegeom_lab.datasets.published.common import check_split, damaged, require
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

INFO = DatasetInfo(
    name="ffhq",
    title="FFHQ",
    url="https://github.com/NVlabs/ffhq-dataset",
    terms="CC BY-NC-SA 4.0; each photo under its own licence, all allow use that is not commercial",
    scheme="ibug68",
    splits=("train", "val"),
)

TRAIN_IMAGES = 60_000

_JSON = "ffhq-dataset-v2.json"


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the images of FFHQ that are there, by number; with the JSON file they have dlib's points.

    Args:
        root: the folder of ``images1024x1024``.
        split: train (numbers below 60,000), val (the others), or None for both.

    Raises:
        InputError: another split; there are no images; the JSON file is damaged.
    """
    check_split(split, INFO)
    folder = require(root / "images1024x1024", INFO)
    images = sorted(folder.glob("*/[0-9]*.png")) or sorted(folder.glob("[0-9]*.png"))
    if not images:
        raise damaged(folder, "images such as 00000/00000.png", "none", INFO)
    entries = _entries(root / _JSON)
    return [_record(root, file, entries) for file in images if split in (None, _split(file))]


def _split(file: Path) -> str:
    return "train" if int(file.stem) < TRAIN_IMAGES else "val"


def _entries(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(file, "a JSON object", str(error), INFO) from error
    if not isinstance(entries, dict):
        raise damaged(file, "a JSON object", type(entries).__name__, INFO)
    return entries


def _record(root: Path, file: Path, entries: dict[str, Any]) -> FaceRecord:
    points = _points(file, root / _JSON, entries) if entries else None
    return FaceRecord(
        name=file.relative_to(root).as_posix(),
        read=photo_reader(file),
        split=_split(file),
        scheme=INFO.scheme if entries else "",
        points=points,
        source=INFO.name,
    )


def _points(image: Path, file: Path, entries: dict[str, Any]) -> np.ndarray:
    try:
        points = np.array(entries[str(int(image.stem))]["image"]["face_landmarks"], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(file, f"the 68 points of {image.name}", repr(error), INFO) from error
    if points.shape != (68, 2):
        raise damaged(file, f"the 68 points of {image.name}", f"numbers {points.shape}", INFO)
    return points
