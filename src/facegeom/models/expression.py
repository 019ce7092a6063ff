"""The expression network: what the regions' networks see, mesh and rotation in; coefficients and gaze out."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facegeom.geometry.placement import in_canonical_frame
from facegeom.geometry.rotation import rotation_from_6d
from facegeom.models.engine import Engine

FloatArray = npt.NDArray[np.floating]

GAZE_NEAR_DEG = 10.0
"""The confidence of a gaze is the probability that its error is below this, for an exponential error."""


class Motion(NamedTuple):
    """What N faces do.

    Attributes:
        expression: (N, 52) coefficients in [0, 1], named by :data:`facegeom.geometry.schemes.ARKIT52`.
        gaze_seen: (N, 2, 3) unit vectors of the person's right and left eye, frame of the line of sight.
        gaze_confidence: (N, 2) in [0, 1].
    """

    expression: FloatArray
    gaze_seen: FloatArray
    gaze_confidence: FloatArray


class ExpressionNet:
    """The expression network with its pre- and post-processing.

    Args:
        engine: of the expression network.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(
        self,
        features: Sequence[FloatArray],
        meshes_mm: Sequence[FloatArray],
        rotations6d: Sequence[FloatArray],
    ) -> list[Motion]:
        """Predict for the faces of several images, in one call.

        Args:
            features: (N, 1632) of :class:`facegeom.models.regions.RegionNets`, for each image.
            meshes_mm: (N, 478, 3) millimetres.
            rotations6d: (N, 6) of the heads as seen.
        """
        if not any(map(len, meshes_mm)):
            return [Motion(np.zeros((0, 52)), np.zeros((0, 2, 3)), np.zeros((0, 2))) for _ in meshes_mm]
        points, rotation6d = in_canonical_frame(np.concatenate(meshes_mm)), np.concatenate(rotations6d)
        expression, gaze, confidence = self.engine.batched(
            np.concatenate(features), points=points, rotation6d=rotation6d.astype(np.float32)
        )
        seen = gaze @ np.swapaxes(rotation_from_6d(rotation6d), -1, -2)
        ends = pairwise([0, *accumulate(map(len, meshes_mm))])
        return [Motion(expression[start:end], seen[start:end], confidence[start:end]) for start, end in ends]
