"""The free part of the data pack: photos, backgrounds and light that a company may train on.

Each photo has a row in one of the tables ``free/*.csv`` that names its source and licence. Official and
generated portraits have no points; of the studio portraits of ``people189`` 91 have 189 points set by people,
from which the 68 follow along the contours (:func:`points68`).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError

FloatArray = npt.NDArray[np.floating]

HELD_OUT = 10
"""Every so many-th person of the portraits is held out from training."""

BACKGROUND_TABLES = ("backgrounds-grocery", "backgrounds-flowers")


@dataclass(frozen=True)
class FreePhoto:
    """One photo of a person.

    Attributes:
        path: the file.
        source: ``official``, ``generated`` or ``people189``.
        licence: as its table says.
        origin: where the file comes from.
        held_out: whether the person is kept out of training.
    """

    path: Path
    source: str
    licence: str
    origin: str
    held_out: bool


def table(data: Path, name: str) -> list[dict[str, str]]:
    """Read ``free/NAME.csv``: a row for each file, with ``file``, ``licence`` and ``source``.

    Raises:
        InputError: the file is missing.
    """
    file = data / "free" / f"{name}.csv"
    if not file.is_file():
        raise InputError(f"expected the table of free photos at {file}, found nothing; check --data")
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def portraits(data: Path, split: str | None = None) -> list[FreePhoto]:
    """Return the photos of people, in the order of their files; split is train, val or None for all."""
    found = []
    for folder in ("portraits", "people189"):
        for row in sorted(table(data, folder), key=lambda row: row["file"]):
            held_out = _person(row["file"]) % HELD_OUT == 0
            source = "people189" if folder == "people189" else row["file"].partition("_")[0]
            path = data / "free" / folder / row["file"]
            found.append(FreePhoto(path, source, row["licence"], row["source"], held_out))
    return [photo for photo in found if split is None or photo.held_out == (split == "val")]


def _person(file: str) -> int:
    """Return the number of the person in a file's name: official_029701, london-smiling_061_08."""
    return int(re.findall(r"\d+", file)[0])


def counts(data: Path) -> dict[str, int]:
    """Count the files of each source, as the manifest of the weights lists them."""
    found = Counter(photo.source for photo in portraits(data))
    names = {name.removeprefix("backgrounds-"): len(table(data, name)) for name in BACKGROUND_TABLES}
    return {**found, **names, "hdri": len(list((data / "free" / "hdri").glob("*.exr")))}


def credits(data: Path) -> list[str]:
    """Return the credits that the licences ask for, each once, sorted."""
    rows = [row for name in ("people189", *BACKGROUND_TABLES) for row in table(data, name)]
    return sorted({row["licence"] for row in rows})


def human_points(data: Path) -> dict[str, FloatArray]:
    """Return the 68 points (68, 2) by file of the studio portraits that people have marked."""
    with np.load(data / "free" / "people189" / "points189.npz") as arrays:
        files, marks = arrays["files"].tolist(), arrays["points_xy"].astype(np.float64)
    return dict(zip(files, points68(marks), strict=True))


JAW = (109, 185, 110, 186, 111, 125, 126, 127, 128, 129)
"""Marks of the outline from the ear in the image's left half to the chin."""

JAW_RIGHT = (112, 187, 113, 188, 114, 133, 132, 131, 130, 129)
BROW_EDGES = (((71, 72, 73, 74, 75), (71, 83, 84, 76)), ((78, 79, 80, 81, 82), (77, 85, 86, 82)))
"""Upper and lower edge of each brow, from the image's left."""

BROW_LOWERED = 0.25
"""The 68 points lie a little below a brow's upper edge: by this fraction of the way to the lower edge."""

NOSE_RIDGE = ((50, 56), (51, 57), (52, 58), (53, 59), (54, 60))
NOSE_BASE = (64, 180, 55, 181, 69)
EYES = (((18, 19, 20, 21, 22), (22, 30, 29, 28, 18)), ((23, 24, 25, 26, 27), (27, 33, 32, 31, 23)))
"""Upper lid and lower lid of each eye, each in the order of the 68 points."""

LIPS_OUTER = (87, 88, 89, 90, 91, 92, 93, 108, 107, 106, 105, 104)
LIPS_INNER = ((87, (94, 99)), (95,), (96,), (97,), (93, (98, 103)), (102,), (101,), (100,))


def points68(marks: FloatArray) -> FloatArray:
    """Return the 68 points (N, 68, 2) that follow from 189 marks (N, 189, 2), along the contours.

    Jaw: nine points a side, evenly spaced from the ear's top to the chin. Brows: five, evenly spaced on a
    line a quarter below the upper edge. Nose: four down the middle of the ridge, five along the base. Lids:
    the corners, and the points at a third and two thirds of each lid. Lips: the marks themselves; the inner
    corners lie half-way between the outer corners and the lips' first inner marks.
    """
    jaw = _spread(marks[:, JAW], 9)
    other = _spread(marks[:, JAW_RIGHT], 9)[:, ::-1]
    brows = []
    for edge, other_edge in BROW_EDGES:
        above, below = _spread(marks[:, edge], 5), _spread(marks[:, other_edge], 5)
        brows.append(above + BROW_LOWERED * (below - above))
    ridge = _spread(np.stack([marks[:, pair].mean(axis=1) for pair in NOSE_RIDGE], axis=1), 4)
    eyes = []
    for upper, lower in EYES:
        top, bottom = _spread(marks[:, upper], 4), _spread(marks[:, lower], 4)
        eyes += [top, bottom[:, 1:3]]
    inner = [_mean(marks, each) for each in LIPS_INNER]
    parts = [jaw, other[:, 1:], *brows, ridge, _spread(marks[:, NOSE_BASE], 5), *eyes]
    return np.concatenate([*parts, marks[:, LIPS_OUTER], np.stack(inner, axis=1)], axis=1)


def _mean(marks: FloatArray, which: tuple[int | tuple[int, ...], ...]) -> FloatArray:
    parts = [
        marks[:, list(each)].mean(axis=1) if isinstance(each, tuple) else marks[:, each] for each in which
    ]
    return np.mean(parts, axis=0)


def _spread(line: FloatArray, count: int) -> FloatArray:
    """Return points (N, count, 2) evenly spaced along polylines (N, K, 2), ends included."""
    steps = np.linalg.norm(np.diff(line, axis=1), axis=2)
    along = np.concatenate([np.zeros((len(line), 1)), np.cumsum(steps, axis=1)], axis=1)
    wanted = np.linspace(0, 1, count) * along[:, -1:]
    spread = [
        [np.interp(wanted[n], along[n], line[n, :, axis]) for axis in range(2)] for n in range(len(line))
    ]
    return np.array(spread).swapaxes(1, 2).reshape(len(line), count, 2)
