"""The boxes that facegeom's own detector finds around labelled faces: what a network meets in use."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facegeom import FaceAnalyzer
from facegeom.geometry.boxes import from_points, iou
from facegeom.lab.datasets.records import FaceRecord
from facegeom.lab.files import save_npz

MIN_IOU = 0.3
"""Least overlap of a found face with the extent of the true points; less is another face."""


def detected_boxes(records: Sequence[FaceRecord], cache: Path | None = None) -> np.ndarray:
    """(N, 4) pixels: the box of the found face that overlaps the true points most, NaN where none does.

    Args:
        records: with points.
        cache: folder that keeps the answer for these very records.
    """
    names = "\n".join(record.name for record in records)
    file = cache / f"boxes-{hashlib.sha256(names.encode()).hexdigest()[:16]}.npz" if cache else None
    if file and file.exists():
        with np.load(file) as arrays:
            return arrays["boxes_xyxy"]
    analyzer = FaceAnalyzer()
    boxes = np.stack([_box(analyzer, record) for record in tqdm(records, desc="detector's boxes")])
    if file:
        save_npz(file, boxes_xyxy=boxes)
    return boxes


def _box(analyzer: FaceAnalyzer, record: FaceRecord) -> np.ndarray:
    found = analyzer(record.read()).box_xyxy
    assert record.points is not None
    truth = from_points(record.points[np.isfinite(record.points).all(axis=1)])
    overlaps = iou(found, truth[None])[:, 0]
    if len(found) == 0 or overlaps.max() < MIN_IOU:
        return np.full(4, np.nan, np.float32)
    return found[overlaps.argmax()]
