"""Where the faces are: candidate squares, by one network over the whole photo or by a cascade of two."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.errors import InputError
from facegeom.image.pyramid import Levels
from facegeom.models import weights
from facegeom.models.cascade import Cascade
from facegeom.models.detector import OnePass
from facegeom.models.engine import Engine
from facegeom.models.score_fusion import Evidence

FloatArray = npt.NDArray[np.floating]

DETECTORS = ("onepass", "cascade")


class Detector(Protocol):
    """What finds candidates: :class:`OnePass` or :class:`Cascade`.

    Attributes:
        evidence: what its scores tell beside the face network's.
    """

    evidence: Evidence

    def __call__(
        self, pictures: Sequence[Image.Image | Levels], min_face_px: Sequence[float]
    ) -> list[tuple[FloatArray, FloatArray]]:
        """Candidates of each photo: squares (K, 4) in its pixels and scores (K,), best first."""
        ...


def load(
    name: str, device: str = "cpu", threads: int | None = None, variant: str = weights.FLOAT32
) -> Detector:
    """A detector by its name, one of ``DETECTORS``; the cascade has one variant.

    Raises:
        InputError: an unknown name or device.
        WeightsError: a weight file is missing.
    """
    if name not in DETECTORS:
        raise InputError(f"detector: expected one of {', '.join(DETECTORS)}, got {name!r}")
    if name == "onepass":
        return OnePass(Engine(weights.path("onepass", variant), device, threads))
    pnet, rnet = (Engine(weights.path(stage), device, threads) for stage in ("pnet", "rnet"))
    return Cascade(pnet, rnet)
