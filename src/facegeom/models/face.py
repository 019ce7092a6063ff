"""The face network: one crop in, the geometry of a face out, carried back into the photo."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from facegeom.geometry.boxes import aligned_iou, square
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_from_6d
from facegeom.geometry.schemes import IBUG68_EYE_CORNERS, MESH478_EYE_CORNERS
from facegeom.image.crop import crop_images
from facegeom.image.pyramid import Pyramid
from facegeom.models.engine import Engine
from facegeom.models.virtual_views import VirtualViews, virtual_views

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]

CROP_PX = 128
CROP_SCALE = 1.3
"""Side of the crop as a multiple of the face square's, as in training."""

REDUCING_GAP = 1.0
"""See :func:`facegeom.image.crop.crop_squares`; points are as good as without (docs/experiments.md)."""

REFINE_IOU = 0.9
"""A face whose predicted square overlaps the crop's face square by less is cropped and predicted again."""

NEAR = 0.05
"""A point's confidence is the probability that its error is below this fraction of the distance of the outer
eye corners in the image."""


@dataclass(frozen=True)
class FaceGeometry:
    """Geometry of N faces in the photo.

    Attributes:
        box_xyxy: (N, 4) pixels.
        landmarks_px: (N, 68, 2).
        landmarks_confidence: (N, 68) in [0, 1].
        mesh_px: (N, 478, 3); z on the scale of x and y.
        mesh_confidence: (N, 478) in [0, 1].
        rotation: (N, 3, 3) head frame to the frame of the line of sight, as the crop shows the head.
    """

    box_xyxy: FloatArray
    landmarks_px: FloatArray
    landmarks_confidence: FloatArray
    mesh_px: FloatArray
    mesh_confidence: FloatArray
    rotation: FloatArray


@dataclass(frozen=True)
class FacePredictions:
    """The network's outputs for K crops, in crop units: 0 in the middle, ±0.5 at the edges.

    Attributes:
        score: (K,) in [0, 1].
        box: (K, 4) left, top, right, bottom.
        rotation6d: (K, 6) raw vectors; see :func:`facegeom.geometry.rotation.rotation_from_6d`.
        landmarks: (K, 68, 2).
        mesh: (K, 478, 3).
        landmarks_scale: (K, 68) expected error.
        mesh_scale: (K, 478).
        crop_xyxy: (K, 4) the crops, pixels of the decoded image.
        box_xyxy: (K, 4) the boxes, pixels of the decoded image.
    """

    score: FloatArray
    box: FloatArray
    rotation6d: FloatArray
    landmarks: FloatArray
    mesh: FloatArray
    landmarks_scale: FloatArray
    mesh_scale: FloatArray
    crop_xyxy: FloatArray
    box_xyxy: FloatArray

    @classmethod
    def empty(cls) -> "FacePredictions":
        """Return predictions for no crop."""
        shapes = ((), (4,), (6,), (68, 2), (478, 3), (68,), (478,), (4,), (4,))
        return cls(*(np.zeros((0, *shape), np.float32) for shape in shapes))

    def in_photo(self, factor_xy: tuple[float, float] = (1.0, 1.0)) -> FaceGeometry:
        """Convert to pixels of the photo.

        Args:
            factor_xy: pixels of the photo for one of the decoded image; z follows the mean of both.
        """
        crop = self.crop_xyxy
        if factor_xy != (1.0, 1.0):
            crop = (crop + 0.5) * np.tile(factor_xy, 2) - 0.5
        size, centre = _size_and_centre(crop)
        depth = self.mesh[..., 2] * np.sqrt(size.prod(axis=-1))
        mesh_xy = self.mesh[..., :2] * size + centre
        return FaceGeometry(
            box_xyxy=(self.box.reshape(-1, 2, 2) * size + centre).reshape(-1, 4),
            landmarks_px=self.landmarks * size + centre,
            landmarks_confidence=_confidence(self.landmarks, IBUG68_EYE_CORNERS, self.landmarks_scale),
            mesh_px=np.concatenate([mesh_xy, depth[..., None]], axis=-1),
            mesh_confidence=_confidence(self.mesh, MESH478_EYE_CORNERS, self.mesh_scale),
            rotation=rotation_from_6d(self.rotation6d),
        )

    def __getitem__(self, chosen: "slice | IntArray") -> "FacePredictions":
        return FacePredictions(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def joined(self, other: "FacePredictions") -> "FacePredictions":
        """Append other predictions."""
        names = self.__dataclass_fields__
        return FacePredictions(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))

    def refined(self, rows: IntArray, others: "FacePredictions") -> "FacePredictions":
        """Replace the geometry of some rows; scores stay."""
        columns = {name: getattr(self, name).copy() for name in self.__dataclass_fields__ if name != "score"}
        for name, column in columns.items():
            column[rows] = getattr(others, name)
        return replace(self, **columns)


class FaceNet:
    """The face network with its pre- and post-processing.

    Args:
        engine: of the face network.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(
        self,
        images: Sequence[Pyramid],
        squares_xyxy: Sequence[FloatArray],
        cameras: Sequence[Camera | None] | None = None,
    ) -> list[FacePredictions]:
        """Predict for the face squares of each image, all images' squares in shared batches.

        Args:
            images: RGB.
            squares_xyxy: (K, 4) face squares of each image, pixels.
            cameras: of the images, where the lens is known: crops away from the axis are then taken through
                virtual cameras that look straight at them.
        """
        if not any(len(part) for part in squares_xyxy):
            return [FacePredictions.empty() for _ in images]
        crops = [square(squares, CROP_SCALE) for squares in squares_xyxy]
        ends = [0, *accumulate(map(len, crops))]
        pixels = crop_images(images, crops, CROP_PX, REDUCING_GAP)
        views = [virtual_views(*each) for each in zip(crops, cameras or [None] * len(crops), strict=True)]
        for start, image, view in zip(ends, images, views, strict=False):
            if view is not None:
                pixels[start + view.rows] = view.crop(image, CROP_PX, REDUCING_GAP)
        outputs = self.engine.batched(pixels)
        crop_xyxy = crops[0] if len(crops) == 1 else np.concatenate(crops)
        for start, view in zip(ends, views, strict=False):
            if view is not None:
                _to_upright_crops(outputs, start + view.rows, view, crop_xyxy)
        size, centre = _size_and_centre(crop_xyxy)
        box_xyxy = (outputs[1].reshape(-1, 2, 2) * size + centre).reshape(-1, 4)
        predictions = FacePredictions(*[*outputs, crop_xyxy, box_xyxy])
        return [predictions[start:end] for start, end in pairwise(ends)]

    def refine(
        self,
        images: Sequence[Pyramid],
        predictions: Sequence[FacePredictions],
        cameras: Sequence[Camera | None] | None = None,
    ) -> list[FacePredictions]:
        """Crop again and predict the faces whose own square lies beside the crop's; scores stay."""
        squares = [square(each.box_xyxy) for each in predictions]
        drifted = [
            np.flatnonzero(aligned_iou(own, square(each.crop_xyxy, 1 / CROP_SCALE)) < REFINE_IOU)
            for own, each in zip(squares, predictions, strict=True)
        ]
        if not any(len(rows) for rows in drifted):
            return list(predictions)
        better = self(images, [own[rows] for own, rows in zip(squares, drifted, strict=True)], cameras)
        return [
            each.refined(rows, other) if len(rows) else each
            for each, rows, other in zip(predictions, drifted, better, strict=True)
        ]


def _to_upright_crops(
    outputs: list[FloatArray], rows: IntArray, view: VirtualViews, crop_xyxy: FloatArray
) -> None:
    """Carry box, landmarks and mesh of some rows from their virtual views to units of the upright crops."""
    _, box, _, landmarks, mesh, *_ = outputs
    crops = crop_xyxy[rows]
    left, top, right, bottom = np.moveaxis(box[rows], -1, 0)
    corners = np.stack([left, top, right, top, left, bottom, right, bottom], axis=-1).reshape(-1, 4, 2)
    corners = view.to_crop_units(corners, crops)
    box[rows] = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=-1)
    landmarks[rows] = view.to_crop_units(landmarks[rows], crops)
    mesh[rows] = view.to_crop_units(mesh[rows], crops)


def _size_and_centre(crop_xyxy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sizes and centres (K, 1, 2) of crops."""
    low, high = crop_xyxy[:, None, :2], crop_xyxy[:, None, 2:]
    return high - low, (low + high) / 2


def _confidence(points: FloatArray, eye_corners: tuple[int, int], scale: FloatArray) -> FloatArray:
    """Return the probability (K, P) that an exponential error of mean ``scale`` (K, P) stays small."""
    first, second = eye_corners
    eyes = np.linalg.norm(points[:, first, :2] - points[:, second, :2], axis=1)
    return np.asarray(-np.expm1(-NEAR * eyes[:, None] / scale))
