"""The data pack as the benchmark reads it: labelled pictures by set and split."""

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError

FloatArray = npt.NDArray[np.floating]

BACKGROUNDS = range(200, 300)  # the ones nobody trains on


def _rows(*shape: int) -> Callable[[], FloatArray]:
    return lambda: np.zeros((0, *shape))


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture and its human labels, pixels of the file, pixel centres at integers.

    Attributes:
        path: the file.
        source: ``helen``, ``lfpw``, ``afw``, …
        labelled: faces that anyone labelled, people or MTCNN.
        box_xyxy: (N, 4) boxes of the N faces labelled by people.
        teacher_box_xyxy: (N, 4) MTCNN's boxes of the same faces; a row of NaN where it has none.
        landmarks_px: (N, 68, 2).
    """

    path: Path
    source: str
    labelled: int = 0
    box_xyxy: FloatArray = field(default_factory=_rows(4))
    teacher_box_xyxy: FloatArray = field(default_factory=_rows(4))
    landmarks_px: FloatArray = field(default_factory=_rows(68, 2))


def scenes(data: Path, split: str) -> list[Picture]:
    """Whole photos of ``scenes/``; split is ``train``, ``val`` or ``test`` (AFW)."""
    listed = json.loads(_existing(data / "scenes" / "scenes.json").read_text(encoding="utf-8"))
    return [_scene(data / "scenes", entry) for entry in listed if entry["split"] == split]


def _scene(folder: Path, entry: dict[str, Any]) -> Picture:
    human = [face for face in entry["faces"] if face["origin"] == "human"]
    missing = [np.nan] * 4
    return Picture(
        path=folder / entry["file"],
        source=entry["source"],
        labelled=len(entry["faces"]),
        box_xyxy=np.array([face["box"] for face in human]).reshape(-1, 4),
        teacher_box_xyxy=np.array([face.get("teacher_box", missing) for face in human]).reshape(-1, 4),
        landmarks_px=np.array([face["landmarks68"] for face in human]).reshape(-1, 68, 2),
    )


def faces(data: Path, split: str, sources: Iterable[str] | None = None) -> list[Picture]:
    """Pictures of ``faces/`` with one face in the middle; landmarks (1, 68, 2) where there are, boxes none.

    Args:
        data: the data pack.
        split: ``train``, ``val`` or ``test``.
        sources: only these; all by default.
    """
    folder = data / "faces"
    wanted = None if sources is None else set(sources)
    with np.load(_existing(folder / "landmarks68.npz")) as stored:
        points = dict(zip(stored["files"].tolist(), stored["points_xy"], strict=True))
    with _existing(folder / "faces.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    return [
        Picture(
            folder / row["file"],
            row["source"],
            1,
            landmarks_px=np.array([points[row["file"]]] if row["file"] in points else []).reshape(-1, 68, 2),
        )
        for row in rows
        if wanted is None or row["source"] in wanted
    ]


def backgrounds(data: Path) -> list[Picture]:
    """The held-out photos without a face."""
    folder = data / "backgrounds"
    return [Picture(_existing(folder / f"{number:03d}.jpg"), "backgrounds") for number in BACKGROUNDS]


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"expected the data pack with {path}, found no such file; point --data at the pack")
    return path
