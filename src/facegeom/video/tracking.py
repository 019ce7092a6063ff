"""Track faces from frame to frame.

The face network predicts each known face at its box in the last frame, so the detector can rest.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.geometry.boxes import iou, nms
from facegeom.results import FACE_SHAPES, Faces

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]

DETECT_EVERY = 30
"""Default number of frames between two detections on the whole frame."""

KEEP_SCORE = 0.5
"""Minimum score of a tracked face, lower than that of a new face."""

MIN_SIDE_PX = 4.0
"""Minimum side of a tracked box."""

MATCH_IOU = 0.3
"""From this IoU on, two boxes are the same face."""

REMEMBER_S = 1.0
"""A lost face that is detected again within this time keeps its id …"""

MAX_DISTANCE_SIZES, DRIFT_SIZES_PER_S = 1.0, 1.0
"""… if it lies within this distance of its last box, in box sizes, plus the drift for each second."""


class Analyzer(Protocol):
    """Interface of :class:`facegeom.FaceAnalyzer` that the tracker uses."""

    @property
    def max_faces(self) -> int | None:
        """Largest number of faces; None for no limit."""

    def __call__(self, source: npt.NDArray[np.uint8]) -> Faces:
        """Detect and predict the faces of an image (H, W, 3)."""
        ...

    def at(self, source: npt.NDArray[np.uint8], boxes_xyxy: npt.ArrayLike) -> Faces:
        """Predict the faces at boxes (N, 4), without detection."""
        ...


@dataclass(frozen=True, eq=False)
class TrackedFaces:
    """Faces of one frame.

    Attributes:
        ids: (N,) track ids, ascending; 0 is the first face of the video.
        faces: N faces in the same order.
    """

    ids: IntArray
    faces: Faces


@dataclass(frozen=True, eq=False)
class _LostTrack:
    """A face that was tracked and is gone.

    Attributes:
        id: its track id.
        box_xyxy: (4,) its last box.
        time_s: time of its last frame.
    """

    id: int
    box_xyxy: FloatArray
    time_s: float

    def distance(self, box_xyxy: FloatArray) -> float:
        """Return the distance between the centres of this box and another (4,), in sizes of the larger."""
        corners = np.stack([self.box_xyxy, box_xyxy]).reshape(2, 2, 2)
        centres, sizes = corners.mean(axis=1), np.ptp(corners, axis=1)
        return float(np.linalg.norm(centres[1] - centres[0]) / sizes.max())


class FaceTracker:
    """Turn frames, given in order, into faces with track ids.

    A face of the last frame is predicted at its last box, without detection. Detection on the whole frame
    (:class:`~facegeom.FaceAnalyzer`) runs on the first frame, on every ``detect_every``-th one, whenever a
    face was lost, and on each frame without a face. It does not run while ``max_faces`` faces are tracked.

    Args:
        analyzer: detects and predicts the faces.
        detect_every: frames between two detections; a new face is found after this many at most.

    Raises:
        InputError: ``detect_every`` is below 1.
    """

    def __init__(self, analyzer: Analyzer, detect_every: int = DETECT_EVERY) -> None:
        if detect_every < 1:
            raise InputError(f"detect_every: expected at least 1 frame, got {detect_every!r}")
        self.analyzer, self.detect_every = analyzer, detect_every
        self._ids: IntArray = np.zeros(0, np.intp)
        self._boxes: FloatArray = np.zeros((0, 4))
        self._lost: list[_LostTrack] = []
        self._time_s = 0.0
        self._next_id = self._frames_since_detection = 0

    def __call__(self, pixels: npt.NDArray[np.uint8], time_s: float) -> TrackedFaces:
        """Return the faces of the next frame.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            time_s: time of the frame.
        """
        self._lost = [track for track in self._lost if time_s - track.time_s <= REMEMBER_S]
        tracked = self._update_tracks(pixels)
        self._frames_since_detection += 1
        if self._needs_detection(len(tracked.ids)):
            tracked = self._add_new_faces(tracked, self.analyzer(pixels), time_s)
            self._frames_since_detection = 0
        self._ids, self._boxes, self._time_s = tracked.ids, tracked.faces.box_xyxy, time_s
        return tracked

    def _needs_detection(self, tracked: int) -> bool:
        """Return whether to run detection on a frame with this many tracked faces."""
        if self.analyzer.max_faces and tracked >= self.analyzer.max_faces:
            return False
        none_lost = 0 < tracked == len(self._ids)
        return not none_lost or self._frames_since_detection >= self.detect_every

    def _update_tracks(self, pixels: npt.NDArray[np.uint8]) -> TrackedFaces:
        """Return the faces of the last frame that are still there, and remember the others as lost."""
        if not len(self._ids):
            height, width = pixels.shape[:2]
            return TrackedFaces(self._ids, Faces.empty(width, height))
        faces = self.analyzer.at(pixels, self._boxes)
        kept = _rows_to_keep(faces)
        gone = set(range(len(faces))) - set(kept.tolist())
        self._lost += [_LostTrack(int(self._ids[row]), self._boxes[row], self._time_s) for row in gone]
        return TrackedFaces(self._ids[kept], faces if len(kept) == len(faces) else faces[kept])

    def _add_new_faces(self, tracked: TrackedFaces, detected: Faces, time_s: float) -> TrackedFaces:
        """Return the tracked faces and the detected ones that match none of them."""
        known = iou(detected.box_xyxy, tracked.faces.box_xyxy).max(axis=1, initial=0) >= MATCH_IOU
        limit = self.analyzer.max_faces or len(tracked.ids) + len(detected)
        new = detected[np.flatnonzero(~known)[: max(0, limit - len(tracked.ids))]]
        new_ids = [self._assign_id(box, time_s) for box in new.box_xyxy]
        ids = np.concatenate([tracked.ids, new_ids]).astype(np.intp)
        order = np.argsort(ids)
        return TrackedFaces(ids[order], _concatenate(tracked.faces, new)[order])

    def _assign_id(self, box_xyxy: FloatArray, time_s: float) -> int:
        """Return the id of the nearest lost face within reach of a detected box (4,), or a new id."""
        near = [
            (track.distance(box_xyxy), index)
            for index, track in enumerate(self._lost)
            if track.distance(box_xyxy) <= MAX_DISTANCE_SIZES + DRIFT_SIZES_PER_S * (time_s - track.time_s)
        ]
        if near:
            return self._lost.pop(min(near)[1]).id
        self._next_id += 1
        return self._next_id - 1


def _rows_to_keep(faces: Faces) -> IntArray:
    """Return the rows, ascending, that still look like faces; of overlapping rows the first is kept."""
    size = faces.box_xyxy[:, 2:] - faces.box_xyxy[:, :2]
    rows = np.flatnonzero((faces.score >= KEEP_SCORE) & (size.min(axis=1) >= MIN_SIDE_PX))
    if len(rows) < 2:
        return rows
    return np.sort(rows[nms(faces.box_xyxy[rows], -rows.astype(float), MATCH_IOU)])


def _concatenate(first: Faces, second: Faces) -> Faces:
    """Return the faces of both, in this order."""
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in FACE_SHAPES
    }
    return replace(first, **arrays)
