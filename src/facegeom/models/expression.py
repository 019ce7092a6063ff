"""The expression network: the points of faces in, expression coefficients and directions of the eyes out."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facegeom.geometry.placement import in_canonical_frame
from facegeom.geometry.rotation import rotation_to_6d
from facegeom.models.engine import Engine

FloatArray = npt.NDArray[np.floating]

GAZE_NEAR_DEG = 10.0
"""The confidence of a gaze is the probability that its error is below this, for an exponential error."""


class Motion(NamedTuple):
    """What N faces do.

    Attributes:
        expression: (N, 52) coefficients in [0, 1], named by :data:`facegeom.geometry.schemes.ARKIT52`.
        gaze: (N, 2, 3) unit vectors of the person's right and left eye, head frame.
        gaze_confidence: (N, 2) in [0, 1].
    """

    expression: FloatArray
    gaze: FloatArray
    gaze_confidence: FloatArray


class ExpressionNet:
    """The expression network with its pre-processing.

    Args:
        engine: of the expression network.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, mesh_mm: FloatArray, rotation: FloatArray) -> Motion:
        """Predict from meshes (N, 478, 3), millimetres, and rotations (N, 3, 3) of the heads as seen."""
        if not len(mesh_mm):
            return Motion(np.zeros((0, 52)), np.zeros((0, 2, 3)), np.zeros((0, 2)))
        points = in_canonical_frame(mesh_mm)
        rotation6d = rotation_to_6d(rotation).astype(np.float32)
        return Motion(*self.engine.batched(points, rotation6d=rotation6d))
