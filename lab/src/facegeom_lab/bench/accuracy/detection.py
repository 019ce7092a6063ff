"""Detection: recall on whole photos and in crowds by size, and false boxes on photos without a face."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facegeom.geometry.boxes import iou
from facegeom_lab.bench.context import Bench, Boxes
from facegeom_lab.bench.matching import astray, recall
from facegeom_lab.datasets.published.pack import LabelledPhoto, crowd_photos
from facegeom_lab.measures.metrics import LOOSE_IOU, BoolArray, IntArray, greedy_match
from facegeom_lab.measures.tables import Cell, Table, percent

PEER_DETECTORS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("MTCNN (facenet-pytorch)", "mtcnn", {}),
    ("MediaPipe short range", "mediapipe", {"model_selection": 0}),
    ("MediaPipe full range", "mediapipe", {"model_selection": 1}),
    ("dlib HOG", "dlib", {"upsample": 1}),
)

_RECALL_PROTOCOL = (
    "Fraction of the human-labelled faces that are found. A box finds a face when their IoU is at least 0.5 "
    "with the box of its 68 points or with MTCNN's box of the same face, whichever is higher; one box per "
    "face, greedy by score. Peers have other box conventions, so the second column counts an IoU of at least "
    "0.3 or a centre inside the labelled box. Whole photos of at most 448 px, every system with its defaults "
    "(MTCNN: min_face_size 20; dlib: upsampled once, as its examples do). MTCNN proposed the boxes of this "
    "data, which favours it."
)
_FALSE_BOXES_PROTOCOL = (
    "Boxes on the 100 held-out photos of BSDS500 in which MTCNN, at data collection, found no face. "
    "Defaults throughout."
)

CROWD_SIDES_PX = (24.0, 40.0, 80.0)
"""Limits of the size classes; the last is open."""

_CROWDS_PROTOCOL = (
    "The 100 held-out photos of `crowds`, at most 600 px, most people masked. Found: IoU of at least 0.3 "
    "with the labelled box, whose longer side makes the class; one box per face, greedy by score. Matching "
    "nothing: boxes with neither that nor their centre in any labelled box, of whatever size; some small "
    "background faces have no label. Defaults throughout."
)


def detection(bench: Bench) -> list[Table]:
    """Measure faces found and false boxes, two tables."""
    found_rows = [
        (name, system, *recall(predictions, photos))
        for name, photos in bench.scene_sets().items()
        for system, predictions in systems(bench, photos)
    ]
    false_rows = [
        (system, *false_boxes(predictions)) for system, predictions in systems(bench, bench.backgrounds())
    ]
    columns = ("set", "system", "found, %", "found loosely, %", "faces labelled", "boxes")
    return [
        Table("Detection: faces found", _RECALL_PROTOCOL, columns, found_rows),
        Table(
            "Detection: false boxes",
            _FALSE_BOXES_PROTOCOL,
            ("system", "boxes", "photos with a box", "photos", "boxes per photo"),
            false_rows,
        ),
    ]


def crowds(bench: Bench) -> list[Table]:
    """Measure faces found in crowds by size, and boxes on no labelled face, one table."""
    photos = crowd_photos(bench.data, "val")
    labels = np.concatenate([photo.box_xyxy for photo in photos])
    side = (labels[:, 2:] - labels[:, :2]).max(axis=1)
    kinds = np.searchsorted(CROWD_SIDES_PX, side, side="right")  # 0: too small to count
    rows: list[tuple[Cell, ...]] = []
    for system, predictions in systems(bench, photos):
        found = np.concatenate(
            [_found(boxes, photo) for boxes, photo in zip(predictions, photos, strict=True)]
        )
        shares = [percent(int(found[group].sum()), int(group.sum())) for group in _groups(kinds)]
        boxes = sum(len(predicted.score) for predicted in predictions)
        stray = sum(map(astray, predictions, photos))
        rows.append((system, *shares, int((kinds > 0).sum()), boxes, percent(stray, boxes)))
    columns = ("system", "24 px and more, %", "24 to 40 px, %", "40 to 80 px, %", "80 px and more, %")
    return [
        Table(
            "Detection: crowds", _CROWDS_PROTOCOL, (*columns, "faces", "boxes", "matching nothing, %"), rows
        )
    ]


def _groups(kinds: IntArray) -> list[BoolArray]:
    return [kinds > 0, *(kinds == kind for kind in range(1, len(CROWD_SIDES_PX) + 1))]


def _found(predicted: Boxes, photo: LabelledPhoto) -> BoolArray:
    """Return which labelled faces (F,) are found at an IoU of at least 0.3."""
    overlap = iou(predicted.box_xyxy, photo.box_xyxy)
    matched = greedy_match(predicted.score, overlap, overlap >= LOOSE_IOU)
    return np.isin(np.arange(len(photo.box_xyxy)), matched)


def systems(bench: Bench, photos: Sequence[LabelledPhoto]) -> list[tuple[str, Sequence[Boxes]]]:
    """Return the predictions of facegeom and of the peers' detectors, by title."""
    predictions: list[tuple[str, Sequence[Boxes]]] = [("facegeom", bench.predictions(photos))]
    for title, peer, options in PEER_DETECTORS:
        if peer in bench.peers:
            predictions.append((title, bench.peer_predictions(peer, "detector", options, photos)))
    return predictions


def false_boxes(predictions: Sequence[Boxes]) -> tuple[int, int, int, float]:
    """Return boxes, photos with a box, photos, and boxes per photo."""
    counts = [len(predicted.score) for predicted in predictions]
    return sum(counts), sum(count > 0 for count in counts), len(counts), sum(counts) / len(counts)
