"""Faces from frame to frame: where a face was is where the network looks next, so the search can rest."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.geometry.boxes import iou, nms
from facegeom.results import SHAPES, Faces

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]

DETECT_EVERY = 30
KEEP_SCORE = 0.5
"""A face that is followed may look less like one than a face that is found."""

MIN_SIDE_PX = 4.0
"""A box that has become smaller shows no face any more."""

SAME_PLACE_IOU = 0.3
"""From this overlap a found face is one that is followed, and two that are followed are one."""

REMEMBER_S = 1.0
"""A lost face that is found again within this time keeps its number …"""

NEAR_SIZES, DRIFT_SIZES_PER_S = 1.0, 1.0
"""… where it is so near to its old place, in sizes of its box, with so much more for each second."""


class Analyzer(Protocol):
    """What finds the faces: facegeom's FaceAnalyzer."""

    max_faces: int | None

    def __call__(self, source: npt.NDArray[np.uint8]) -> Faces: ...

    def at(self, source: npt.NDArray[np.uint8], boxes_xyxy: npt.ArrayLike) -> Faces: ...


@dataclass(frozen=True, eq=False)
class TrackedFaces:
    """The faces of one frame.

    Attributes:
        ids: (N,) of the persons' tracks: 0 for the first face of the video, and so on; ascending.
        faces: N faces in the same order.
    """

    ids: IntArray
    faces: Faces


@dataclass(frozen=True, eq=False)
class _Lost:
    """A face that was followed and is gone.

    Attributes:
        box_xyxy: (4,) where it was last.
        time_s: when it was there last.
    """

    id: int
    box_xyxy: FloatArray
    time_s: float

    def distance(self, box_xyxy: FloatArray) -> float:
        """From this face's middle to that of a box (4,), in sizes of the larger one."""
        corners = np.stack([self.box_xyxy, box_xyxy]).reshape(2, 2, 2)
        middles, sizes = corners.mean(axis=1), np.ptp(corners, axis=1)
        return float(np.linalg.norm(middles[1] - middles[0]) / sizes.max())


class FaceTracker:
    """Frames in their order in, faces with lasting numbers out.

    A face that was there in the last frame is read at its old place, without any search. The search
    (:class:`~facegeom.FaceAnalyzer` on the whole frame) runs on the first frame, on every
    ``detect_every``-th one, whenever a face was lost, and as long as there is none; but not while as many
    faces are followed as the analyzer may find.

    Args:
        analyzer: finds and reads the faces.
        detect_every: frames from one search to the next; new faces are noticed after so many at most.

    Raises:
        InputError: ``detect_every`` is below 1.
    """

    def __init__(self, analyzer: Analyzer, detect_every: int = DETECT_EVERY) -> None:
        if detect_every < 1:
            raise InputError(f"detect_every: expected at least 1 frame, got {detect_every!r}")
        self.analyzer, self.detect_every = analyzer, detect_every
        self._ids: IntArray = np.zeros(0, np.intp)
        self._boxes: FloatArray = np.zeros((0, 4))
        self._lost: list[_Lost] = []
        self._time_s = 0.0
        self._next_id = self._since_search = 0

    def __call__(self, pixels: npt.NDArray[np.uint8], time_s: float) -> TrackedFaces:
        """The faces of the next frame.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            time_s: of the frame.
        """
        self._lost = [face for face in self._lost if time_s - face.time_s <= REMEMBER_S]
        followed = self._follow(pixels)
        self._since_search += 1
        if self._to_be_searched(len(followed.ids)):
            followed = self._with_found(followed, self.analyzer(pixels), time_s)
            self._since_search = 0
        self._ids, self._boxes, self._time_s = followed.ids, followed.faces.box_xyxy, time_s
        return followed

    def _to_be_searched(self, followed: int) -> bool:
        """Whether a frame is searched in which so many faces are followed: not where no more are wanted."""
        if self.analyzer.max_faces and followed >= self.analyzer.max_faces:
            return False
        all_there = 0 < followed == len(self._ids)
        return not all_there or self._since_search >= self.detect_every

    def _follow(self, pixels: npt.NDArray[np.uint8]) -> TrackedFaces:
        """The faces of the last frame that are still there; the others are remembered as lost."""
        if not len(self._ids):
            height, width = pixels.shape[:2]
            return TrackedFaces(self._ids, Faces.empty(width, height))
        faces = self.analyzer.at(pixels, self._boxes)
        there = _still_faces(faces)
        gone = set(range(len(faces))) - set(there.tolist())
        self._lost += [_Lost(int(self._ids[row]), self._boxes[row], self._time_s) for row in gone]
        return TrackedFaces(self._ids[there], faces if len(there) == len(faces) else faces[there])

    def _with_found(self, followed: TrackedFaces, found: Faces, time_s: float) -> TrackedFaces:
        """The faces that are followed and those of a search that are not among them."""
        known = iou(found.box_xyxy, followed.faces.box_xyxy).max(axis=1, initial=0) >= SAME_PLACE_IOU
        limit = self.analyzer.max_faces or len(followed.ids) + len(found)
        new = found[np.flatnonzero(~known)[: max(0, limit - len(followed.ids))]]
        ids = np.concatenate([followed.ids, [self._name(box, time_s) for box in new.box_xyxy]]).astype(
            np.intp
        )
        order = np.argsort(ids)
        return TrackedFaces(ids[order], _joined(followed.faces, new)[order])

    def _name(self, box_xyxy: FloatArray, time_s: float) -> int:
        """The number of a found face: that of a lost one near its place, or a new one."""
        near = [
            (face.distance(box_xyxy), index)
            for index, face in enumerate(self._lost)
            if face.distance(box_xyxy) <= NEAR_SIZES + DRIFT_SIZES_PER_S * (time_s - face.time_s)
        ]
        if near:
            return self._lost.pop(min(near)[1]).id
        self._next_id += 1
        return self._next_id - 1


def _still_faces(faces: Faces) -> IntArray:
    """Rows, ascending, that look like faces, each place once: the earlier row stays."""
    size = faces.box_xyxy[:, 2:] - faces.box_xyxy[:, :2]
    rows = np.flatnonzero((faces.score >= KEEP_SCORE) & (size.min(axis=1) >= MIN_SIDE_PX))
    if len(rows) < 2:
        return rows
    return np.sort(rows[nms(faces.box_xyxy[rows], -rows.astype(float), SAME_PLACE_IOU)])


def _joined(first: Faces, second: Faces) -> Faces:
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in SHAPES
    }
    return replace(first, **arrays)
