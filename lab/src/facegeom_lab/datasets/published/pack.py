"""The data pack: centred faces, whole scenes, backgrounds (see ``docs/data.md`` for its layout).

Its tables as they are (:func:`face_rows`, :func:`face_landmarks`, :func:`scene_entries`,
:func:`background_files`), its photos with human annotations (:class:`LabelledPhoto`), its faces as records
(:func:`records`).
"""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom_lab.datasets.published.common import check_split
from facegeom_lab.datasets.records import DatasetInfo, FaceRecord, photo_reader

FloatArray = npt.NDArray[np.floating]

INFO = DatasetInfo(
    name="pack",
    title="the data pack",
    url="its sources, see docs/data.md",
    terms="those of its sources, most for research only",
    scheme="ibug68",
    splits=("train", "val", "test"),
)

HUMAN_SOURCES = ("helen", "lfpw", "afw")
"""Sources with human annotations: points set or checked one photo at a time."""

BACKGROUNDS = {"train": range(0, 200), "val": range(200, 300)}
"""Numbers of the photos without a face, by split."""

CROWDS = {"train": slice(0, 353), "val": slice(353, 453)}
"""Photos of ``crowds/`` by split, in the order of ``crowds.json``."""

FREE_HELD_OUT = 10
"""Of the photos of groceries and flowers, in the order of their names, the first of so many is held out."""

_BORDER_LEVEL, _BORDER_FRACTION = 12, 0.02
"""A row or column belongs to the photo if this fraction of its pixels is brighter than the level."""


@dataclass(frozen=True)
class FaceRow:
    """One line of ``faces/faces.csv``: a square image with one face in its middle."""

    file: str
    source: str
    split: str
    size_px: int
    person: str


def face_rows(data: Path) -> list[FaceRow]:
    """Read the table of all images of ``data/faces``."""
    with _require(data / "faces" / "faces.csv").open(newline="", encoding="utf-8") as stream:
        return [
            FaceRow(row["file"], row["source"], row["split"], int(row["size_px"]), row["person"])
            for row in csv.DictReader(stream)
        ]


def face_landmarks(data: Path) -> dict[str, np.ndarray]:
    """Read the annotated points by file, (68, 2) float32 pixels, of the images that have them."""
    return {file: points.astype(np.float32) for file, points in _stored_landmarks(data).items()}


def _stored_landmarks(data: Path) -> dict[str, np.ndarray]:
    """Read the points (68, 2) by file, in the type in which they are stored."""
    with np.load(_require(data / "faces" / "landmarks68.npz")) as arrays:
        return dict(zip(arrays["files"].tolist(), arrays["points_xy"], strict=True))


def scene_entries(data: Path, split: str) -> list[dict[str, Any]]:
    """Return the entries of ``scenes.json`` of one split: train, val or test."""
    entries = json.loads(_require(data / "scenes" / "scenes.json").read_text(encoding="utf-8"))
    return [entry for entry in entries if entry["split"] == split]


def background_files(data: Path, split: str) -> list[Path]:
    """Return the photos without a face of one split: train or val."""
    return [_require(data / "backgrounds" / f"{index:03d}.jpg") for index in BACKGROUNDS[split]]


def free_background_files(data: Path, split: str) -> list[Path]:
    """Return the photos of groceries and flowers, without a face, of one split: train or val."""
    files = sorted((data / "free" / "backgrounds").glob("*.jpg"))
    return [file for index, file in enumerate(files) if (index % FREE_HELD_OUT == 0) == (split == "val")]


def mesh_labels(file: Path) -> dict[str, np.ndarray]:
    """Read the arrays written by ``facegeom lab label``.

    Raises:
        InputError: the file is missing.
    """
    if not file.is_file():
        raise InputError(
            f"expected mesh labels at {file}, found nothing; make them with `facegeom lab label`"
        )
    with np.load(file) as arrays:
        return {name: arrays[name] for name in arrays.files}


def read_images(files: Sequence[Path]) -> list[np.ndarray]:
    """Read images as (H, W, 3) uint8 RGB."""
    return [cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) for file in files]


def read_face_rgba(file: Path) -> np.ndarray:
    """Read an image of ``data/faces`` as (H, W, 4) uint8 RGBA, alpha 0 in the border around the photo."""
    (image,) = read_images([file])
    lit = image.max(axis=2) > _BORDER_LEVEL
    columns = np.flatnonzero(lit.mean(axis=0) > _BORDER_FRACTION)
    rows = np.flatnonzero(lit.mean(axis=1) > _BORDER_FRACTION)
    alpha = np.zeros(image.shape[:2], np.uint8)
    alpha[rows[0] + 1 : rows[-1], columns[0] + 1 : columns[-1]] = 255
    return np.dstack([image, alpha])


def _require(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"expected the data pack's {path.name} at {path}, found nothing; check --data")
    return path


def _rows(*shape: int) -> Callable[[], FloatArray]:
    return lambda: np.zeros((0, *shape))


@dataclass(frozen=True, eq=False)
class LabelledPhoto:
    """One photo and its human annotations, pixels of the file, pixel centres at integers.

    Attributes:
        path: the file.
        source: ``helen``, ``lfpw``, ``afw``, …
        labelled: count of faces that are labelled, by humans or by MTCNN.
        box_xyxy: (N, 4) boxes of the N faces labelled by humans.
        teacher_box_xyxy: (N, 4) MTCNN's boxes of the same faces; a row of NaN where it has none.
        landmarks_px: (N, 68, 2).
    """

    path: Path
    source: str
    labelled: int = 0
    box_xyxy: FloatArray = field(default_factory=_rows(4))
    teacher_box_xyxy: FloatArray = field(default_factory=_rows(4))
    landmarks_px: FloatArray = field(default_factory=_rows(68, 2))


def scene_photos(data: Path, split: str) -> list[LabelledPhoto]:
    """Return the whole photos of ``scenes/``; split is ``train``, ``val`` or ``test`` (AFW)."""
    return [_scene(data / "scenes", entry) for entry in scene_entries(data, split)]


def _scene(folder: Path, entry: dict[str, Any]) -> LabelledPhoto:
    human = [face for face in entry["faces"] if face["origin"] == "human"]
    missing = [np.nan] * 4
    return LabelledPhoto(
        path=folder / entry["file"],
        source=entry["source"],
        labelled=len(entry["faces"]),
        box_xyxy=np.array([face["box"] for face in human]).reshape(-1, 4),
        teacher_box_xyxy=np.array([face.get("teacher_box", missing) for face in human]).reshape(-1, 4),
        landmarks_px=np.array([face["landmarks68"] for face in human]).reshape(-1, 68, 2),
    )


def face_photos(data: Path, split: str, sources: Iterable[str] | None = None) -> list[LabelledPhoto]:
    """Return the images of ``faces/``: landmarks (1, 68, 2) or (0, 68, 2), no boxes.

    Args:
        data: the data pack.
        split: ``train``, ``val`` or ``test``.
        sources: only these; all by default.
    """
    wanted = None if sources is None else set(sources)
    points = _stored_landmarks(data)
    return [
        LabelledPhoto(
            data / "faces" / row.file,
            row.source,
            1,
            landmarks_px=np.array([points[row.file]] if row.file in points else []).reshape(-1, 68, 2),
        )
        for row in face_rows(data)
        if row.split == split and (wanted is None or row.source in wanted)
    ]


def crowd_photos(data: Path, split: str) -> list[LabelledPhoto]:
    """Return the photos of ``crowds/`` of one split, train or val; boxes as labelled, no points."""
    entries = json.loads(_require(data / "crowds" / "crowds.json").read_text(encoding="utf-8"))[CROWDS[split]]
    photos = []
    for entry in entries:
        boxes = np.array([face["box"] for face in entry["faces"]], np.float64).reshape(-1, 4)
        path, missing = data / "crowds" / entry["file"], np.full_like(boxes, np.nan)
        photos.append(LabelledPhoto(path, "crowds", len(boxes), boxes, missing))
    return photos


def background_photos(data: Path) -> list[LabelledPhoto]:
    """Return the photos without a face that are held out from training."""
    return [LabelledPhoto(file, "backgrounds") for file in background_files(data, "val")]


def records(
    root: Path,
    split: str | None = None,
    sources: Sequence[str] = HUMAN_SOURCES,
    labels: Path | None = None,
) -> list[FaceRecord]:
    """Read the faces of the pack that have points or a mesh. The images are black around the photo.

    Args:
        root: the data pack.
        split: train, val, test, or None for all.
        sources: those wanted, as in ``faces.csv``.
        labels: file of ``facegeom lab label``; the meshes that its filter keeps become part of the records.

    Raises:
        InputError: another split; an unknown source; a file is missing.
    """
    check_split(split, INFO)
    rows = face_rows(root)
    unknown = sorted(set(sources) - {row.source for row in rows})
    if unknown:
        known = ", ".join(sorted({row.source for row in rows}))
        raise InputError(f"expected sources of the data pack ({known}), got {', '.join(unknown)}")
    points, meshes = face_landmarks(root), _kept_meshes(labels)
    return [
        _record(root, row, points.get(row.file), meshes.get(row.file))
        for row in rows
        if row.source in sources and split in (None, row.split) and (row.file in points or row.file in meshes)
    ]


def _kept_meshes(labels: Path | None) -> dict[str, np.ndarray]:
    """Return the meshes (478, 3) by image that the labels' filter keeps."""
    if labels is None:
        return {}
    table = mesh_labels(labels)
    return {str(table["files"][index]): table["mesh"][index] for index in np.flatnonzero(table["keep"])}


def _record(root: Path, row: FaceRow, points: np.ndarray | None, mesh: np.ndarray | None) -> FaceRecord:
    return FaceRecord(
        name=f"faces/{row.file}",
        read=photo_reader(root / "faces" / row.file),
        split=row.split,
        scheme=INFO.scheme if points is not None else "",
        points=points,
        mesh=mesh,
        source=row.source,
    )
