"""Folders of the compact task from the data pack: tightly cropped faces with 14 points each."""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from facegeom.export.files import write
from facegeom.geometry.boxes import from_points
from facegeom_lab.datasets.published.pack import (
    FaceRow,
    face_landmarks,
    face_rows,
    mesh_labels,
    read_face_rgba,
)
from facegeom_lab.datasets.schemes import facepoints14_from_68
from facegeom_lab.datasets.training.face_labels import landmark_map
from facegeom_lab.keypoints14.data import GT, write_table

CROP_SCALE = 1.2
"""Ratio of a crop's sides to the extent of the 14 points."""

ANNOTATED = ("helen", "lfpw", "afw")
"""Sources with human annotations; the error is measured on these only."""

VARIANTS = {"shifted": (1.0, 0.05), "loose12": (1.2, 0.0), "loose15": (1.5, 0.0)}
"""Further crops of val and afw: scale of the sides, shift in sides."""

VIDEOS = ("ytf", "ytf-test")
EVERY_FRAME = 3
"""Step between the video frames that are used; neighbours are nearly the same."""

Points = dict[str, np.ndarray]


def prepare(data: Path, out: Path, labels: Path | None = None) -> dict[str, int]:
    """Write ``out/train``, ``out/val`` and ``out/afw``, each with ``images/*.png`` and ``gt.csv``.

    A crop has 1.2 times the extent of its points, to the nearest pixel, centred on them; outside the photo
    the last row or column is repeated. ``val`` (HELEN, LFPW) and ``afw`` have human annotations, and so have
    HELEN and LFPW in ``train``. Both come in looser and shifted crops, too, as ``val-VARIANT`` of
    ``VARIANTS``. The other points of ``train`` follow from mesh labels by their linear map; without mesh
    labels they are those of the video frames. Every third video frame is used.

    Args:
        data: the data pack.
        out: folder to write.
        labels: file of ``facegeom lab label``; None for none.

    Returns:
        Number of images by folder.

    Raises:
        InputError: a file of the pack, or the labels, are missing.
        OutputError: the folder cannot be written.
    """
    rows, given = face_rows(data), _fourteen(face_landmarks(data))
    annotated = {row.file: given[row.file] for row in rows if row.source in ANNOTATED}
    train = {**(_from_meshes(labels, rows) if labels else given), **annotated}
    used = _fewer_frames(rows)
    folders: dict[str, tuple[Points, Callable[[FaceRow], bool]]] = {
        "train": (train, lambda row: row.split == "train"),
        "val": (annotated, lambda row: row.split == "val"),
        "afw": (annotated, lambda row: row.split == "test"),
    }
    counts = {
        name: _write_folder(data / "faces", out / name, points, filter(belongs, used))
        for name, (points, belongs) in folders.items()
    }
    for variant, (scale, shift) in VARIANTS.items():
        for name, (points, belongs) in folders.items():
            if name != "train":
                chosen = filter(belongs, used)
                _write_folder(data / "faces", out / f"{name}-{variant}", points, chosen, scale, shift)
    return counts


def _fewer_frames(rows: list[FaceRow]) -> list[FaceRow]:
    """Drop most of the video frames; the other rows keep their order."""
    frames = [row.file for row in rows if row.source in VIDEOS]
    dropped = set(frames) - set(frames[::EVERY_FRAME])
    return [row for row in rows if row.file not in dropped]


def _fourteen(landmarks: Points) -> Points:
    return {file: facepoints14_from_68(points) for file, points in landmarks.items()}


def _from_meshes(labels: Path, rows: list[FaceRow]) -> Points:
    """Return points (14, 2) by file, for the rows whose mesh labels were kept."""
    table = mesh_labels(labels)
    points = facepoints14_from_68(landmark_map(labels).apply(table["mesh"][..., :2]))
    labelled = zip(rows, points, table["keep"], strict=True)
    return {row.file: each for row, each, kept in labelled if kept}


def _write_folder(
    faces: Path,
    out: Path,
    points: Points,
    rows: Iterable[FaceRow],
    scale: float = 1.0,
    shift: float = 0.0,
) -> int:
    cropped: Points = {}
    for row in tqdm([row for row in rows if row.file in points], desc=out.name, unit="image"):
        name = f"{Path(row.file).with_suffix('').as_posix().replace('/', '_')}.png"
        image, moved = tight_crop(read_face_rgba(faces / row.file), points[row.file], scale, shift)
        write(out / "images" / name, cv2.imencode(".png", image[..., ::-1])[1].tobytes())
        cropped[name] = moved.reshape(-1)
    write_table(out / GT, cropped)
    return len(cropped)


def tight_crop(
    image: np.ndarray, points: np.ndarray, scale: float = 1.0, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Crop (h, w, 3) around points (K, 2), and return the points in pixels of the crop.

    Args:
        image: (H, W, 4) uint8, RGB and alpha; alpha is 0 outside a rectangle, the photo.
        points: (K, 2) pixels of the image.
        scale: of the crop's sides, 1 for ``CROP_SCALE``.
        shift: of the crop to the right and down, in its sides.
    """
    extent = from_points(points.astype(np.float64))
    middle, half = (extent[:2] + extent[2:]) / 2, (extent[2:] - extent[:2]) * CROP_SCALE * scale / 2
    middle = middle + 2 * half * shift
    low = np.rint(middle - half + 0.5).astype(int)  # the pixel with the nearest left or top edge
    size = np.maximum(np.rint(2 * half).astype(int), 1)
    columns, rows = (
        np.clip(np.arange(start, start + count), inside[0], inside[-1])
        for start, count, inside in zip(low, size, _photo_range(image[..., 3]), strict=True)
    )
    return image[rows[:, None], columns, :3], points - low


def _photo_range(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns and rows of the photo within the image."""
    return np.flatnonzero(alpha.any(axis=0)), np.flatnonzero(alpha.any(axis=1))
