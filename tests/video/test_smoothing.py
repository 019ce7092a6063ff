"""The one-euro filter by itself, on faces, and on clips of the portrait with the networks that ship."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from facegeom import FaceAnalyzer, Faces
from facegeom.errors import InputError
from facegeom.geometry.camera import Camera
from facegeom.video import FaceSmoother, Frame, FrameAnalyzer, TrackedFaces
from facegeom.video.smoothing import FACES, FORGET_S, OneEuro, OneEuroSettings
from facegeom_lab.bench import clips
from facegeom_lab.bench.steadiness import jitter_percent, lag_frames

RATE = 30.0
LOW_PASS = OneEuroSettings(min_cutoff_hz=2.0, beta=0.0, derivative_cutoff_hz=1.0)


def filtered(
    values: np.ndarray, settings: OneEuroSettings, rate: float = RATE, unit: float = 1
) -> np.ndarray:
    """Values (N,) at a rate through a filter of one component."""
    one = OneEuro(settings)
    return np.array([one(np.array([[value]]), i / rate, unit)[0, 0] for i, value in enumerate(values)])


def test_without_beta_it_is_a_low_pass_of_first_order() -> None:
    step = filtered(np.r_[0.0, np.ones(5)], LOW_PASS)
    turn = 2 * np.pi * 2.0 / RATE
    np.testing.assert_allclose(step, 1 - (1 / (1 + turn)) ** np.arange(6), atol=1e-12)


def test_the_first_value_and_repeated_times_pass() -> None:
    one = OneEuro(LOW_PASS)
    assert one(np.array([[3.0]]), 7.0)[0, 0] == 3.0
    assert one(np.array([[9.0]]), 7.0)[0, 0] == 9.0


def test_speed_opens_the_filter() -> None:
    ramp = np.arange(60) / RATE  # one size a second
    slow, fast = (filtered(ramp, replace(FACES, beta=beta)) for beta in (0.0, FACES.beta))
    assert (ramp - fast)[-1] * RATE < 2 < 10 < (ramp - slow)[-1] * RATE  # frames behind


@pytest.mark.parametrize(("sizes_per_s", "lag"), [(0.05, 2.0), (0.1, 1.3), (0.2, 0.8), (0.5, 0.4)])
def test_lag_of_a_steady_motion(sizes_per_s: float, lag: float) -> None:
    path = np.arange(240) / RATE * sizes_per_s
    assert (path - filtered(path, FACES))[-1] / sizes_per_s * RATE == pytest.approx(lag, abs=0.05)


def test_vectors_have_speeds_of_their_own() -> None:
    one = OneEuro(FACES)
    for index in range(30):
        out = one(np.array([[index / RATE, 0.0], [0.01 * (-1) ** index, 5.0]]), index / RATE)
    assert abs(out[0, 0] - 29 / RATE) < 0.06 and abs(out[1, 0]) < 0.003 and out[1, 1] == 5.0


def test_units_make_it_independent_of_the_size() -> None:
    path = np.cumsum(np.random.default_rng(1).normal(size=50))
    np.testing.assert_allclose(filtered(path * 8, FACES, unit=8), 8 * filtered(path, FACES), atol=1e-9)


@pytest.mark.parametrize("bad", [{"min_cutoff_hz": 0}, {"beta": -1}, {"derivative_cutoff_hz": float("nan")}])
def test_bad_settings(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(bad))}: expected"):
        replace(FACES, **bad)


def test_a_smoothed_face_is_whole(make_faces: Callable[..., Faces]) -> None:
    smoother = FaceSmoother()
    for index, yaw in enumerate((0, 4, 8, 12)):
        faces = make_faces(angles_deg=(yaw, 0, 0), translation_mm=(yaw, 0, 500))
        smooth = smoother(TrackedFaces(np.array([3]), faces), index / RATE).faces
    rotation = smooth.rotation[0].astype(float)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
    assert 0 < smooth[0].yaw_deg < 12
    camera = Camera(smooth.width, smooth.height)
    np.testing.assert_allclose(camera.project(smooth.mesh_mm), smooth.mesh_px[..., :2], atol=0.01)
    assert smooth.score[0] == faces.score[0] and smooth.translation_mm[0, 2] == pytest.approx(500, rel=0.05)


def test_faces_are_smoothed_by_their_numbers(make_faces: Callable[..., Faces]) -> None:
    smoother, faces = FaceSmoother(), make_faces()
    smoother(TrackedFaces(np.array([0]), faces), 0.0)
    aside = replace(faces, landmarks_px=faces.landmarks_px + 3)
    np.testing.assert_array_equal(
        smoother(TrackedFaces(np.array([1]), aside), 0.03).faces.landmarks_px, aside.landmarks_px
    )
    near = smoother(TrackedFaces(np.array([0]), aside), 0.06).faces.landmarks_px
    assert (near < aside.landmarks_px).all() and (near > faces.landmarks_px).all()
    late = smoother(TrackedFaces(np.array([0]), faces), 0.07 + FORGET_S).faces.landmarks_px
    np.testing.assert_array_equal(late, faces.landmarks_px)


def followed(clip: clips.Clip, analyzer: FaceAnalyzer, smooth: bool) -> np.ndarray:
    """(N, 478, 2) the mesh of each frame's one face."""
    analyze = FrameAnalyzer(analyzer, smooth=smooth)
    tracked = [analyze(Frame(i, i / clips.RATE, pixels)) for i, pixels in enumerate(clip.frames)]
    assert all(one.ids.tolist() == [0] for one in tracked)
    return np.stack([one.faces.mesh_px[0, :, :2] for one in tracked])


def test_jitter_and_lag_with_the_real_networks() -> None:
    analyzer = FaceAnalyzer(threads=1)
    still, moving = clips.still(75, noise=8, seed=5), clips.moving(75, noise=8, seed=6)
    calm, raw = (followed(still, analyzer, smooth)[15:] for smooth in (True, False))
    assert jitter_percent(calm) <= 0.25 * jitter_percent(raw)
    behind = lag_frames(followed(moving, analyzer, True)[15:], calm.mean(axis=0), moving.maps[15:])
    assert behind <= 2


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


def test_jitter_is_a_share_of_the_eyes_distance() -> None:
    rest = np.zeros((478, 2))
    rest[263] = 50, 0
    noise = np.random.default_rng(3).normal(size=(400, 478, 2))
    assert jitter_percent(rest + noise) == pytest.approx(100 * np.sqrt(2) / 50, rel=0.02)
