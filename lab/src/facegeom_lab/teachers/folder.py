"""Labelling of a whole folder: ``facegeom lab label-folder``."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.image import reading
from facegeom_lab.teachers import labels
from facegeom_lab.teachers.parts import GrowingTable

CHUNK = 200
"""Photos of a part: a kill loses the labels of at most so many."""

Item = TypeVar("Item")


def label_folder(photos: Path, out: Path, teacher: labels.Teacher, chunk: int = CHUNK) -> dict[str, int]:
    """Label all photos in a folder and in those below it into a Parquet file (columns: see ``labels``).

    Photos that an earlier run has finished, killed or not, are not labelled again; delete the file to do so.

    Returns:
        Counts: photos, unreadable ones, those without a face, faces, and how many of these are kept.

    Raises:
        InputError: no photos there, or the file was made with other settings.
        OutputError: the file cannot be written.
    """
    files = find_photos(photos)
    table = GrowingTable(out, labels.schema(teacher))
    waiting = [file for file in files if file not in table.finished]
    with tqdm(total=len(files), initial=len(files) - len(waiting), unit="photo", file=sys.stderr) as bar:
        for some in _chunks(_labelled(photos, waiting, teacher, bar), chunk):
            table.append(row for rows in some for row in rows)
    table.merge()
    return counts(out)


def find_photos(folder: Path) -> list[str]:
    """Paths below the folder of the photos in it and in its folders, sorted, with ``/``; no hidden ones.

    Raises:
        InputError: there are none.
    """
    below = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in reading.ENDINGS)
    found = sorted(path.as_posix() for path in below if not any(part.startswith(".") for part in path.parts))
    if not found:
        raise InputError(f"expected a folder with photos, found none in {str(folder)!r}; check the path")
    return found


def counts(file: Path) -> dict[str, int]:
    """What is in a file of labels, by kind."""
    table = pq.read_table(file, columns=["file", "face", "keep", "error"])
    unreadable = table.num_rows - table["error"].null_count
    faces = table.num_rows - table["face"].null_count
    return {
        "photos": pc.count_distinct(table["file"]).as_py(),
        "unreadable": unreadable,
        "without a face": table.num_rows - faces - unreadable,
        "faces": faces,
        "kept": pc.sum(table["keep"], min_count=0).as_py(),
    }


def _labelled(
    folder: Path, files: list[str], teacher: labels.Teacher, bar: tqdm
) -> Iterator[list[dict[str, Any]]]:
    """The rows of each photo."""
    if files:
        for file, said in zip(files, teacher([folder / file for file in files]), strict=True):
            yield labels.rows(file, teacher.scheme, said)
            bar.update()


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while some := list(islice(items, size)):
        yield some
