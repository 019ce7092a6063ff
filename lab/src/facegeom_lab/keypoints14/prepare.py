"""The task's folders out of the data pack: faces cropped as tightly as the task's own, 14 points each."""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from facegeom.export.files import write
from facegeom.geometry.boxes import from_points
from facegeom.geometry.schemes import facepoints14_from_68
from facegeom_lab.datasets.published.pack import FaceRow, face_landmarks, face_rows, mesh_labels
from facegeom_lab.datasets.training.faces import labelled_map, without_border
from facegeom_lab.keypoints14.table import GT, write_table

CROP_SCALE = 1.2
"""Sides of a crop, of the 14 points' extent."""

PEOPLE = ("helen", "lfpw", "afw")
"""Sources whose points people have set; the error is measured on nothing else."""

VIDEOS = ("ytf", "ytf-test")
EVERY_FRAME = 3
"""Of the frames of videos that are used; neighbours show nearly the same."""

Points = dict[str, np.ndarray]


def prepare(data: Path, out: Path, labels: Path | None = None) -> dict[str, int]:
    """Write ``out/train``, ``out/val`` and ``out/afw``, each with ``images/*.png`` and ``gt.csv``.

    A crop has 1.2 times the extent of its points, to the nearest pixel, with the extent in its middle; where
    the photo ends, its last row or column goes on. ``val`` (HELEN, LFPW) and ``afw`` are labelled by people.
    So are HELEN and LFPW in ``train``; its other points follow from the mesh by the linear map that came with
    the labels, or, without labels, are the given ones of the video frames. Of these every third is used.

    Args:
        data: the data pack.
        out: folder to make.
        labels: file of ``facegeom lab label``; None to do without.

    Returns:
        Number of pictures by folder.

    Raises:
        InputError: a file of the pack, or the labels, are missing.
        OutputError: the folder cannot be written.
    """
    rows, given = face_rows(data), _fourteen(face_landmarks(data))
    people = {row.file: given[row.file] for row in rows if row.source in PEOPLE}
    train = {**(_from_meshes(labels, rows) if labels else given), **people}
    used = _fewer_frames(rows)
    folders: dict[str, tuple[Points, Callable[[FaceRow], bool]]] = {
        "train": (train, lambda row: row.split == "train"),
        "val": (people, lambda row: row.split == "val"),
        "afw": (people, lambda row: row.split == "test"),
    }
    return {
        name: _write_folder(data / "faces", out / name, points, filter(belongs, used))
        for name, (points, belongs) in folders.items()
    }


def _fewer_frames(rows: list[FaceRow]) -> list[FaceRow]:
    """The rows without most of the video frames; the rest keep their order."""
    frames = [row.file for row in rows if row.source in VIDEOS]
    dropped = set(frames) - set(frames[::EVERY_FRAME])
    return [row for row in rows if row.file not in dropped]


def _fourteen(landmarks: Points) -> Points:
    return {file: facepoints14_from_68(points) for file, points in landmarks.items()}


def _from_meshes(labels: Path, rows: list[FaceRow]) -> Points:
    """14 points (14, 2) by file, for the rows whose mesh labels were kept; these have the rows' order."""
    table = mesh_labels(labels)
    points = facepoints14_from_68(labelled_map(labels).apply(table["mesh"][..., :2]))
    labelled = zip(rows, points, table["keep"], strict=True)
    return {row.file: each for row, each, kept in labelled if kept}


def _write_folder(faces: Path, out: Path, points: Points, rows: Iterable[FaceRow]) -> int:
    cropped: Points = {}
    for row in tqdm([row for row in rows if row.file in points], desc=out.name, unit="picture"):
        name = f"{Path(row.file).with_suffix('').as_posix().replace('/', '_')}.png"
        picture, moved = tight_crop(without_border(faces / row.file), points[row.file])
        write(out / "images" / name, cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
        cropped[name] = moved.reshape(-1)
    write_table(out / GT, cropped)
    return len(cropped)


def tight_crop(picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The crop (h, w, 3) around points (K, 2) and the points in its pixels.

    Args:
        picture: (H, W, 4) uint8, RGB and alpha, which is 0 outside a rectangle: the photo.
        points: (K, 2) pixels of the picture.
    """
    extent = from_points(points.astype(np.float64))
    middle, half = (extent[:2] + extent[2:]) / 2, (extent[2:] - extent[:2]) * CROP_SCALE / 2
    low = np.rint(middle - half + 0.5).astype(int)  # the pixel whose edge, half a pixel before it, is nearest
    size = np.maximum(np.rint(2 * half).astype(int), 1)
    columns, rows = (
        np.clip(np.arange(start, start + count), inside[0], inside[-1])
        for start, count, inside in zip(low, size, _photo(picture[..., 3]), strict=True)
    )
    return picture[rows[:, None], columns, :3], points - low


def _photo(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the photo within the picture."""
    return np.flatnonzero(alpha.any(axis=0)), np.flatnonzero(alpha.any(axis=1))
