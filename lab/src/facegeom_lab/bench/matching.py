"""Which predicted face is which labelled one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facegeom.geometry.schemes import IBUG68_EYE_CORNERS
from facegeom.results import Faces
from facegeom_lab.bench.context import Boxes
from facegeom_lab.datasets.pack_photos import Picture
from facegeom_lab.measures.metrics import (
    IntArray,
    best_iou,
    centre_inside,
    greedy_match,
    point_errors,
)

FloatArray = npt.NDArray[np.floating]

STRICT_IOU = 0.5
LOOSE_IOU = 0.3


def match(found: Boxes, picture: Picture) -> IntArray:
    """Labelled face (P,) of each predicted one, -1 for none: IoU of at least 0.5 with its box or MTCNN's."""
    overlap = best_iou(found.box_xyxy, picture.box_xyxy, picture.teacher_box_xyxy)
    return greedy_match(found.score, overlap, overlap >= STRICT_IOU)


def match_loosely(found: Boxes, picture: Picture) -> IntArray:
    """As :func:`match`, for other kinds of boxes: IoU of at least 0.3, or a centre inside the label."""
    overlap = best_iou(found.box_xyxy, picture.box_xyxy, picture.teacher_box_xyxy)
    allowed = (overlap >= LOOSE_IOU) | centre_inside(found.box_xyxy, picture.box_xyxy)
    return greedy_match(found.score, overlap, allowed)


@dataclass(frozen=True, eq=False)
class Matched:
    """The found faces of a set of pictures beside their labels.

    Attributes:
        points_px: (F, 68, 2) predicted.
        truth_px: (F, 68, 2) by people.
        confidence: (F, 68); ones for a system that has none.
        faces: (F, 2) number of the picture and of the labelled face in it.
        labelled: labelled faces, found or not.
    """

    points_px: FloatArray
    truth_px: FloatArray
    confidence: FloatArray
    faces: IntArray
    labelled: int

    def errors(self) -> FloatArray:
        """(F, 68) distances in units of the labelled outer eye corners' distance."""
        return point_errors(self.points_px, self.truth_px, IBUG68_EYE_CORNERS)


def matched_landmarks(answers: Sequence[Faces], pictures: Sequence[Picture]) -> Matched:
    """facegeom's 68 points of the faces that :func:`match` finds."""
    matches = [match(faces, picture) for faces, picture in zip(answers, pictures, strict=True)]
    points = [faces.landmarks_px for faces in answers]
    return collect(points, [faces.landmarks_confidence for faces in answers], matches, pictures)


def collect(
    points_px: Sequence[FloatArray],
    confidence: Sequence[FloatArray],
    matches: Sequence[IntArray],
    pictures: Sequence[Picture],
) -> Matched:
    """Join the matched faces of all pictures: points (P, 68, 2), confidences (P, 68), matches (P,)."""
    kept = [matched >= 0 for matched in matches]
    targets = [matched[keep] for matched, keep in zip(matches, kept, strict=True)]
    number = np.repeat(np.arange(len(pictures)), [len(target) for target in targets])
    return Matched(
        np.concatenate([p[keep] for p, keep in zip(points_px, kept, strict=True)]),
        np.concatenate([p.landmarks_px[target] for p, target in zip(pictures, targets, strict=True)]),
        np.concatenate([c[keep] for c, keep in zip(confidence, kept, strict=True)]),
        np.stack([number, np.concatenate(targets)], axis=1),
        sum(len(picture.landmarks_px) for picture in pictures),
    )
