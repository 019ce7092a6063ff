"""Jitter and lag measured on points whose motion is known."""

import numpy as np
import pytest

from facegeom_lab.bench.video.clips import jitter_percent, lag_frames


def test_lag_is_measured_in_frames() -> None:
    maps, shift = np.tile(np.eye(2, 3), (90, 1, 1)), 40 * np.sin(np.arange(-3, 90) / 18)
    maps[:, 0, 2] = shift[3:]
    rest = np.random.default_rng(2).uniform(0, 99, (478, 2))
    truth = rest + maps[:, None, :, 2]
    late = truth + np.stack([shift[:-3] - shift[3:], np.zeros(90)], axis=1)[:, None]
    assert lag_frames(truth + 7, rest, maps) == pytest.approx(0, abs=1e-9)
    assert lag_frames(late, rest, maps) == pytest.approx(3, abs=0.15)
    late[20] = np.nan
    assert lag_frames(late, rest, maps) == pytest.approx(3, abs=0.15)


def test_jitter_is_a_percentage_of_the_eye_distance() -> None:
    rest = np.zeros((478, 2))
    rest[263] = 50, 0
    noise = np.random.default_rng(3).normal(size=(400, 478, 2))
    assert jitter_percent(rest + noise) == pytest.approx(100 * np.sqrt(2) / 50, rel=0.02)
