"""Teachers of head rotations: each predicts a rotation as six raw numbers for a face in an image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from facegeom.errors import InputError
from facegeom.geometry.boxes import square
from facegeom.geometry.rotation import rotation_from_6d, rotation_to_6d
from facegeom.image.crop import crop_squares
from facegeom.models import weights
from facegeom.models.engine import Engine
from facegeom.models.face import CROP_SCALE
from facegeom_lab.datasets.angle_conventions import rotation_from_6drepnet
from facegeom_lab.datasets.training.face_samples import runtime_crops
from facegeom_lab.evaluation.run import read_recipe
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.sixdrepnet import SixDRepNet, fold, published

NAMES = ("points", "face", "6drepnet", "6drepnet-published")
FOREIGN = ("6drepnet-published",)
"""Teachers whose vectors give a matrix of the authors' convention: the transpose of ours, up to signs. So its
columns are not ours, and the vectors are stored and learned as they are."""

PUBLISHED_PX = 224


class PoseTeacher(Protocol):
    """A source of head rotations."""

    def __call__(self, image: np.ndarray, squares_xyxy: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        """Predict rotations.

        Args:
            image: (H, W, 3) uint8 RGB.
            squares_xyxy: (K, 4) crop boxes of the faces, pixels.
            rotation: (K, 3, 3) of the photo's labels; NaN where there is none.

        Returns:
            (K, 6) raw numbers: a matrix's first two columns before orthonormalisation.
        """


class PointsTeacher:
    """The labels themselves: the head fitted to 68 points, or the exact rotation of a rendered head."""

    def __call__(self, image: np.ndarray, squares_xyxy: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        """Return the labels' rotations, NaN where there are none."""
        return rotation_to_6d(rotation)


class FaceTeacher:
    """The face network among facegeom's weights."""

    def __init__(self) -> None:
        self.engine = Engine(weights.path("face"), threads=1)

    def __call__(self, image: np.ndarray, squares_xyxy: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        """Return the network's raw output."""
        crops = runtime_crops(image, square(squares_xyxy, CROP_SCALE))
        return self.engine(crops)[2]


class SixDRepNetTeacher:
    """6DRepNet, trained here or published.

    Args:
        net: in evaluation mode.
        size_px: side of its input.
    """

    def __init__(self, net: SixDRepNet, size_px: int) -> None:
        self.net, self.size_px = fold(net), size_px

    @classmethod
    def of_run(cls, checkpoint: Path) -> "SixDRepNetTeacher":
        """Load a checkpoint of ``facegeom lab train 6drepnet`` in its run folder."""
        recipe = read_recipe(checkpoint.parent)
        if recipe["kind"] != "sixdrepnet":
            raise InputError(f"expected a run of 6drepnet around {checkpoint}, got one of {recipe['recipe']}")
        net = network_from_checkpoint(checkpoint, SixDRepNet(recipe["body"]))
        return cls(net, recipe["size_px"])

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, squares_xyxy: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        """Return the raw output, the vectors with their lengths; see :func:`raw_to_rotation`."""
        crops = crop_squares(image, square(squares_xyxy, CROP_SCALE), self.size_px)
        return self.net(torch.from_numpy(crops).permute(0, 3, 1, 2).float()).numpy()


def raw_to_rotation(teacher: str, raw: np.ndarray) -> np.ndarray:
    """Convert raw vectors (N, 6) of a teacher, or of a student of its vectors, to rotations (N, 3, 3)."""
    rotation = rotation_from_6d(raw.astype(np.float64))
    return rotation_from_6drepnet(rotation) if teacher in FOREIGN else rotation


def pose_teachers(names: Sequence[str], model: Path | None) -> dict[str, PoseTeacher]:
    """Build teachers by name.

    Args:
        names: of ``NAMES``.
        model: checkpoint of 6drepnet, or of the published one; None where neither is asked for.

    Raises:
        InputError: an unknown name; a model that is missing, damaged or not asked for.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        raise InputError(
            f"expected some of the teachers {', '.join(NAMES)}, got {', '.join(names) or 'none'}"
        )
    with_model = [name for name in names if name.startswith("6drepnet")]
    if (model is None) != (not with_model) or len(with_model) > 1:
        raise InputError(
            "expected --model with 6drepnet or 6drepnet-published, one of them, and with no other teacher"
        )
    return {name: _teacher(name, model) for name in names}


def _teacher(name: str, model: Path | None) -> PoseTeacher:
    if name == "6drepnet" and model:
        return SixDRepNetTeacher.of_run(model)
    if name == "6drepnet-published" and model:
        return SixDRepNetTeacher(published(model), PUBLISHED_PX)
    return PointsTeacher() if name == "points" else FaceTeacher()
