"""WFLW: 10,000 faces with 98 points.

Wu et al., "Look at Boundary: A Boundary-Aware Face Alignment Algorithm", CVPR 2018.

Layout: ``WFLW_images/EVENT/NAME.jpg`` and, in ``WFLW_annotations/list_98pt_rect_attr_train_test``, the lists
``list_98pt_rect_attr_{train,test}.txt``. A line of a list holds x and y of 98 points; the box's left, top,
right and bottom; six attributes, 0 or 1; the photo.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facegeom_lab.datasets.published.common import check_split, damaged, face_names, lines, numbers, require
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

POINTS = 98
ATTRIBUTES = ("pose", "expression", "illumination", "makeup", "occlusion", "blur")
"""In the order of the lists; the published subsets of the test split."""

INFO = DatasetInfo(
    name="wflw",
    title="WFLW",
    url="https://wywu.github.io/projects/LAB/WFLW.html",
    terms="research only, not commercial",
    scheme="wflw98",
    splits=("train", "test", *(f"test-{attribute}" for attribute in ATTRIBUTES)),
)

_FIELDS = 2 * POINTS + 4 + len(ATTRIBUTES)
_LISTS = Path("WFLW_annotations/list_98pt_rect_attr_train_test")


@dataclass(frozen=True, eq=False)
class _Row:
    """One line of a list: its numbers (206,), the photo, the split of the list."""

    values: np.ndarray
    file: str
    split: str

    def belongs(self, split: str | None) -> bool:
        if split is None or split == self.split:
            return True
        attribute = split.removeprefix("test-")
        return self.split == "test" and attribute in ATTRIBUTES and bool(self._attributes()[attribute])

    def _attributes(self) -> dict[str, float]:
        return dict(zip(ATTRIBUTES, self.values[-len(ATTRIBUTES) :].tolist(), strict=True))


def records(root: Path, split: str | None = None) -> list[FaceRecord]:
    """Read the faces of WFLW with their boxes; occlusion is labelled for faces, not for points.

    Args:
        root: the folder of ``WFLW_images`` and ``WFLW_annotations``.
        split: train (7500 faces), test (2500), a subset of the test such as test-pose, or None for both.

    Raises:
        InputError: another split; a file is missing or damaged.
    """
    check_split(split, INFO)
    rows = [row for subset in ("train", "test") for row in _list(root, subset)]
    names = face_names([row.file for row in rows])
    return [_record(root, name, row) for name, row in zip(names, rows, strict=True) if row.belongs(split)]


def _list(root: Path, subset: str) -> list[_Row]:
    path = root / _LISTS / f"list_98pt_rect_attr_{subset}.txt"
    return [_row(line, f"{path}:{row}", subset) for row, line in enumerate(lines(path, INFO), 1)]


def _row(line: str, place: str, subset: str) -> _Row:
    fields = line.split(maxsplit=_FIELDS)
    if len(fields) != _FIELDS + 1:
        raise damaged(place, f"{_FIELDS} numbers and a photo", f"{len(fields)} fields", INFO)
    return _Row(numbers(fields[:-1], _FIELDS, place, INFO), fields[-1], subset)


def _record(root: Path, name: str, row: _Row) -> FaceRecord:
    return FaceRecord(
        name=f"WFLW_images/{name}",
        read=photo_reader(require(root / "WFLW_images" / row.file, INFO)),
        split=row.split,
        scheme=INFO.scheme,
        points=row.values[: 2 * POINTS].reshape(POINTS, 2),
        box_xyxy=row.values[2 * POINTS : 2 * POINTS + 4],
        source=INFO.name,
    )
