"""Crops of labelled faces for networks that predict landmarks, and the detector's boxes of these faces."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm import tqdm

from facegeom import FaceAnalyzer
from facegeom.errors import FacegeomError, InputError
from facegeom.geometry.boxes import from_points, iou, overlap
from facegeom.geometry.rotation import rotation_from_angles
from facegeom.geometry.transforms import apply, box_to_square, invert
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.datasets.training.augment import jitter_colour
from facegeom_lab.files import save_npz, weights_hash

MIN_OVERLAP = 0.5
"""Least intersection of a detection with the box of the true points, as a fraction of the smaller one."""


@dataclass(frozen=True)
class CropChanges:
    """Augmentation of the crops.

    Attributes:
        truth_share: probability that the box comes from the true points and not from the detector.
        jitter: each border of the box moves by up to this fraction of the box's size on its axis.
        turn_deg: largest rotation in the plane, to both sides.
        colour: brightness, contrast, saturation (± this fraction) and hue (± a tenth of it).
    """

    truth_share: float
    jitter: float
    turn_deg: float
    colour: float


class LandmarkCrops(Dataset):
    """Samples: ``crop`` (3, S, S) uint8 RGB, ``points`` (K, 2), ``weight`` (K,), ``half_px`` (2,), ``index``.

    Points are in units of half the crop, 0 in its middle and ±1 at its edges; weights are 0 for points that
    were not annotated. ``half_px`` converts differences of points back to pixels of the photo.

    Args:
        records: labelled faces of one point scheme.
        detected_xyxy: (N, 4) boxes of a detector; where it found nothing, NaN, the true points give the box.
        size_px: side of the crops.
        margin: the box grows by this fraction of its size on each axis.
        changes: None for validation: the detector's box, no augmentation.
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
        to_crop = self.matrix(index)
        crop = self._recoloured(warp(record.read(), to_crop, self.size_px))
        known = np.isfinite(points).all(axis=1)
        half = self.size_px / 2
        target = (apply(to_crop, np.where(known[:, None], points, 0.0)) + 0.5) / half - 1
        return {
            "crop": torch.from_numpy(crop).permute(2, 0, 1),
            "points": torch.as_tensor(target, dtype=torch.float32),
            "weight": torch.as_tensor(known, dtype=torch.float32),
            "half_px": torch.as_tensor(half / np.linalg.norm(to_crop[:, :2], axis=1), dtype=torch.float32),
            "index": torch.tensor(index),
        }

    def _recoloured(self, crop: np.ndarray) -> np.ndarray:
        if not self.changes or not self.changes.colour:
            return crop
        shifts = (2 * torch.rand(4).double().numpy() - 1) * self.changes.colour
        brightness, contrast, saturation = 1 + shifts[:3]
        return jitter_colour(crop, brightness, contrast, saturation, shifts[3] / 10)

    def points(self, index: int) -> np.ndarray:
        """Return the points (K, 2) of a record in pixels of its photo, NaN where unknown."""
        points = self.records[index].points
        assert points is not None  # the tasks drop records without points
        return points.astype(np.float64)

    def matrix(self, index: int) -> np.ndarray:
        """Return the transform (2, 3) from the photo to the crop; random with augmentation."""
        box = self.detected[index].astype(np.float64)
        changes = self.changes
        if not np.isfinite(box).all() or (changes and torch.rand(()) < changes.truth_share):
            box = from_points(self.points(index)[np.isfinite(self.points(index)).all(axis=1)])
        box = widen(box, self.margin)
        if changes is None:
            return box_to_square(box, self.size_px)
        shifts = (2 * torch.rand(4).double().numpy() - 1) * changes.jitter
        box = box + shifts * np.tile(box[2:] - box[:2], 2)
        return rotated_box_to_square(box, self.size_px, float(2 * torch.rand(()) - 1) * changes.turn_deg)


def widen(box_xyxy: np.ndarray, margin: float) -> np.ndarray:
    """Grow boxes (..., 4) about their middle by the fraction ``margin`` of their size on each axis."""
    grow = (box_xyxy[..., 2:] - box_xyxy[..., :2]) * margin / 2
    return np.concatenate([box_xyxy[..., :2] - grow, box_xyxy[..., 2:] + grow], axis=-1)


def rotated_box_to_square(box_xyxy: np.ndarray, size_px: int, turn_deg: float) -> np.ndarray:
    """Return the transform (2, 3) of a box (4,) to a crop; the photo turns clockwise about the box first."""
    rotation = rotation_from_angles(0, 0, turn_deg)[:2, :2]
    middle = (box_xyxy[:2] + box_xyxy[2:]) / 2
    to_crop = box_to_square(box_xyxy, size_px)
    linear = to_crop[:, :2] @ rotation
    return np.column_stack([linear, to_crop[:, :2] @ (middle - rotation @ middle) + to_crop[:, 2]])


def warp(
    photo: np.ndarray, to_crop: np.ndarray, size_px: int, border: int = cv2.BORDER_REPLICATE
) -> np.ndarray:
    """Cut the crop (S, S, 3) of a photo (H, W, 3), padded with the photo's edge, or as ``border`` says.

    Where the crop is much smaller than its face, the photo is downscaled first, against aliasing.
    """
    scale = np.sqrt(abs(np.linalg.det(to_crop[:, :2])))
    if scale < 0.5:
        small = cv2.resize(photo, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        ratio = np.array([small.shape[1] / photo.shape[1], small.shape[0] / photo.shape[0]])
        back = np.column_stack([np.diag(1 / ratio), 0.5 / ratio - 0.5])
        to_crop = np.column_stack([to_crop[:, :2] @ back[:, :2], to_crop[:, :2] @ back[:, 2] + to_crop[:, 2]])
        photo = small
    return cv2.warpAffine(photo, to_crop, (size_px, size_px), borderMode=border)


def points_to_photo(points: np.ndarray, to_crop: np.ndarray, size_px: int) -> np.ndarray:
    """Convert points (K, 2) from units of half the crop to pixels of the photo."""
    return apply(invert(to_crop), (points.astype(np.float64) + 1) * (size_px / 2) - 0.5)


def detected_boxes(
    records: Sequence[FaceRecord], cache: Path | None = None, detector: str = "facegeom"
) -> np.ndarray:
    """Run a detector on labelled faces: networks are trained on the boxes they meet in use.

    Args:
        records: with points.
        cache: folder where the boxes of these records are kept.
        detector: ``facegeom``, its own, or ``hog``, dlib's.

    Raises:
        InputError: another detector.
        FacegeomError: dlib is not installed.

    Returns:
        (N, 4) pixels: the detection that overlaps the box of the true points most, NaN where none does.
    """
    kind = "" if detector == "facegeom" else f"{detector}-"
    networks = weights_hash("onepass", "face") if detector == "facegeom" else ""
    file = cache / f"boxes-{kind}{_fingerprint(records, networks)}.npz" if cache else None
    if file and file.exists():
        with np.load(file) as arrays:
            return arrays["boxes_xyxy"]
    detect = _detector(detector)
    boxes = np.stack([_detected_box(detect, record) for record in tqdm(records, desc="detector's boxes")])
    if file:
        save_npz(file, boxes_xyxy=boxes)
    return boxes


def _detector(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from a photo (H, W, 3) to boxes (N, 4)."""
    if name == "facegeom":
        analyzer = FaceAnalyzer()
        return lambda photo: analyzer(photo).box_xyxy
    if name != "hog":
        raise InputError(f"expected the detector facegeom or hog, got {name!r}")
    try:
        from dlib import get_frontal_face_detector
    except ImportError as error:
        raise FacegeomError('dlib is not installed; run: pip install "./lab[baselines]"') from error
    hog = get_frontal_face_detector()

    def boxes(photo: np.ndarray) -> np.ndarray:
        found = [(each.left(), each.top(), each.right(), each.bottom()) for each in hog(photo, 1)]
        return np.array(found, np.float64).reshape(-1, 4)

    return boxes


def _fingerprint(records: Sequence[FaceRecord], networks: str) -> str:
    digest = hashlib.sha256(networks.encode())
    for record in records:
        digest.update(record.name.encode() + np.asarray(record.points).tobytes())
    return digest.hexdigest()[:16]


def _detected_box(detect: Callable[[np.ndarray], np.ndarray], record: FaceRecord) -> np.ndarray:
    found = detect(record.read())
    assert record.points is not None
    truth = from_points(record.points[np.isfinite(record.points).all(axis=1)])
    overlaps = overlap(found, truth[None], over_smaller=True)[:, 0]  # few points span a small part of a face
    if len(found) == 0 or overlaps.max() < MIN_OVERLAP:
        return np.full(4, np.nan, np.float32)
    return found[np.where(overlaps < MIN_OVERLAP, -1, iou(found, truth[None])[:, 0]).argmax()]
