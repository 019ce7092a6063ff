"""Crops of labelled faces for networks that answer points: boxes, jitter, rotation, colour."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from facegeom.geometry.boxes import from_points
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.transforms import apply, box_to_square, invert
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.datasets.training.augment import jitter_colour


@dataclass(frozen=True)
class CropChanges:
    """What training changes about a crop.

    Attributes:
        truth_share: probability that the box comes from the true points and not from the detector.
        jitter: each border of the box moves by up to this share of the box's size on its axis.
        turn_deg: largest turn in the plane, to both sides.
        colour: brightness, contrast, saturation (±this share) and hue (±a tenth of it).
    """

    truth_share: float
    jitter: float
    turn_deg: float
    colour: float


class PointCrops(Dataset):
    """Samples: ``crop`` (3, S, S) uint8 RGB, ``points`` (K, 2), ``weight`` (K,), ``half_px`` (2,), ``index``.

    Points are in units of half the crop, 0 in its middle and ±1 at its edges; weights are 0 for points that
    nobody annotated. ``half_px`` turns differences of points back into pixels of the photo.

    Args:
        records: labelled faces of one point scheme.
        detected_xyxy: (N, 4) boxes of a detector; where it found nothing, NaN, the true points give the box.
        size_px: side of the crops.
        margin: the box grows by this share of its size on each axis.
        changes: None for validation: the detector's box, nothing changed.
    """

    def __init__(
        self,
        records: Sequence[FaceRecord],
        detected_xyxy: np.ndarray,
        size_px: int,
        margin: float,
        changes: CropChanges | None = None,
    ) -> None:
        self.records, self.detected, self.changes = records, detected_xyxy, changes
        self.size_px, self.margin = size_px, margin

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        cv2.setNumThreads(0)
        record = self.records[index]
        points = self.points(index)
        onto = self.matrix(index)
        crop = self._coloured(cut(record.read(), onto, self.size_px))
        known = np.isfinite(points).all(axis=1)
        half = self.size_px / 2
        target = (apply(onto, np.where(known[:, None], points, 0.0)) + 0.5) / half - 1
        return {
            "crop": torch.from_numpy(crop).permute(2, 0, 1),
            "points": torch.as_tensor(target, dtype=torch.float32),
            "weight": torch.as_tensor(known, dtype=torch.float32),
            "half_px": torch.as_tensor(half / np.linalg.norm(onto[:, :2], axis=1), dtype=torch.float32),
            "index": torch.tensor(index),
        }

    def _coloured(self, crop: np.ndarray) -> np.ndarray:
        if not self.changes or not self.changes.colour:
            return crop
        shifts = (2 * torch.rand(4).double().numpy() - 1) * self.changes.colour
        brightness, contrast, saturation = 1 + shifts[:3]
        return jitter_colour(crop, brightness, contrast, saturation, shifts[3] / 10)

    def points(self, index: int) -> np.ndarray:
        """The points (K, 2) of a record in pixels of its photo, NaN where unknown."""
        points = self.records[index].points
        assert points is not None  # records without points never get here, see ``with_points``
        return points.astype(np.float64)

    def matrix(self, index: int) -> np.ndarray:
        """The map (2, 3) from the photo to the crop; random where there are changes."""
        box = self.detected[index].astype(np.float64)
        changes = self.changes
        if not np.isfinite(box).all() or (changes and torch.rand(()) < changes.truth_share):
            box = from_points(self.points(index)[np.isfinite(self.points(index)).all(axis=1)])
        box = widen(box, self.margin)
        if changes is None:
            return box_to_square(box, self.size_px)
        shifts = (2 * torch.rand(4).double().numpy() - 1) * changes.jitter
        box = box + shifts * np.tile(box[2:] - box[:2], 2)
        return turned(box, self.size_px, float(2 * torch.rand(()) - 1) * changes.turn_deg)


def widen(box_xyxy: np.ndarray, margin: float) -> np.ndarray:
    """Boxes (..., 4) about the same middle, larger by the share ``margin`` on each axis."""
    grow = (box_xyxy[..., 2:] - box_xyxy[..., :2]) * margin / 2
    return np.concatenate([box_xyxy[..., :2] - grow, box_xyxy[..., 2:] + grow], axis=-1)


def turned(box_xyxy: np.ndarray, size_px: int, turn_deg: float) -> np.ndarray:
    """The map (2, 3) of a box (4,) onto the crop, the photo first turned clockwise about the box's middle."""
    turn = rotation_from_angles(0, 0, turn_deg)[:2, :2]
    middle = (box_xyxy[:2] + box_xyxy[2:]) / 2
    onto = box_to_square(box_xyxy, size_px)
    linear = onto[:, :2] @ turn
    return np.column_stack([linear, onto[:, :2] @ (middle - turn @ middle) + onto[:, 2]])


def cut(photo: np.ndarray, onto: np.ndarray, size_px: int) -> np.ndarray:
    """The crop (S, S, 3) of a photo (H, W, 3); what lies outside repeats the photo's edge.

    A crop much smaller than its face is taken from a photo made smaller first, so that nothing is skipped.
    """
    shrink = np.sqrt(abs(np.linalg.det(onto[:, :2])))
    if shrink < 0.5:
        small = cv2.resize(photo, None, fx=2 * shrink, fy=2 * shrink, interpolation=cv2.INTER_AREA)
        ratio = np.array([small.shape[1] / photo.shape[1], small.shape[0] / photo.shape[0]])
        back = np.column_stack([np.diag(1 / ratio), 0.5 / ratio - 0.5])
        onto = np.column_stack([onto[:, :2] @ back[:, :2], onto[:, :2] @ back[:, 2] + onto[:, 2]])
        photo = small
    return cv2.warpAffine(photo, onto, (size_px, size_px), borderMode=cv2.BORDER_REPLICATE)


def to_photo(points: np.ndarray, onto: np.ndarray, size_px: int) -> np.ndarray:
    """Points (K, 2) in units of half the crop back in pixels of the photo."""
    return apply(invert(onto), (points.astype(np.float64) + 1) * (size_px / 2) - 0.5)
