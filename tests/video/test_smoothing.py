"""The one-euro filter by itself, on faces, and on clips of the portrait with the networks that ship."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from facegeom import FaceAnalyzer, Faces
from facegeom.errors import InputError
from facegeom.geometry import transforms
from facegeom.geometry.camera import Camera
from facegeom.video import FaceSmoother, Frame, FrameAnalyzer, TrackedFaces
from facegeom.video.smoothing import DEFAULT_SETTINGS, RESET_AFTER_S, OneEuro, OneEuroSettings

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
    phase = 2 * np.pi * 2.0 / RATE
    np.testing.assert_allclose(step, 1 - (1 / (1 + phase)) ** np.arange(6), atol=1e-12)


def test_the_first_value_and_repeated_times_pass() -> None:
    one = OneEuro(LOW_PASS)
    assert one(np.array([[3.0]]), 7.0)[0, 0] == 3.0
    assert one(np.array([[9.0]]), 7.0)[0, 0] == 9.0


def test_speed_opens_the_filter() -> None:
    ramp = np.arange(60) / RATE  # one size a second
    slow, fast = (
        filtered(ramp, replace(DEFAULT_SETTINGS, beta=beta)) for beta in (0.0, DEFAULT_SETTINGS.beta)
    )
    assert (ramp - fast)[-1] * RATE < 2 < 10 < (ramp - slow)[-1] * RATE  # frames behind


@pytest.mark.parametrize(("sizes_per_s", "lag"), [(0.05, 2.0), (0.1, 1.3), (0.2, 0.8), (0.5, 0.4)])
def test_lag_of_a_steady_motion(sizes_per_s: float, lag: float) -> None:
    path = np.arange(240) / RATE * sizes_per_s
    assert (path - filtered(path, DEFAULT_SETTINGS))[-1] / sizes_per_s * RATE == pytest.approx(lag, abs=0.05)


def test_vectors_have_speeds_of_their_own() -> None:
    one = OneEuro(DEFAULT_SETTINGS)
    for index in range(30):
        out = one(np.array([[index / RATE, 0.0], [0.01 * (-1) ** index, 5.0]]), index / RATE)
    assert abs(out[0, 0] - 29 / RATE) < 0.06 and abs(out[1, 0]) < 0.003 and out[1, 1] == 5.0


def test_units_make_it_independent_of_the_size() -> None:
    path = np.cumsum(np.random.default_rng(1).normal(size=50))
    np.testing.assert_allclose(
        filtered(path * 8, DEFAULT_SETTINGS, unit=8), 8 * filtered(path, DEFAULT_SETTINGS), atol=1e-9
    )


@pytest.mark.parametrize("bad", [{"min_cutoff_hz": 0}, {"beta": -1}, {"derivative_cutoff_hz": float("nan")}])
def test_bad_settings(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(bad))}: expected"):
        replace(DEFAULT_SETTINGS, **bad)


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


@pytest.mark.parametrize("fov_deg", [30.0, 90.0])
def test_millimetres_follow_the_angle_of_view_of_the_faces(
    make_faces: Callable[..., Faces], fov_deg: float
) -> None:
    smoother = FaceSmoother()
    for index, yaw in enumerate((0, 4, 8)):
        faces = replace(make_faces(angles_deg=(yaw, 0, 0)), fov_deg=fov_deg, fov_source="given")
        smooth = smoother(TrackedFaces(np.array([3]), faces), index / RATE).faces
    camera = Camera(smooth.width, smooth.height, fov_deg)
    np.testing.assert_allclose(camera.project(smooth.mesh_mm), smooth.mesh_px[..., :2], atol=0.01)
    assert (smooth.fov_deg, smooth.fov_source) == (fov_deg, "given")


def test_rotations_are_smoothed_as_seen(make_faces: Callable[..., Faces]) -> None:
    smoother = FaceSmoother()
    for index, x in enumerate((-150, -100, -50)):  # moves past the camera and looks into it
        faces = make_faces(angles_deg=(0, 0, 0), translation_mm=(x, 0, 500))
        smooth = smoother(TrackedFaces(np.array([0]), faces), index / RATE).faces
        assert abs(smooth[0].yaw_deg) < 0.01
    assert abs(np.rad2deg(np.arcsin(smooth.camera_rotation[0, 2, 0]))) > 3


def test_faces_are_smoothed_by_their_numbers(make_faces: Callable[..., Faces]) -> None:
    smoother, faces = FaceSmoother(), make_faces()
    smoother(TrackedFaces(np.array([0]), faces), 0.0)
    aside = replace(faces, landmarks_px=faces.landmarks_px + 3)
    np.testing.assert_array_equal(
        smoother(TrackedFaces(np.array([1]), aside), 0.03).faces.landmarks_px, aside.landmarks_px
    )
    near = smoother(TrackedFaces(np.array([0]), aside), 0.06).faces.landmarks_px
    assert (near < aside.landmarks_px).all() and (near > faces.landmarks_px).all()
    late = smoother(TrackedFaces(np.array([0]), faces), 0.07 + RESET_AFTER_S).faces.landmarks_px
    np.testing.assert_array_equal(late, faces.landmarks_px)


def portrait_map(time_s: float) -> np.ndarray:
    """(3, 3) from pixels of the portrait to those of a moving clip; at time 0 the clip is at rest."""
    scale = 1.5 + 0.3 * np.sin(2 * np.pi * time_s / 5)
    angle = np.deg2rad(20 * np.sin(2 * np.pi * time_s / 4.5))
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = 320 + 100 * np.sin(2 * np.pi * time_s / 4), 180 + 30 * np.sin(2 * np.pi * time_s / 3)
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, centre - linear @ (224, 121)
    return matrix


def noisy_frames(maps: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yield frames (360, 640, 3) of the portrait through maps (N, 3, 3), with noise of 8 grey levels."""
    random = np.random.default_rng(seed)
    portrait = Image.open(str(files("facegeom") / "data" / "astronaut.jpg")).convert("RGB")
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # Pillow counts from the corner of the first pixel
    for matrix in maps:
        back = half @ np.linalg.inv(matrix) @ np.linalg.inv(half)
        data = tuple(back[:2].ravel().tolist())
        frame = portrait.transform((640, 360), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
        noisy = np.asarray(frame) + 8 * random.standard_normal((360, 640, 3), np.float32)
        yield np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def tracked_mesh(maps: np.ndarray, seed: int, analyzer: FaceAnalyzer, smooth: bool) -> np.ndarray:
    """(N, 478, 2) the mesh of each frame's one face."""
    analyze = FrameAnalyzer(analyzer, smooth=smooth)
    tracked = [analyze(Frame(i, i / RATE, pixels)) for i, pixels in enumerate(noisy_frames(maps, seed))]
    assert all(one.ids.tolist() == [0] for one in tracked)
    return np.stack([one.faces.mesh_px[0, :, :2] for one in tracked])


def jitter_px(points: np.ndarray) -> float:
    """Return the standard deviation of points (N, K, 2) over the frames, averaged over the points."""
    return float(np.sqrt(points.var(axis=0).sum(axis=1)).mean())


def lag_frames(points: np.ndarray, truth: np.ndarray) -> float:
    """Fit by how many frames points (N, K, 2) are late: error = -lag x velocity, constant errors removed."""
    velocity, error = (part - part.mean(axis=0) for part in (np.gradient(truth, axis=0), points - truth))
    return float(-(velocity * error).sum() / (velocity**2).sum())


@pytest.mark.slow
def test_jitter_and_lag_with_the_real_networks() -> None:
    analyzer = FaceAnalyzer(threads=1)
    still, moving = (
        np.tile(portrait_map(0), (75, 1, 1)),
        np.stack([portrait_map(i / RATE) for i in range(75)]),
    )
    smooth, raw = (tracked_mesh(still, 5, analyzer, smooth)[15:] for smooth in (True, False))
    assert jitter_px(smooth) <= 0.25 * jitter_px(raw)
    from_rest = moving @ np.linalg.inv(moving[0])
    truth = transforms.apply(from_rest[15:, :2], smooth.mean(axis=0))
    behind = lag_frames(tracked_mesh(moving, 6, analyzer, True)[15:], truth)
    assert behind <= 2
    assert lag_frames(truth[:-3], truth[3:]) == pytest.approx(3, abs=0.5)  # what the measure gives for 3
