"""The data pack: centred faces, whole scenes, backgrounds (see ``docs/data.md`` for its layout)."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facegeom.errors import InputError


@dataclass(frozen=True)
class FaceRow:
    """One line of ``faces/faces.csv``: a square picture with one face in its middle."""

    file: str
    source: str
    split: str
    size_px: int
    person: str


def _require(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"expected the data pack's {path.name} at {path}, found nothing; check --data")
    return path


def face_rows(data: Path) -> list[FaceRow]:
    """All pictures of ``data/faces`` in the order of the table."""
    with _require(data / "faces" / "faces.csv").open(newline="", encoding="utf-8") as stream:
        return [
            FaceRow(row["file"], row["source"], row["split"], int(row["size_px"]), row["person"])
            for row in csv.DictReader(stream)
        ]


def face_landmarks(data: Path) -> dict[str, np.ndarray]:
    """Points (68, 2) by file, pixels of the picture, for the pictures that have them."""
    with np.load(_require(data / "faces" / "landmarks68.npz")) as arrays:
        return dict(zip(arrays["files"].tolist(), arrays["points_xy"].astype(np.float32), strict=True))


def scenes(data: Path, split: str) -> list[dict[str, Any]]:
    """The entries of ``scenes.json`` of one split: train, val or test."""
    entries = json.loads(_require(data / "scenes" / "scenes.json").read_text(encoding="utf-8"))
    return [entry for entry in entries if entry["split"] == split]


def backgrounds(data: Path, split: str) -> list[Path]:
    """Photos without a face: 000 to 199 are train, 200 to 299 val."""
    wanted = range(0, 200) if split == "train" else range(200, 300)
    return [_require(data / "backgrounds" / f"{index:03d}.jpg") for index in wanted]


def mesh_labels(file: Path) -> dict[str, np.ndarray]:
    """The arrays of ``facegeom lab label``.

    Raises:
        InputError: the file is missing.
    """
    if not file.is_file():
        raise InputError(
            f"expected mesh labels at {file}, found nothing; make them with `facegeom lab label`"
        )
    with np.load(file) as arrays:
        return {name: arrays[name] for name in arrays.files}
