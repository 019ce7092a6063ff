"""FPNet's predictor: squares around faces in, score, box and the head's rotation in the photo out.

FPNet takes the place of MTCNN's third stage (Zhang et al., 2016) and answers, in place of landmarks, the two
raw vectors of a rotation (Zhou et al., CVPR 2019; 6DRepNet, Hempel et al., ICIP 2022).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facegeom.errors import WeightsError
from facegeom.geometry.rotation import rotation_from_6d
from facegeom.image.crop import Picture
from facegeom.models import weights
from facegeom.models.batching import joined, per_photo, read_squares
from facegeom.models.engine import Engine

FloatArray = npt.NDArray[np.floating]

WINDOW_PX = 48
REDUCING_GAP = 1.5
"""To shrink a large window costs as much as the network; see :func:`facegeom.image.crop.cut`."""

OUTPUTS = ("score", "offsets", "rotation6d")


@dataclass(frozen=True)
class Views:
    """What FPNet says of K squares, in pixels of their photos.

    Attributes:
        score: (K,) in [0, 1].
        box_xyxy: (K, 4) the face's own square.
        rotation: (K, 3, 3) as the window shows the head: straight ahead of the camera.
    """

    score: FloatArray
    box_xyxy: FloatArray
    rotation: FloatArray

    def __getitem__(self, chosen: "slice | npt.NDArray[np.intp]") -> "Views":
        return Views(self.score[chosen], self.box_xyxy[chosen], self.rotation[chosen])


class FPNetPredictor:
    """FPNet with its windows and the way back.

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
    ) -> "FPNetPredictor":
        """The FPNet of a file, by default the one that ships.

        Raises:
            InputError: an unknown device.
            WeightsError: the file is missing, damaged, or holds another network.
        """
        return cls(Engine(weights.path("fpnet") if path is None else Path(path), device, threads))

    def __call__(self, pictures: Sequence[Picture], squares_xyxy: Sequence[FloatArray]) -> list[Views]:
        """Answers for the squares (K, 4) of each photo, all photos' squares in common batches."""
        if not any(len(part) for part in squares_xyxy):
            return [Views(np.zeros(0), np.zeros((0, 4)), np.zeros((0, 3, 3))) for _ in pictures]
        score, offsets, vectors = read_squares(self.engine, pictures, squares_xyxy, WINDOW_PX, REDUCING_GAP)
        squares = joined(squares_xyxy)
        boxes = squares + offsets * (squares[:, 2:3] - squares[:, 0:1])
        return per_photo(Views(score, boxes, rotation_from_6d(vectors)), squares_xyxy)
