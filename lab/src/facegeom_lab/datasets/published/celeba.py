"""CelebA: 202,599 photos with a box and 5 points.

Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015.

Layout: ``Img/img_celeba`` with ``Anno/list_landmarks_celeba.txt`` and ``Anno/list_bbox_celeba.txt``, or the
aligned ``Img/img_align_celeba`` with ``Anno/list_landmarks_align_celeba.txt``; and
``Eval/list_eval_partition.txt``. The folders ``Img``, ``Anno`` and ``Eval`` may be left out.
"""

from pathlib import Path

import numpy as np

from facegeom_lab.datasets.published.common import base, check_split, damaged, lines, locate, numbers, require
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

INFO = DatasetInfo(
    name="celeba",
    title="CelebA",
    url="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    terms="research only, not commercial",
    scheme="celeba5",
    splits=("train", "val", "test"),
)


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the faces of CelebA.

    The photos in the wild, with boxes, if they are there, else the aligned ones, without boxes.

    Args:
        root: the folder of ``Img``, ``Anno`` and ``Eval``, or the one that holds it as ``CelebA``.
        split: train (162,770), val (19,867), test (19,962), or None for all.

    Raises:
        InputError: another split; a file is missing or damaged.
    """
    check_split(split, INFO)
    root = base(root, "CelebA")
    places = ("Img/img_celeba", "img_celeba", "Img/img_align_celeba", "img_align_celeba")
    folder = locate(root, places, INFO)
    wild = folder.name == "img_celeba"
    points = _table(_list(root, "Anno", f"list_landmarks{'' if wild else '_align'}_celeba.txt"), 10, 2)
    boxes = _table(_list(root, "Anno", "list_bbox_celeba.txt"), 4, 2) if wild else {}
    return [
        FaceRecord(
            name=f"{folder.name}/{file}",
            read=photo_reader(require(folder / file, INFO)),
            split=subset,
            scheme=INFO.scheme,
            points=_numbers_of(points, file).reshape(5, 2),
            box_xyxy=_box(_numbers_of(boxes, file)) if wild else None,
            source=INFO.name,
        )
        for file, subset in _splits(_list(root, "Eval", "list_eval_partition.txt")).items()
        if split in (None, subset)
    ]


def _splits(file: Path) -> dict[str, str]:
    """Read the split of each photo: 0, 1, 2 for train, val, test."""
    table = _table(file, 1, 0)
    if not all(value in (0, 1, 2) for (value,) in table.values()):
        raise damaged(file, "0, 1 or 2 for each photo", "another number", INFO)
    return {name: INFO.splits[int(value)] for name, (value,) in table.items()}


def _list(root: Path, folder: str, name: str) -> Path:
    return locate(root, (f"{folder}/{name}", name), INFO)


def _table(file: Path, width: int, header: int) -> dict[str, np.ndarray]:
    """Read numbers (width,) by photo; the first line of a header is the count of photos."""
    rows = lines(file, INFO)
    if header and (len(rows) < header or rows[0].strip() != str(len(rows) - header)):
        got = f"{rows[0]!r} and {len(rows) - header}" if rows else "nothing"
        raise damaged(file, "the number of photos in the first line, then as many lines", got, INFO)
    table = {}
    for row, line in enumerate(rows[header:], header + 1):
        name, *fields = line.split()
        table[name] = numbers(fields, width, f"{file}:{row}", INFO)
    return table


def _numbers_of(table: dict[str, np.ndarray], file: str) -> np.ndarray:
    if file not in table:
        raise damaged("the lists", f"numbers for {file} of list_eval_partition.txt", "none", INFO)
    return table[file]


def _box(values: np.ndarray) -> np.ndarray | None:
    """Return edges (4,) from left, top, width, height; None for the empty boxes of a few photos."""
    if values[2:].min() <= 0:
        return None
    return np.concatenate([values[:2], values[:2] + values[2:]])
