"""Two networks looked at a face: how sure both together are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

CERTAIN = 1e-6
"""Probabilities are kept so far from 0 and 1."""


@dataclass(frozen=True)
class Evidence:
    """What a detector's score adds to the face network's, in log-odds: ``weight`` of its own, and an offset.

    Independent judges' log-odds add up; a weight of 0 leaves the face network alone with its judgement.
    """

    weight: float = 0.0
    offset: float = 0.0

    def joined(self, face_score: FloatArray, score: FloatArray) -> FloatArray:
        """Probabilities (K,) of a face, from the face network's (K,) and the detector's (K,)."""
        if self.weight == 0:
            return face_score
        log_odds = _log_odds(face_score) + self.weight * _log_odds(score) + self.offset
        return np.asarray(1 / (1 + np.exp(-log_odds)), np.float32)


def _log_odds(probability: FloatArray) -> FloatArray:
    kept = np.clip(probability.astype(np.float64), CERTAIN, 1 - CERTAIN)
    return np.asarray(np.log(kept / (1 - kept)))
