"""Whole photos turned by quarter turns: which faces are found, as given and with ``orientation="auto"``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from facegeom.analyzer import FaceAnalyzer
from facegeom.geometry.boxes import iou
from facegeom.image.photo import open_photo
from facegeom.results import Faces
from facegeom.results.base import TURNS_DEG
from facegeom.results.turning import turn_back
from facegeom_lab.bench.context import SCENE_SETS
from facegeom_lab.bench.progress import track
from facegeom_lab.datasets.published.pack import scene_photos
from facegeom_lab.measures.tables import Cell, Table, percent

SAME_FACE_IOU = 0.5
SAME_ROLL_DEG = 45.0

_PROTOCOL = (
    "Whole photos, turned clockwise. The face network with default settings; `exif`: as given, `auto`: the "
    "other quarter turns are tried where there is no sure face. The answer is turned back and compared with "
    "that for the upright photo. Turn right: photos with a face whose turn is said rightly. Same faces: "
    "faces of the upright photo found again (IoU of at least 0.5, roll within 45°). Other answers: those "
    "that are none of them, and their mean confidence."
)
COLUMNS = (
    *("set", "turned by °", "orientation", "turn right, %", "same faces, %", "other answers"),
    *("their confidence", "faces", "photos"),
)


@dataclass
class _Counts:
    photos: int = 0
    right: int = 0
    faces: int = 0
    same: int = 0

    def __post_init__(self) -> None:
        self.others: list[float] = []

    def add(self, upright: Faces, found: Faces, is_right: bool) -> None:
        """Count one photo: the answer for the upright photo, and that for the turned one, turned back."""
        self.photos += 1
        self.right += is_right
        self.faces += len(upright)
        same = iou(upright.box_xyxy, found.box_xyxy) >= SAME_FACE_IOU
        roll = (upright.roll_deg[:, None] - found.roll_deg + 180) % 360 - 180
        same &= np.abs(roll) <= SAME_ROLL_DEG
        self.same += int(same.any(axis=1).sum())
        self.others += found.landmarks_confidence[~same.any(axis=0)].mean(axis=1).tolist()

    def cells(self, orientation: str) -> tuple[Cell, ...]:
        """Return the cells of :data:`COLUMNS` after the first three."""
        turn = percent(self.right, self.photos) if orientation == "auto" else None
        confidence = float(np.mean(self.others)) if self.others else None
        same = percent(self.same, self.faces)
        return turn, same, len(self.others), confidence, self.faces, self.photos


def turned_table(data: Path, analyzer: FaceAnalyzer) -> Table:
    """Measure photos turned by 0, 90, 180 and 270 degrees.

    Args:
        data: the data pack.
        analyzer: with default settings.
    """
    orientations: tuple[Literal["exif", "auto"], ...] = ("exif", "auto")
    rows: list[tuple[Cell, ...]] = []
    for title, split in SCENE_SETS.items():
        counts = {(turned, way): _Counts() for turned in TURNS_DEG for way in orientations}
        for scene in track(scene_photos(data, split), f"{title}, turned"):
            photo = open_photo(scene.path)
            upright = analyzer(photo)
            if not len(upright):
                continue
            for (turned_deg, way), count in counts.items():
                turned = photo.turned(turned_deg) if turned_deg else photo
                answer = analyzer(turned, orientation=way)
                back = (360 - turned_deg) % 360
                found = turn_back(answer, turned_deg)
                count.add(upright, found, answer.turned_deg == back)
        rows += [(title, str(turned), way, *each.cells(way)) for (turned, way), each in counts.items()]
    return Table("Turned photos", _PROTOCOL, COLUMNS, rows)
