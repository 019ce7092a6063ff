"""Match predicted faces to labelled ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facegeom.geometry.schemes import IBUG68_EYE_CORNERS
from facegeom.results import Faces
from facegeom_lab.bench.context import Boxes
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.measures.metrics import IntArray, best_iou, greedy_match, lies_on, point_errors
from facegeom_lab.measures.tables import percent

FloatArray = npt.NDArray[np.floating]

STRICT_IOU = 0.5


def match(predicted: Boxes, photo: LabelledPhoto) -> IntArray:
    """Return the labelled face (P,) of each predicted one, -1 for none.

    A pair matches at an IoU of at least 0.5 with the label's box or MTCNN's.
    """
    overlap = best_iou(predicted.box_xyxy, photo.box_xyxy, photo.teacher_box_xyxy)
    return greedy_match(predicted.score, overlap, overlap >= STRICT_IOU)


def match_loosely(predicted: Boxes, photo: LabelledPhoto) -> IntArray:
    """Return matches as :func:`match`, for other box conventions.

    A pair matches at an IoU of at least 0.3, or with the predicted centre inside the label's box.
    """
    overlap = best_iou(predicted.box_xyxy, photo.box_xyxy, photo.teacher_box_xyxy)
    allowed = lies_on(predicted.box_xyxy, photo.box_xyxy, photo.teacher_box_xyxy)
    return greedy_match(predicted.score, overlap, allowed)


def recall(
    predictions: Sequence[Boxes], photos: Sequence[LabelledPhoto]
) -> tuple[float | None, float | None, int, int]:
    """Return the percentage of labelled faces found, strictly and loosely, labelled faces, and boxes."""
    pairs = list(zip(predictions, photos, strict=True))
    labelled = sum(len(photo.box_xyxy) for photo in photos)
    strict = sum(int((match(predicted, photo) >= 0).sum()) for predicted, photo in pairs)
    loose = sum(int((match_loosely(predicted, photo) >= 0).sum()) for predicted, photo in pairs)
    boxes = sum(len(predicted.score) for predicted in predictions)
    return percent(strict, labelled), percent(loose, labelled), labelled, boxes


def astray(predicted: Boxes, photo: LabelledPhoto) -> int:
    """Count the boxes that lie on no labelled face: no pair of :func:`match_loosely` at all."""
    found = lies_on(predicted.box_xyxy, photo.box_xyxy, photo.teacher_box_xyxy)
    return int((~found.any(axis=1)).sum())


@dataclass(frozen=True, eq=False)
class MatchedLandmarks:
    """Predicted and labelled points of the F faces found in a set of photos.

    Attributes:
        points_px: (F, 68, 2) predictions.
        truth_px: (F, 68, 2) human annotations.
        confidence: (F, 68); ones for a system without confidence.
        faces: (F, 2) index of the photo and of the labelled face in it.
        labelled: number of labelled faces, found or not.
    """

    points_px: FloatArray
    truth_px: FloatArray
    confidence: FloatArray
    faces: IntArray
    labelled: int

    def errors(self) -> FloatArray:
        """Return distances (F, 68), divided by the distance of the labelled outer eye corners."""
        return point_errors(self.points_px, self.truth_px, IBUG68_EYE_CORNERS)


def match_landmarks(predictions: Sequence[Faces], photos: Sequence[LabelledPhoto]) -> MatchedLandmarks:
    """Return facegeom's 68 points of the faces that :func:`match` finds."""
    matches = [match(faces, photo) for faces, photo in zip(predictions, photos, strict=True)]
    points = [faces.landmarks_px for faces in predictions]
    return join_matches(points, [faces.landmarks_confidence for faces in predictions], matches, photos)


def join_matches(
    points_px: Sequence[FloatArray],
    confidence: Sequence[FloatArray],
    matches: Sequence[IntArray],
    photos: Sequence[LabelledPhoto],
) -> MatchedLandmarks:
    """Concatenate the matched faces of all photos.

    Args:
        points_px: (P, 68, 2) for each photo.
        confidence: (P, 68) for each photo.
        matches: (P,) for each photo, index of the labelled face or -1.
        photos: with human annotations.
    """
    kept = [matched >= 0 for matched in matches]
    targets = [matched[keep] for matched, keep in zip(matches, kept, strict=True)]
    number = np.repeat(np.arange(len(photos)), [len(target) for target in targets])
    return MatchedLandmarks(
        np.concatenate([p[keep] for p, keep in zip(points_px, kept, strict=True)]),
        np.concatenate([p.landmarks_px[target] for p, target in zip(photos, targets, strict=True)]),
        np.concatenate([c[keep] for c, keep in zip(confidence, kept, strict=True)]),
        np.stack([number, np.concatenate(targets)], axis=1),
        sum(len(photo.landmarks_px) for photo in photos),
    )
