"""FPNet: score, box and head rotation from a 48-pixel window.

FPNet takes the place of MTCNN's third stage (Zhang et al., 2016) and predicts, in place of landmarks, the two
raw vectors of a rotation (Zhou et al., CVPR 2019; 6DRepNet, Hempel et al., ICIP 2022).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from os import PathLike
from pathlib import Path
from types import NoneType

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError, WeightsError, shown
from facegeom.geometry.boxes import square
from facegeom.geometry.rotation import rotation_from_6d, rotation_to_6d
from facegeom.image.crop import crop_images
from facegeom.image.pyramid import Pyramid
from facegeom.models import weights
from facegeom.models.engine import Engine
from facegeom.models.face import FacePredictions

FloatArray = npt.NDArray[np.floating]

WINDOW_PX = 48
REDUCING_GAP = 1.5
"""Resizing a large window costs as much as the network; see :func:`facegeom.image.crop.crop_squares`."""

OUTPUTS = ("score", "offsets", "rotation6d")


@dataclass(frozen=True)
class HeadPredictions:
    """FPNet's predictions for K squares, in pixels of their images.

    Attributes:
        score: (K,) in [0, 1].
        box_xyxy: (K, 4) squares around the faces.
        rotation: (K, 3, 3) head frame to the frame of the line of sight, as the window shows the head.
    """

    score: FloatArray
    box_xyxy: FloatArray
    rotation: FloatArray

    def __getitem__(self, chosen: "slice | npt.NDArray[np.intp]") -> "HeadPredictions":
        return HeadPredictions(self.score[chosen], self.box_xyxy[chosen], self.rotation[chosen])


class FPNet:
    """FPNet with its pre- and post-processing.

    Args:
        engine: of FPNet.

    Raises:
        WeightsError: the file holds another network.
    """

    def __init__(self, engine: Engine) -> None:
        if engine.outputs != OUTPUTS:
            raise WeightsError(
                f"expected an FPNet, with the outputs {', '.join(OUTPUTS)}, in {engine.path}; it gives "
                f"{', '.join(engine.outputs)}; make one with `facegeom lab train fpnet`"
            )
        self.engine = engine

    @classmethod
    def load(
        cls, path: str | PathLike[str] | None = None, device: str = "cpu", threads: int | None = None
    ) -> "FPNet":
        """Load the FPNet of a file, by default the one that ships.

        Raises:
            InputError: an unknown device; no path.
            WeightsError: the file is missing, damaged, or holds another network.
        """
        if not isinstance(path, (str, PathLike, NoneType)):
            raise InputError(f"face_pose_net: expected the path of a file, got {shown(path)}")
        return cls(Engine(weights.path("fpnet") if path is None else Path(path), device, threads))

    def turned(
        self,
        images: Sequence[Pyramid],
        faces: Sequence[FacePredictions],
        rolled: Sequence[npt.NDArray[np.bool_]] | None = None,
    ) -> list[FacePredictions]:
        """Return the faces of each image with FPNet's rotations, but for ``rolled`` (N,) ones.

        FPNet knows upright heads only.
        """
        heads = self(images, [square(each.box_xyxy) for each in faces])
        own = [rotation_to_6d(head.rotation) for head in heads]
        if rolled is not None:
            kept = zip(faces, own, rolled, strict=True)
            own = [np.where(which[:, None], face.rotation6d, each) for face, each, which in kept]
        return [replace(face, rotation6d=each) for face, each in zip(faces, own, strict=True)]

    def __call__(
        self, images: Sequence[Pyramid], squares_xyxy: Sequence[FloatArray]
    ) -> list[HeadPredictions]:
        """Predict for the squares (K, 4) of each image, all images' squares in shared batches."""
        if not any(len(part) for part in squares_xyxy):
            return [HeadPredictions(np.zeros(0), np.zeros((0, 4)), np.zeros((0, 3, 3))) for _ in images]
        crops = crop_images(images, squares_xyxy, WINDOW_PX, REDUCING_GAP)
        score, offsets, vectors = self.engine.batched(crops)
        squares = np.concatenate(squares_xyxy)
        boxes = squares + offsets * (squares[:, 2:3] - squares[:, 0:1])
        predictions = HeadPredictions(score, boxes, rotation_from_6d(vectors))
        ends = [0, *accumulate(map(len, squares_xyxy))]
        return [predictions[start:end] for start, end in pairwise(ends)]
