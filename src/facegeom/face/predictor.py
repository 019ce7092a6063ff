"""Crops through the face network, and its answers back into the photo."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from facegeom.crop import Picture
from facegeom.engine import Engine
from facegeom.face.crops import per_photo, read_squares
from facegeom.geometry.boxes import aligned_iou, square
from facegeom.geometry.rotation import rotation_from_6d
from facegeom.geometry.schemes import IBUG68_EYE_CORNERS, MESH478_EYE_CORNERS

FloatArray = npt.NDArray[np.floating]

CROP_PX = 128
CROP_SCALE = 1.3
"""Side of the crop, of the face square's; the network was trained with it."""

REDUCING_GAP = 1.0
"""Of the crops, see :func:`facegeom.crop.cut`; the points are as good as without (docs/experiments.md)."""

LOOK_AGAIN_IOU = 0.9
"""A face whose own square overlaps the proposed one by less is looked at a second time."""

NEAR = 0.05
"""A point's confidence is the chance that its error is below this share of the distance of the outer eye
corners in the picture."""


@dataclass(frozen=True)
class Answers:
    """What the network says of K squares, in pixels of their photos.

    Attributes:
        score: (K,) in [0, 1].
        box_xyxy: (K, 4).
        landmarks_px: (K, 68, 2).
        landmarks_confidence: (K, 68) in [0, 1].
        mesh_px: (K, 478, 3).
        mesh_confidence: (K, 478) in [0, 1].
        rotation: (K, 3, 3) as the crop shows the head: straight ahead of the camera.
        square_xyxy: (K, 4) where the network looked.
    """

    score: FloatArray
    box_xyxy: FloatArray
    landmarks_px: FloatArray
    landmarks_confidence: FloatArray
    mesh_px: FloatArray
    mesh_confidence: FloatArray
    rotation: FloatArray
    square_xyxy: FloatArray

    def __getitem__(self, chosen: "slice | npt.NDArray[np.intp]") -> "Answers":
        return Answers(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def joined(self, other: "Answers") -> "Answers":
        """These answers and then the other ones."""
        names = self.__dataclass_fields__
        return Answers(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))

    def enlarged(self, x: float, y: float) -> "Answers":
        """The answers in a picture whose pixels are so many times smaller; depth follows the mean of both."""
        factor = np.array([x, y], np.float32)

        def moved(points: FloatArray) -> FloatArray:
            return (points + 0.5) * factor - 0.5

        depth = self.mesh_px[..., 2:] * np.sqrt(x * y, dtype=np.float32)
        return replace(
            self,
            box_xyxy=moved(self.box_xyxy.reshape(-1, 2, 2)).reshape(-1, 4),
            landmarks_px=moved(self.landmarks_px),
            mesh_px=np.concatenate([moved(self.mesh_px[..., :2]), depth], axis=-1),
            square_xyxy=moved(self.square_xyxy.reshape(-1, 2, 2)).reshape(-1, 4),
        )

    def replaced(self, rows: npt.NDArray[np.intp], others: "Answers") -> "Answers":
        """The same answers, their scores kept, with some rows of the geometry taken from others."""
        columns = {name: np.array(getattr(self, name)) for name in self.__dataclass_fields__}
        for name in columns.keys() - {"score"}:
            columns[name][rows] = getattr(others, name)
        return Answers(**columns)


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
        return per_photo(_into_photo(np.concatenate(wide), *outputs), wide)

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
        shapes = ((), (4,), (68, 2), (68,), (478, 3), (478,), (3, 3), (4,))
        return Answers(*(np.zeros((0, *shape), np.float32) for shape in shapes))


def _into_photo(
    squares: FloatArray,
    score: FloatArray,
    box: FloatArray,
    rotation6d: FloatArray,
    landmarks: FloatArray,
    mesh: FloatArray,
    landmarks_scale: FloatArray,
    mesh_scale: FloatArray,
) -> Answers:
    """Crop units (0 in the middle, ±0.5 at the edges) to pixels of the photo; scales to confidences."""
    side = (squares[:, 2] - squares[:, 0])[:, None, None]
    centre = ((squares[:, :2] + squares[:, 2:]) / 2)[:, None]
    mesh_px = mesh * side
    mesh_px[..., :2] += centre
    return Answers(
        score=score,
        box_xyxy=(box.reshape(-1, 2, 2) * side + centre).reshape(-1, 4),
        landmarks_px=landmarks * side + centre,
        landmarks_confidence=_confidence(landmarks, IBUG68_EYE_CORNERS, landmarks_scale),
        mesh_px=mesh_px,
        mesh_confidence=_confidence(mesh, MESH478_EYE_CORNERS, mesh_scale),
        rotation=rotation_from_6d(rotation6d),
        square_xyxy=square(squares, 1 / CROP_SCALE),
    )


def _confidence(points: FloatArray, eye_corners: tuple[int, int], scale: FloatArray) -> FloatArray:
    """(K, P) the chance of an exponential error of mean ``scale`` (K, P) to stay near the point."""
    first, second = eye_corners
    eyes = np.linalg.norm(points[:, first, :2] - points[:, second, :2], axis=1)
    return np.asarray(-np.expm1(-NEAR * eyes[:, None] / scale))
