"""Detection: labelled faces found in whole photos, boxes on photos without a face."""

from collections.abc import Sequence
from typing import Any

from facegeom_lab.bench.context import Bench, Boxes
from facegeom_lab.bench.matching import match, match_loosely
from facegeom_lab.datasets.pack_photos import Picture
from facegeom_lab.measures.tables import Table, percent

PEER_DETECTORS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("MTCNN (facenet-pytorch)", "mtcnn", {}),
    ("MediaPipe short range", "mediapipe", {"model_selection": 0}),
    ("MediaPipe full range", "mediapipe", {"model_selection": 1}),
    ("dlib HOG", "dlib", {"upsample": 1}),
)

_FOUND_PROTOCOL = (
    "Share of the faces labelled by people that are found. A box finds a face when their IoU is at least "
    "0.5, the face's box being the one derived from its 68 points or MTCNN's box of the same face, "
    "whichever fits better; one box per face, greedy by score. Peers box faces in other ways, so the "
    "second column counts IoU of at least 0.3 or a centre inside the labelled box. Whole photos of at "
    "most 448 px, every system with its defaults (MTCNN: min_face_size 20; dlib: upsampled once, as its "
    "examples do). MTCNN proposed the boxes of this data: it is no fair judge of itself."
)
_FALSE_PROTOCOL = (
    "Boxes on the 100 held-out photos of BSDS500 in which MTCNN, at data collection, found no face. "
    "Defaults throughout."
)


def detection(bench: Bench) -> list[Table]:
    """Two tables: faces found, false boxes."""
    found_rows = [
        (name, system, *found_share(answers, pictures))
        for name, pictures in bench.scene_sets().items()
        for system, answers in systems(bench, pictures)
    ]
    false_rows = [(system, *_false(answers)) for system, answers in systems(bench, bench.backgrounds())]
    columns = ("set", "system", "found, %", "found loosely, %", "faces labelled", "boxes")
    return [
        Table("Detection: faces found", _FOUND_PROTOCOL, columns, found_rows),
        Table(
            "Detection: false boxes",
            _FALSE_PROTOCOL,
            ("system", "boxes", "photos with a box", "photos", "boxes per photo"),
            false_rows,
        ),
    ]


def systems(bench: Bench, pictures: Sequence[Picture]) -> list[tuple[str, Sequence[Boxes]]]:
    """The answers of facegeom and of the peers' detectors, by name."""
    answers: list[tuple[str, Sequence[Boxes]]] = [("facegeom", bench.ours(pictures))]
    for title, peer, options in PEER_DETECTORS:
        if peer in bench.peers:
            answers.append((title, bench.peer(peer, "detector", options, pictures)))
    return answers


def found_share(
    answers: Sequence[Boxes], pictures: Sequence[Picture]
) -> tuple[float | None, float | None, int, int]:
    """Faces found in per cent, strictly and loosely; faces labelled; boxes."""
    pairs = list(zip(answers, pictures, strict=True))
    labelled = sum(len(picture.box_xyxy) for picture in pictures)
    strict = sum(int((match(found, picture) >= 0).sum()) for found, picture in pairs)
    loose = sum(int((match_loosely(found, picture) >= 0).sum()) for found, picture in pairs)
    boxes = sum(len(found.score) for found in answers)
    return percent(strict, labelled), percent(loose, labelled), labelled, boxes


def _false(answers: Sequence[Boxes]) -> tuple[int, int, int, float]:
    counts = [len(found.score) for found in answers]
    return sum(counts), sum(count > 0 for count in counts), len(counts), sum(counts) / len(counts)
