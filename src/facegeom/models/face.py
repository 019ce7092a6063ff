"""The face network: one crop in, the geometry of a face out, carried back into the photo."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from facegeom.geometry.boxes import aligned_iou, in_photo, nms, square
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import angles_from_rotation, rotation_from_6d, rotation_from_angles
from facegeom.geometry.schemes import IBUG68_EYE_CORNERS, MESH478_EYE_CORNERS
from facegeom.image.crop import crop_squares
from facegeom.image.pyramid import Pyramid, UInt8Array
from facegeom.models.engine import Engine
from facegeom.models.virtual_views import VirtualViews, virtual_views

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]

CROP_PX = 128
CROP_SCALE = 1.3
"""Side of the crop as a multiple of the face square's, as in training."""

REDUCING_GAP = 1.0
"""See :func:`facegeom.image.crop.crop_squares`; points are as good as without (docs/experiments.md)."""

OUTSIDE = 0
"""Grey level of crops beyond the photo. The network knows black borders around faces: with them it finds 79 %
of val's faces whose right third is cut off, with grey 45 % (docs/experiments.md)."""

REFINE_IOU = 0.9
"""A face whose predicted square overlaps the crop's face square by less is cropped and predicted again."""

DOUBTFUL = 0.6
"""Faces whose 68 points have a smaller mean confidence are looked at twice more."""

CONFIRM_SCORE = 0.5
"""Such a face is left out if the crop around its own square has a smaller score."""

UPSIDE_DOWN_SCORE = 0.98
UPSIDE_DOWN_MARGIN = 0.12
UPSIDE_DOWN_YAW_DEG = 45.0
"""It is left out, too, if the crop turned by 180° has this score and a mean confidence that is smaller by
no more than this margin. Heads turned farther than this are unsure either way, and stay. On val it leaves out
the 10 false faces of photos upside down, none of the scenes' faces, and 3 of the crowds' 206, all masked."""

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

    def in_photo(
        self, factor_xy: tuple[float, float] = (1.0, 1.0), offset_xy: tuple[float, float] = (0.0, 0.0)
    ) -> FaceGeometry:
        """Convert to pixels of the photo.

        Args:
            factor_xy: pixels of the photo for one of the decoded image; z follows the mean of both.
            offset_xy: decoded pixel (x, y) shows ((x, y) + 0.5) · factor_xy - 0.5 + offset_xy of the photo.
        """
        crop = self.crop_xyxy
        if (factor_xy, offset_xy) != ((1.0, 1.0), (0.0, 0.0)):
            crop = in_photo(crop, factor_xy, offset_xy)
        size, centre = _size_and_centre(crop)
        depth = self.mesh[..., 2] * np.sqrt(size.prod(axis=-1))
        mesh_xy = self.mesh[..., :2] * size + centre
        return FaceGeometry(
            box_xyxy=(self.box.reshape(-1, 2, 2) * size + centre).reshape(-1, 4),
            landmarks_px=self.landmarks * size + centre,
            landmarks_confidence=self.landmarks_confidence,
            mesh_px=np.concatenate([mesh_xy, depth[..., None]], axis=-1),
            mesh_confidence=_confidence(self.mesh, MESH478_EYE_CORNERS, self.mesh_scale),
            rotation=rotation_from_6d(self.rotation6d),
        )

    @property
    def landmarks_confidence(self) -> FloatArray:
        """Confidence (K, 68) of the 68 points, in [0, 1]."""
        return _confidence(self.landmarks, IBUG68_EYE_CORNERS, self.landmarks_scale)

    def __getitem__(self, chosen: "slice | IntArray") -> "FacePredictions":
        return FacePredictions(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def distinct(self, iou: float) -> "FacePredictions":
        """Keep the best of the faces whose boxes overlap by more than ``iou``, best first."""
        return self if len(self.score) < 2 else self[nms(self.box_xyxy, self.score, iou)]

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
        roll_deg: Sequence[FloatArray | None] | None = None,
    ) -> list[FacePredictions]:
        """Predict for the face squares of each image, all images' squares in shared batches.

        Args:
            images: RGB.
            squares_xyxy: (K, 4) face squares of each image, pixels.
            cameras: of the images, where the lens is known: crops away from the axis are then taken through
                virtual cameras that look straight at them.
            roll_deg: (K,) roll of the faces of each image, degrees clockwise, where it is known: their crops
                are rotated by it.
        """
        if not any(len(part) for part in squares_xyxy):
            return [FacePredictions.empty() for _ in images]
        crops = [square(squares, CROP_SCALE) for squares in squares_xyxy]
        pixels, views = _cut(images, crops, cameras, roll_deg)
        outputs = self.engine.batched(pixels)
        ends = [0, *accumulate(map(len, crops))]
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

    def confirm(
        self,
        images: Sequence[Pyramid],
        predictions: Sequence[FacePredictions],
        cameras: Sequence[Camera | None] | None = None,
    ) -> list[FacePredictions]:
        """Leave out doubtful faces that a crop around their own square shows not at all or upside down."""
        doubtful = [np.flatnonzero(each.landmarks_confidence.mean(axis=1) < DOUBTFUL) for each in predictions]
        if not any(len(rows) for rows in doubtful):
            return list(predictions)
        squares = [each.box_xyxy[rows] for each, rows in zip(predictions, doubtful, strict=True)]
        pixels, _ = _cut(images, [square(square(each), CROP_SCALE) for each in squares], cameras)
        outputs = self.engine.batched(np.concatenate([pixels, pixels[:, ::-1, ::-1]]))
        score, landmarks, scale = outputs[0], outputs[3], outputs[5]
        confidence = _confidence(landmarks, IBUG68_EYE_CORNERS, scale).mean(axis=1)
        half = len(pixels)
        is_upside_down = score[half:] >= UPSIDE_DOWN_SCORE
        is_upside_down &= confidence[half:] >= confidence[:half] - UPSIDE_DOWN_MARGIN
        yaw_deg = angles_from_rotation(rotation_from_6d(outputs[2][:half]))[:, 0]
        is_upside_down &= np.abs(yaw_deg) < UPSIDE_DOWN_YAW_DEG
        is_wrong = is_upside_down | (score[:half] < CONFIRM_SCORE)
        is_false = np.split(is_wrong, np.cumsum([len(rows) for rows in doubtful])[:-1])
        return [
            each[np.setdiff1d(np.arange(len(each.score)), rows[wrong])]
            for each, rows, wrong in zip(predictions, doubtful, is_false, strict=True)
        ]


def _cut(
    images: Sequence[Pyramid],
    crops: Sequence[FloatArray],
    cameras: Sequence[Camera | None] | None,
    roll_deg: Sequence[FloatArray | None] | None = None,
) -> tuple[UInt8Array, list[VirtualViews | None]]:
    """Cut the crops (K, 4) of each image, through virtual cameras where the lens or a roll asks for them."""
    unknown = [None] * len(crops)
    views = [
        None if camera is None and roll is None else virtual_views(crop, camera, roll)
        for crop, camera, roll in zip(crops, cameras or unknown, roll_deg or unknown, strict=True)
    ]
    pixels = np.empty((sum(map(len, crops)), CROP_PX, CROP_PX, 3), np.uint8)
    parts = np.split(pixels, np.cumsum([len(crop) for crop in crops])[:-1])
    for image, crop, view, part in zip(images, crops, views, parts, strict=True):
        is_upright = np.ones(len(crop), bool)
        if view is not None:
            is_upright[view.rows] = False
            part[view.rows] = view.crop(image, CROP_PX, REDUCING_GAP, OUTSIDE)
        part[is_upright] = crop_squares(image, crop[is_upright], CROP_PX, REDUCING_GAP, OUTSIDE)
    return pixels, views


def _to_upright_crops(
    outputs: list[FloatArray], rows: IntArray, view: VirtualViews, crop_xyxy: FloatArray
) -> None:
    """Carry the outputs of some rows from their virtual views to units of the upright crops."""
    _, box, rotation6d, landmarks, mesh, *_ = outputs
    crops = crop_xyxy[rows]
    left, top, right, bottom = np.moveaxis(box[rows], -1, 0)
    corners = np.stack([left, top, right, top, left, bottom, right, bottom], axis=-1).reshape(-1, 4, 2)
    corners = view.to_crop_units(corners, crops)
    low, high = corners.min(axis=1), corners.max(axis=1)
    rolled = view.roll_deg != 0
    if rolled.any():
        half_axes = (corners[:, 1:3] - corners[:, :1]) / 2  # a face fills the ellipse in its box
        middle, reach = corners.mean(axis=1), np.sqrt((half_axes**2).sum(axis=1))
        low, high = (
            np.where(rolled[:, None], each, old)
            for each, old in ((middle - reach, low), (middle + reach, high))
        )
        roll = rotation_from_angles(0, 0, view.roll_deg)
        columns = rotation6d[rows].reshape(-1, 2, 3) @ np.swapaxes(roll, -1, -2)
        rotation6d[rows] = columns.reshape(-1, 6)
    box[rows] = np.concatenate([low, high], axis=-1)
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
