"""Crops through the face network, and its answers back into the photo."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from facegeom.geometry.boxes import aligned_iou, square
from facegeom.geometry.rotation import rotation_from_6d
from facegeom.geometry.schemes import IBUG68_EYE_CORNERS, MESH478_EYE_CORNERS
from facegeom.image.crop import Picture
from facegeom.models.batching import joined, per_photo, read_squares
from facegeom.models.engine import Engine

FloatArray = npt.NDArray[np.floating]

CROP_PX = 128
CROP_SCALE = 1.3
"""Side of the crop, of the face square's; the network was trained with it."""

REDUCING_GAP = 1.0
"""Of the crops, see :func:`facegeom.image.crop.cut`; the points are as good as without (docs/experiments.md)."""

LOOK_AGAIN_IOU = 0.9
"""A face whose own square overlaps the proposed one by less is looked at a second time."""

NEAR = 0.05
"""A point's confidence is the chance that its error is below this share of the distance of the outer eye
corners in the picture."""


@dataclass(frozen=True)
class Answers:
    """What the network says of K crops, as it says it: crop units, 0 in the middle and ±0.5 at the edges.

    What is asked of the faces in the photo is computed when it is asked: most crops show no face.

    Attributes:
        score: (K,) in [0, 1].
        box: (K, 4) left, top, right, bottom.
        rotation6d: (K, 6) raw vectors; see :func:`facegeom.geometry.rotation.rotation_from_6d`.
        landmarks: (K, 68, 2).
        mesh: (K, 478, 3).
        landmarks_scale: (K, 68) expected error.
        mesh_scale: (K, 478).
        crop_xyxy: (K, 4) where the network looked, pixels of the photo.
    """

    score: FloatArray
    box: FloatArray
    rotation6d: FloatArray
    landmarks: FloatArray
    mesh: FloatArray
    landmarks_scale: FloatArray
    mesh_scale: FloatArray
    crop_xyxy: FloatArray

    @property
    def box_xyxy(self) -> FloatArray:
        """(K, 4) pixels of the photo."""
        return self._in_photo(self.box.reshape(-1, 2, 2)).reshape(-1, 4)

    @property
    def landmarks_px(self) -> FloatArray:
        """(K, 68, 2)."""
        return self._in_photo(self.landmarks)

    @property
    def landmarks_confidence(self) -> FloatArray:
        """(K, 68) in [0, 1]."""
        return _confidence(self.landmarks, IBUG68_EYE_CORNERS, self.landmarks_scale)

    @property
    def mesh_px(self) -> FloatArray:
        """(K, 478, 3); z on the scale of x and y."""
        depth = self.mesh[..., 2] * np.sqrt(self._size_wh.prod(axis=-1))
        return np.concatenate([self._in_photo(self.mesh[..., :2]), depth[..., None]], axis=-1)

    @property
    def mesh_confidence(self) -> FloatArray:
        """(K, 478) in [0, 1]."""
        return _confidence(self.mesh, MESH478_EYE_CORNERS, self.mesh_scale)

    @property
    def rotation(self) -> FloatArray:
        """(K, 3, 3) as the crop shows the head: straight ahead of the camera."""
        return rotation_from_6d(self.rotation6d)

    @property
    def square_xyxy(self) -> FloatArray:
        """(K, 4) the face squares that the crops were made for."""
        return square(self.crop_xyxy, 1 / CROP_SCALE)

    @property
    def _size_wh(self) -> FloatArray:
        """(K, 1, 2) of the crops."""
        return (self.crop_xyxy[:, 2:] - self.crop_xyxy[:, :2])[:, None]

    def _in_photo(self, points: FloatArray) -> FloatArray:
        """Crop units (K, P, 2) to pixels."""
        return points * self._size_wh + ((self.crop_xyxy[:, :2] + self.crop_xyxy[:, 2:]) / 2)[:, None]

    def __getitem__(self, chosen: "slice | npt.NDArray[np.intp]") -> "Answers":
        return Answers(*(column[chosen] for column in self._columns()))

    def joined(self, other: "Answers") -> "Answers":
        """These answers and then the other ones."""
        pairs = zip(self._columns(), other._columns(), strict=True)
        return Answers(*(np.concatenate(pair) for pair in pairs))

    def enlarged(self, x: float, y: float) -> "Answers":
        """The answers in a picture whose pixels are so many times smaller; depth follows the mean of both."""
        crop = (self.crop_xyxy + 0.5) * np.tile((x, y), 2) - 0.5
        return replace(self, crop_xyxy=crop)

    def replaced(self, rows: npt.NDArray[np.intp], others: "Answers") -> "Answers":
        """The same answers, their scores kept, with some rows of the geometry taken from others."""
        if not len(rows):
            return self
        columns = [column.copy() for column in self._columns()]
        for column, other in zip(columns, others._columns(), strict=True):
            column[rows] = other
        return replace(Answers(*columns), score=self.score)

    def _columns(self) -> list[FloatArray]:
        return [getattr(self, name) for name in self.__dataclass_fields__]


class FacePredictor:
    """The face network with its crop and the way back.

    Args:
        engine: of the face network.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, pictures: Sequence[Picture], squares_xyxy: Sequence[FloatArray]) -> list[Answers]:
        """Answers for the squares (K, 4) of each photo, all photos' squares in common batches."""
        wide = [square(squares, CROP_SCALE) for squares in squares_xyxy]
        if not any(len(part) for part in wide):
            return [self._empty() for _ in pictures]
        outputs = read_squares(self.engine, pictures, wide, CROP_PX, REDUCING_GAP)
        return per_photo(Answers(*outputs, joined(wide)), wide)

    def look_again(self, pictures: Sequence[Picture], answers: Sequence[Answers]) -> list[Answers]:
        """A second look at the faces whose own box lies beside the square that was looked at; scores stay."""
        squares = [square(answer.box_xyxy) for answer in answers]
        aside = [
            np.flatnonzero(aligned_iou(own, answer.square_xyxy) < LOOK_AGAIN_IOU)
            for own, answer in zip(squares, answers, strict=True)
        ]
        better = self(pictures, [own[rows] for own, rows in zip(squares, aside, strict=True)])
        return [
            answer.replaced(rows, other) for answer, rows, other in zip(answers, aside, better, strict=True)
        ]

    @staticmethod
    def _empty() -> Answers:
        shapes = ((), (4,), (6,), (68, 2), (478, 3), (68,), (478,), (4,))
        return Answers(*(np.zeros((0, *shape), np.float32) for shape in shapes))


def _confidence(points: FloatArray, eye_corners: tuple[int, int], scale: FloatArray) -> FloatArray:
    """(K, P) the chance of an exponential error of mean ``scale`` (K, P) to stay near the point."""
    first, second = eye_corners
    eyes = np.linalg.norm(points[:, first, :2] - points[:, second, :2], axis=1)
    return np.asarray(-np.expm1(-NEAR * eyes[:, None] / scale))
