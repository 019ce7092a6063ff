"""Track faces from frame to frame.

The face network predicts each known face at its box in the last frame, so the detector can rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeom.analyzer import FaceAnalyzer
from facegeom.errors import InputError, shown
from facegeom.geometry.boxes import iou, nms
from facegeom.results import Faces
from facegeom.video.cuts import CutDetector
from facegeom.video.matching import Track, angle_between_deg, assign, roll_in_image

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]
UInt8Array = npt.NDArray[np.uint8]

DETECT_EVERY = 30
"""Default number of frames between two detections on the whole frame."""

KEEP_SCORE = 0.5
"""Minimum score of a tracked face, lower than that of a new face."""

RETURN_SCORE = 0.9
"""Minimum score of a lost face where it is expected."""

MIN_SIDE_PX = 4.0
"""Minimum side of a tracked box."""

MATCH_IOU = 0.3
"""From this IoU on, two boxes are the same face."""

MAX_ROLL_STEP_DEG = 60.0
"""A face rolls by less than this from one frame to the next; more is a face read upside down."""

SEARCH_S = 0.3
"""So long after a face was lost, detection runs on every frame …"""

RETRY_S = 0.15
"""… and then at these intervals, while a face is remembered or none is seen."""

REMEMBER_S = 3.0
"""A lost face that is seen again within this time keeps its id."""

_TICK_S = 1e-6  # frame times are decimals: 0.3 s after 0.1 s is 0.4 s


@dataclass(frozen=True, eq=False)
class TrackedFaces:
    """Faces of one frame.

    Attributes:
        ids: (N,) track ids, ascending; 0 is the first face of the video.
        faces: N faces in the same order.
        cut: whether a new scene begins with this frame: no face keeps its id.
    """

    ids: IntArray
    faces: Faces
    cut: bool = False


class FaceTracker:
    """Turn frames, given in order, into faces with track ids.

    A face of the last frame is predicted at its last box, in a crop rolled with it, without detection.
    Detection on the whole frame (:class:`~facegeom.FaceAnalyzer`) runs on the first frame, on every
    ``detect_every``-th one, and more often for some time after a face was lost and while there is none. It
    does not run while ``max_faces`` faces are tracked.

    Args:
        analyzer: detects and predicts the faces.
        detect_every: frames between two detections; a new face is found after this many at most.

    Raises:
        InputError: ``detect_every`` is below 1.
    """

    def __init__(self, analyzer: FaceAnalyzer, detect_every: int = DETECT_EVERY) -> None:
        known: Any = detect_every
        if not (isinstance(known, (int, np.integer)) and known >= 1):
            raise InputError(f"detect_every: expected at least 1 frame, got {shown(detect_every)}")
        self.analyzer, self.detect_every = analyzer, detect_every
        self._next_id = 0
        self._is_cut = CutDetector()
        self._forget()

    def _forget(self) -> None:
        """Begin a new scene: no face is known, and the next frame is searched."""
        self._tracks: list[Track] = []
        self._lost: list[Track] = []
        self._size: tuple[int, ...] = ()
        self._missing_since_s = self._detected_s = -np.inf
        self._frames_since_detection = 0

    def __call__(self, pixels: UInt8Array, time_s: float) -> TrackedFaces:
        """Return the faces of the next frame: (H, W, 3) uint8 RGB, at its time in seconds."""
        is_cut = self._is_cut(pixels) or (pixels.shape != self._size and bool(self._size))
        if is_cut:
            self._forget()
        if not self._size:
            self._size, self._missing_since_s = pixels.shape, time_s
        self._lost = [track for track in self._lost if time_s - track.time_s <= REMEMBER_S + _TICK_S]
        faces = self._follow(pixels, time_s)
        self._frames_since_detection += 1
        if self._needs_detection(time_s):
            faces = self._add_new_faces(faces, self.analyzer(pixels), time_s)
            self._frames_since_detection, self._detected_s = 0, time_s
        order = np.argsort([track.id for track in self._tracks]).astype(np.intp)
        self._tracks = [self._tracks[row] for row in order]
        ids = np.array([track.id for track in self._tracks], np.intp)
        return TrackedFaces(ids, faces if (np.diff(order) == 1).all() else faces[order], is_cut)

    def _needs_detection(self, time_s: float) -> bool:
        """Return whether to run detection on this frame."""
        if self.analyzer.max_faces and len(self._tracks) >= self.analyzer.max_faces:
            return False
        if self._frames_since_detection >= self.detect_every:
            return True
        if self._tracks and not self._lost:
            return False
        is_recent = time_s - self._missing_since_s <= SEARCH_S + _TICK_S
        return is_recent or time_s - self._detected_s >= RETRY_S - _TICK_S

    def _follow(self, pixels: UInt8Array, time_s: float) -> Faces:
        """Update the tracks; return their faces. Lost faces are looked for where they are expected."""
        known = [*self._tracks, *self._lost]
        if not known:
            return self._no_faces(pixels)
        active = len(self._tracks)
        boxes = np.stack([*(track.box_xyxy for track in self._tracks), *_expected(self._lost, time_s)])
        rolls = np.array([track.crop_roll_deg for track in known])
        faces = self.analyzer.at(pixels, boxes, rolls) if rolls.any() else self.analyzer.at(pixels, boxes)
        kept = _rows_to_keep(faces, known, active, time_s)[: self.analyzer.max_faces]
        alone = _overlaps_no_other(faces.box_xyxy[kept])
        self._tracks = [
            known[row].continued(faces.box_xyxy[row], faces.mesh_px[row], time_s, free)
            for row, free in zip(kept.tolist(), alone, strict=True)
        ]
        gone = [row for row in range(len(known)) if row not in kept]
        self._lost = [known[row] for row in gone]
        if any(row < active for row in gone):
            self._missing_since_s = time_s
        return faces if len(kept) == len(faces) else faces[kept]

    def _no_faces(self, pixels: UInt8Array) -> Faces:
        """Return the result for a frame (H, W, 3) without a face."""
        none, fov_deg = Faces.empty(pixels.shape[1], pixels.shape[0]), self.analyzer.fov_deg
        return replace(none, fov_deg=fov_deg, fov_source="given") if fov_deg else none

    def _add_new_faces(self, faces: Faces, detected: Faces, time_s: float) -> Faces:
        """Start tracks for the detected faces that match none; return all faces, as the tracks."""
        is_known = iou(detected.box_xyxy, faces.box_xyxy).max(axis=1, initial=0) >= MATCH_IOU
        new = detected[np.flatnonzero(~is_known & ~_contradicts(detected, self._lost, time_s))]
        limit = self.analyzer.max_faces
        if limit:
            new = new[: limit - len(self._tracks)]
        places = list(zip(new.box_xyxy, new.mesh_px, strict=True))
        costs = np.array([[track.cost(*place, time_s) for track in self._lost] for place in places])
        again = dict(assign(costs.reshape(len(new), len(self._lost))))
        for row, (box, mesh) in enumerate(places):
            if row in again:
                self._tracks.append(self._lost[again[row]].continued(box, mesh, time_s))
            else:
                self._tracks.append(Track.started(self._next_id, box, mesh, time_s))
                self._next_id += 1
        self._lost = [track for index, track in enumerate(self._lost) if index not in again.values()]
        return concatenate(faces, new) if len(new) else faces


def _expected(lost: Sequence[Track], time_s: float) -> FloatArray:
    """Return the boxes (N, 4) where lost faces are expected."""
    return np.array([track.predicted_box(time_s) for track in lost]).reshape(-1, 4)


def _rows_to_keep(faces: Faces, tracks: Sequence[Track], active: int, time_s: float) -> IntArray:
    """Return the rows, ascending, that show their tracks' faces.

    A face must look like one, not be upside down to how it was and, if it was lost, be in reach. Where
    several tracks see one face it belongs to the track that expects it most: the first ``active`` ones
    before the lost ones.
    """
    side = (faces.box_xyxy[:, 2:] - faces.box_xyxy[:, :2]).min(axis=1)
    is_lost = np.arange(len(faces)) >= active
    least = np.where(is_lost, RETURN_SCORE, KEEP_SCORE)
    turned = _turned_deg(faces, tracks).diagonal()
    in_reach = [
        row < active or np.isfinite(track.distance(box, time_s))
        for row, (track, box) in enumerate(zip(tracks, faces.box_xyxy, strict=True))
    ]
    good = (faces.score >= least) & (side >= MIN_SIDE_PX) & (turned <= MAX_ROLL_STEP_DEG) & in_reach
    rows = np.flatnonzero(good)
    boxes = faces.box_xyxy[rows]
    if _overlaps_no_other(boxes, MATCH_IOU).all():
        return rows
    costs = [tracks[row].cost(faces.box_xyxy[row], faces.mesh_px[row], time_s) for row in rows.tolist()]
    order = np.lexsort((rows, np.minimum(costs, 1e6), is_lost[rows]))
    return np.sort(rows[order[nms(boxes[order], -np.arange(len(rows), dtype=float), MATCH_IOU)]])


def _overlaps_no_other(boxes_xyxy: FloatArray, threshold: float = 0.0) -> npt.NDArray[np.bool_]:
    """Return for each box (N, 4) whether its IoU with every other one is at most the threshold."""
    shared = iou(boxes_xyxy, boxes_xyxy)
    np.fill_diagonal(shared, -1)
    return np.asarray((shared <= threshold).all(axis=1))


def _contradicts(detected: Faces, lost: Sequence[Track], time_s: float) -> npt.NDArray[np.bool_]:
    """Return for each detected face whether it is a lost one, read upside down."""
    overlap = iou(detected.box_xyxy, _expected(lost, time_s))
    return np.asarray(((overlap >= MATCH_IOU) & (_turned_deg(detected, lost) > 90)).any(axis=1))


def _turned_deg(faces: Faces, tracks: Sequence[Track]) -> FloatArray:
    """Return by how much each face is rolled against each track (N, M), degrees in [0, 180]."""
    rolls = np.array([track.roll_deg for track in tracks])
    return angle_between_deg(roll_in_image(faces.mesh_px)[:, None], rolls)


def concatenate(first: Faces, second: Faces) -> Faces:
    """Return the faces of both, in this order."""
    if not len(first):
        return second
    parts: Any = {
        name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in first.arrays
    }
    depth = None if first.depth is None or second.depth is None else first.depth + second.depth
    return replace(first, depth=depth, **parts)
