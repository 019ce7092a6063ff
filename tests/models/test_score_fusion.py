"""Score fusion: log-odds of two networks add up."""

import numpy as np
import pytest

from facegeom.models.score_fusion import ScoreFusion

FACE = np.array([0.0, 0.2, 0.5, 0.9, 0.99], np.float32)


def test_without_weight_the_face_networks_score_stays() -> None:
    np.testing.assert_array_equal(ScoreFusion().fuse(FACE, np.full(5, 0.01)), FACE)


def test_log_odds_add_up() -> None:
    fused = ScoreFusion(weight=2.0, offset=0.5).fuse(np.array([0.75]), np.array([0.8]))
    odds = 3.0 * 4.0**2 * np.exp(0.5)
    assert fused[0] == pytest.approx(odds / (1 + odds), rel=1e-6)


def test_a_surer_detector_gives_a_higher_score() -> None:
    fusion = ScoreFusion(weight=1.5, offset=0.7)
    scores = [fusion.fuse(FACE, np.full(5, each)) for each in (0.0, 0.1, 0.4, 0.9, 0.99)]
    assert all((np.diff(column) > 0).all() for column in np.array(scores).T)
    assert np.isfinite(scores).all() and np.min(scores) >= 0 and np.max(scores) <= 1
    assert scores[0].dtype == np.float32
