"""Points of pictures as the task keeps them: 28 numbers by file name, or a table of them (``gt.csv``)."""

import csv
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import numpy as np

from facegeom.export.files import write
from facegeom_lab.datasets.published import facepoints14

GT = "gt.csv"
"""Name of the table beside a folder of pictures."""


def read_table(path: Path) -> dict[str, np.ndarray]:
    """28 numbers x1, y1, …, x14, y14 by file name; NaN where a point was not annotated.

    Raises:
        InputError: the file is missing or damaged.
    """
    return {name: points.reshape(-1) for name, points in facepoints14.read_table(path).items()}


def write_table(path: Path, points: Mapping[str, np.ndarray]) -> None:
    """Write 28 numbers by file name, three decimals; an empty field stands for a point not annotated.

    Raises:
        OutputError: the place cannot be written.
    """
    stream = StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(facepoints14.HEADER)
    for name, numbers in points.items():
        table.writerow([name, *("" if np.isnan(number) else f"{number:.3f}" for number in numbers)])
    write(path, stream.getvalue().encode())
