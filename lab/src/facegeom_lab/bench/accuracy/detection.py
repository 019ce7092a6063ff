"""Detection: recall on whole photos, and false boxes on photos without a face."""

from collections.abc import Sequence
from typing import Any

from facegeom_lab.bench.context import Bench, Boxes
from facegeom_lab.bench.matching import recall
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.measures.tables import Table

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
