"""The filter by itself, on faces that blink and speak, and on clips with the real networks."""

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
from facegeom.geometry.placement import place
from facegeom.video import FaceSmoother, Frame, FrameAnalyzer, TrackedFaces
from facegeom.video.smoothing import RESET_AFTER_S, AdaptiveKalman, SmoothingSettings

RATE = 30.0
NOISE = 0.00075
"""Of a point at rest from frame to frame, in face sizes, as the networks have it on clips with some noise."""


def filtered(values: np.ndarray, noise: float = NOISE, rate: float = RATE) -> np.ndarray:
    """Values (N, D) at a rate through a filter."""
    one = AdaptiveKalman(SmoothingSettings())
    return np.array([one(value[None], np.array([noise]), i / rate)[0] for i, value in enumerate(values)])


def test_below_the_gate_it_is_the_mean_of_all_frames() -> None:
    values = np.random.default_rng(1).normal(0, 1, (30, 2))
    one = AdaptiveKalman(SmoothingSettings(drift_per_s=1e-9, gate=1e9))
    found = [one(value[None], np.ones(1), i / RATE)[0] for i, value in enumerate(values)]
    np.testing.assert_allclose(found, np.cumsum(values, axis=0) / np.arange(1, 31)[:, None], atol=1e-6)


def test_the_first_value_and_repeated_times_pass() -> None:
    one = AdaptiveKalman(SmoothingSettings())
    assert one(np.array([[3.0]]), np.ones(1), 7.0)[0, 0] == 3.0
    assert one(np.array([[9.0]]), np.ones(1), 7.0)[0, 0] == 9.0


def test_what_noise_cannot_explain_passes() -> None:
    """A jump of 100 standard deviations keeps ten parts of 10,000; one of 1 goes to the mean."""
    for jump, kept in ((100.0, 1 - 10 / 10_000), (1.0, 0.02)):
        step = np.r_[np.zeros(200), jump][:, None]
        assert filtered(step, noise=1.0)[-1, 0] / jump == pytest.approx(kept, abs=0.01)


@pytest.mark.parametrize(
    ("sizes_per_s", "lag"), [(0.02, 4.6), (0.05, 1.6), (0.1, 0.6), (0.2, 0.2), (0.5, 0.04)]
)
def test_lag_of_a_steady_motion(sizes_per_s: float, lag: float) -> None:
    path = np.arange(240)[:, None] / RATE * sizes_per_s * (1, 0)
    assert (path - filtered(path))[-1, 0] / sizes_per_s * RATE == pytest.approx(lag, abs=0.1)


@pytest.mark.parametrize("rate", [15, 30, 60])
@pytest.mark.parametrize("noise", [NOISE, 200 * NOISE])
def test_jitter_at_rest(rate: float, noise: float) -> None:
    values = np.random.default_rng(4).normal(0, noise, (1200, 2))
    calm = filtered(values, noise, rate)[rate:]
    assert calm.std() < values.std() / 8


@pytest.mark.parametrize("bad", [{"drift_per_s": 0}, {"gate": -1}, {"gate": float("nan")}])
def test_bad_settings(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(bad))}: expected"):
        SmoothingSettings(**bad)


LIDS = {160: 144, 159: 145, 158: 153, 387: 373, 386: 374, 385: 380}
LIPS = {13: 14}


def clip(
    faces: Faces, closed: np.ndarray, pairs: dict[int, int], noise: float = 0.12, confidence: float = 0.975
) -> Iterator[Faces]:
    """Yield a face of 150 pixels whose pairs of points are closed by a fraction (N,), with noise.

    The noise is a fraction of the error that the confidence stands for.
    """
    random, mesh = np.random.default_rng(7), faces.mesh_px[0].astype(float)
    eyes = np.linalg.norm(mesh[33, :2] - mesh[263, :2])
    sigma = noise * eyes * -0.05 / np.log(1 - confidence)
    upper, lower = list(pairs), list(pairs.values())
    for fraction in closed:
        shut = mesh.copy()
        shut[upper] += fraction * (mesh[lower] - mesh[upper])
        shut += random.normal(0, sigma, mesh.shape)
        mesh_mm, translation_mm = place(shut[None], Camera(faces.width, faces.height))
        yield replace(
            faces,
            mesh_px=shut[None],
            mesh_mm=mesh_mm,
            translation_mm=translation_mm,
            mesh_confidence=np.full((1, 478), confidence),
        )


def smoothed(clip: Iterator[Faces], rate: float = RATE) -> list[Faces]:
    smoother = FaceSmoother()
    return [smoother(TrackedFaces(np.zeros(1, int), each), i / rate).faces for i, each in enumerate(clip)]


def opened(faces: Faces) -> Faces:
    """Return the face with its lips apart; the canonical mouth is nearly shut."""
    mesh = faces.mesh_px.copy()
    mesh[:, 14, 1] += 15
    return replace(faces, mesh_px=mesh)


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("noise", [0.0, 0.12, 0.2])
def test_a_blink_of_100_ms_keeps_its_depth(
    make_faces: Callable[..., Faces], phase: float, noise: float
) -> None:
    from_middle_s = (np.arange(75) - 60 - phase) / RATE
    closed = np.where(np.abs(from_middle_s) < 0.05, np.cos(np.pi * from_middle_s / 0.1) ** 2, 0)
    face = make_faces()
    eye = np.array([each.eye_open.mean() for each in smoothed(clip(face, closed, LIDS, noise))])
    depth = face.eye_open.mean() * closed.max()
    assert (eye[50:57].mean() - eye[57:65].min()) / depth > 0.8
    assert eye[70:].mean() == pytest.approx(eye[50:57].mean(), abs=0.1 * depth)  # and it opens again


@pytest.mark.parametrize("hz", [3, 6])
@pytest.mark.parametrize("noise", [0.0, 0.12, 0.2])
def test_fast_lips_keep_their_way(make_faces: Callable[..., Faces], hz: float, noise: float) -> None:
    wave = 0.5 - 0.5 * np.cos(2 * np.pi * hz * np.arange(90) / RATE + 0.3)
    mouth = np.array([each.mouth_open[0] for each in smoothed(clip(opened(make_faces()), wave, LIPS, noise))])
    exact = np.array([each.mouth_open[0] for each in clip(opened(make_faces()), wave, LIPS, 0.0)])
    assert np.polyfit(exact[30:], mouth[30:], 1)[0] > 0.85


def test_uneven_frames_are_no_noise(make_faces: Callable[..., Faces]) -> None:
    """A head that turns is followed as closely where frames come unevenly, or after a short gap."""

    def error_px(steps: tuple[int, ...]) -> float:
        random, smoother, errors = np.random.default_rng(5), FaceSmoother(), []
        for time_s in np.cumsum(np.resize(steps, 90)) / RATE:
            exact = make_faces(angles_deg=(30 * np.sin(time_s * 4 / 3), 0, 0))  # up to 40° a second
            noisy = replace(exact, mesh_px=exact.mesh_px + random.normal(0, 0.1, exact.mesh_px.shape))
            found = smoother(TrackedFaces(np.zeros(1, int), noisy), time_s).faces
            errors.append(np.linalg.norm((found.mesh_px - exact.mesh_px)[..., :2], axis=2).mean())
        return float(np.mean(errors[20:]))

    even = error_px((1,))
    assert all(error_px(steps) < 1.1 * even for steps in ((1, 2), (1, 3), (1,) * 5 + (9,)))


@pytest.mark.parametrize("noise", [0.08, 0.12, 0.25, 0.4])
def test_the_noise_of_each_clip_is_learned(make_faces: Callable[..., Faces], noise: float) -> None:
    frames = list(clip(make_faces(), np.zeros(150), LIDS, noise))
    raw, calm = (
        np.stack([each.mesh_px[0, :, :2] for each in part])[60:] for part in (frames, smoothed(iter(frames)))
    )
    assert jitter_px(calm) < jitter_px(raw) / 8


def test_small_moves_of_doubtful_points_are_noise(make_faces: Callable[..., Faces]) -> None:
    """The network expects ten times the error of the second half of the mesh, which all moves by 0.6 %."""
    frames = [
        replace(each, mesh_confidence=np.repeat([[0.99, 0.4]], 239, axis=1))
        for each in clip(make_faces(), np.zeros(60), LIDS, 0.05)
    ]
    step = 0.006 * np.linalg.norm(np.diff(frames[0].mesh_px[0, [33, 263]], axis=0))
    frames += [replace(each, mesh_px=each.mesh_px + np.float32(step)) for each in frames[:3]]
    moved = smoothed(iter(frames))[62].mesh_px[0] - frames[0].mesh_px[0]
    assert moved[:239, :2].mean() > 0.9 * step and moved[239:, :2].mean() < 0.5 * step


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
    clips = {
        calm: [tracked_mesh(still, seed, analyzer, calm)[15:] for seed in range(5, 9)]
        for calm in (True, False)
    }
    jitter = {calm: np.mean([jitter_px(clip) for clip in each]) for calm, each in clips.items()}
    assert jitter[True] <= jitter[False] / 8  # of several clips: one ends near its beginning or not by chance
    smooth = clips[True][0]
    from_rest = moving @ np.linalg.inv(moving[0])
    truth = transforms.apply(from_rest[15:, :2], smooth.mean(axis=0))
    behind = lag_frames(tracked_mesh(moving, 6, analyzer, True)[15:], truth)
    assert abs(behind) <= 0.3
    assert lag_frames(truth[:-3], truth[3:]) == pytest.approx(3, abs=0.5)  # what the measure gives for 3
