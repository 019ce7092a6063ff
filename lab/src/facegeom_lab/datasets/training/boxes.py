"""The boxes that facegeom's own detector finds around labelled faces: what a network meets in use."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facegeom import FaceAnalyzer
from facegeom.geometry.boxes import from_points, iou, overlap
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.files import save_npz

MIN_SHARED = 0.5
"""Least part of the smaller of two boxes, the found face and the true points', that lies in the other."""


def detected_boxes(records: Sequence[FaceRecord], cache: Path | None = None) -> np.ndarray:
    """(N, 4) pixels: the box of the found face that overlaps the true points most, NaN where none does.

    Args:
        records: with points.
        cache: folder that keeps the answer for these very records.
    """
    file = cache / f"boxes-{_fingerprint(records)}.npz" if cache else None
    if file and file.exists():
        with np.load(file) as arrays:
            return arrays["boxes_xyxy"]
    analyzer = FaceAnalyzer()
    boxes = np.stack([_box(analyzer, record) for record in tqdm(records, desc="detector's boxes")])
    if file:
        save_npz(file, boxes_xyxy=boxes)
    return boxes


def _fingerprint(records: Sequence[FaceRecord]) -> str:
    digest = hashlib.sha256()
    for record in records:
        digest.update(record.name.encode() + np.asarray(record.points).tobytes())
    return digest.hexdigest()[:16]


def _box(analyzer: FaceAnalyzer, record: FaceRecord) -> np.ndarray:
    found = analyzer(record.read()).box_xyxy
    assert record.points is not None
    truth = from_points(record.points[np.isfinite(record.points).all(axis=1)])
    shared = overlap(found, truth[None], over_smaller=True)[:, 0]  # few points span a small part of a face
    if len(found) == 0 or shared.max() < MIN_SHARED:
        return np.full(4, np.nan, np.float32)
    return found[np.where(shared < MIN_SHARED, -1, iou(found, truth[None])[:, 0]).argmax()]
