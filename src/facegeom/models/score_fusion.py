"""Score fusion: the detector's and the face network's scores of one face, added as log-odds."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

CERTAIN = 1e-6
"""Probabilities are clipped to [CERTAIN, 1 - CERTAIN]."""


@dataclass(frozen=True)
class ScoreFusion:
    """Weight and offset of a detector's log-odds beside the face network's.

    Log-odds of independent classifiers add up. A weight of 0 leaves the face network's score alone.
    """

    weight: float = 0.0
    offset: float = 0.0

    def fuse(self, face_score: FloatArray, detector_score: FloatArray) -> FloatArray:
        """Return probabilities (K,) of a face from the face network's (K,) and the detector's (K,)."""
        if self.weight == 0:
            return face_score
        face, detector = (
            np.clip(score.astype(np.float64), CERTAIN, 1 - CERTAIN) for score in (face_score, detector_score)
        )
        log_odds = np.log(face / (1 - face)) + self.weight * np.log(detector / (1 - detector)) + self.offset
        return np.asarray(1 / (1 + np.exp(-log_odds)), np.float32)
