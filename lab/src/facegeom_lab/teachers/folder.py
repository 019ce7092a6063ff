"""Labels of all photos in a folder by a teacher chosen by name: ``facegeom lab label-folder``."""

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
from facegeom_lab.external.environments import ensure_python
from facegeom_lab.teachers import labels
from facegeom_lab.teachers.mediapipe import NAME as MEDIAPIPE
from facegeom_lab.teachers.mediapipe import MediaPipeTeacher

NAMES = ("mediapipe", "mediapipe-task", "heatmap")
WITH_MODEL = {"mediapipe-task": "a face_landmarker.task file", "heatmap": "a checkpoint in its run folder"}

CHUNK = 200
"""Photos of a part: a killed run loses the labels of at most this many."""

Item = TypeVar("Item")


def make_teacher(
    name: str, model: Path | None, python: Path | None, workers: int, max_flip_error: float
) -> labels.Teacher:
    """Build a teacher.

    Args:
        name: one of ``NAMES``.
        model: file of those in ``WITH_MODEL``, None for the others.
        python: interpreter with MediaPipe 0.10.21; None for the environment that facegeom makes.
        workers: number of MediaPipe's processes.
        max_flip_error: labels of photo and mirror image that differ by more are not kept.

    Raises:
        InputError: an unknown name; a model that is missing, damaged or not asked for.
    """
    if name not in NAMES:
        raise InputError(f"expected one of the teachers {', '.join(NAMES)}, got {name!r}")
    if model is None and name in WITH_MODEL:
        raise InputError(f"the teacher {name} needs {WITH_MODEL[name]}; give it with --model")
    if model is not None and name not in WITH_MODEL:
        raise InputError(f"the teacher {name} brings its own model, got --model {model}; leave that out")
    if name == "heatmap" and model:
        from facegeom_lab.teachers.heatmap import HeatmapTeacher  # torch and timm, only when needed

        return HeatmapTeacher(model, max_flip_error)
    return MediaPipeTeacher(python or ensure_python(MEDIAPIPE), model, workers, max_flip_error)


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
    table = labels.ResumableTable(out, labels.schema(teacher))
    waiting = [file for file in files if file not in table.finished]
    with tqdm(total=len(files), initial=len(files) - len(waiting), unit="photo", file=sys.stderr) as bar:
        for some in _chunks(_rows(photos, waiting, teacher, bar), chunk):
            table.append(row for rows in some for row in rows)
    table.merge()
    return counts(out)


def find_photos(folder: Path) -> list[str]:
    """Return the paths of the photos below a folder, sorted, with ``/``, without hidden ones.

    Raises:
        InputError: there are none.
    """
    below = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in reading.ENDINGS)
    found = sorted(path.as_posix() for path in below if not any(part.startswith(".") for part in path.parts))
    if not found:
        raise InputError(f"expected a folder with photos, found none in {str(folder)!r}; check the path")
    return found


def counts(file: Path) -> dict[str, int]:
    """Count the photos and faces of a file of labels, by kind."""
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


def _rows(
    folder: Path, files: list[str], teacher: labels.Teacher, bar: tqdm
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each photo."""
    if files:
        found = teacher([folder / file for file in files])
        for file, labelled in zip(files, found, strict=True):
            yield labels.rows(file, teacher.scheme, labelled)
            bar.update()


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while some := list(islice(items, size)):
        yield some
