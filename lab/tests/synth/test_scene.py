"""Ground truth of a rendered image: pose, points, visibility."""

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import (
    angles_from_rotation,
    geodesic_deg,
    rotation_from_angles,
    rotation_to_line_of_sight,
)
from facegeom_lab.synth import scene
from facegeom_lab.synth.model import HeadModel
from facegeom_lab.synth.scene import Sample, place, render, render_scene, render_seen

Photos = list[np.ndarray]


def seeded(model: HeadModel, photos: Photos, seed: int = 3, **options: tuple[float, float]) -> Sample:
    return render(np.random.default_rng(seed), model, photos, 96, **options)


def test_shapes_and_types(ball_head: HeadModel, photos: Photos) -> None:
    sample = seeded(ball_head, photos)
    assert sample.image.shape == (96, 96, 3)
    assert sample.image.dtype == np.uint8
    assert sample.landmarks_px.shape == (68, 2)
    assert sample.visible68.shape == (68,)
    np.testing.assert_allclose(sample.rotation @ sample.rotation.T, np.eye(3), atol=1e-5)


def test_same_seed_same_picture(ball_head: HeadModel, photos: Photos) -> None:
    first, second, other = (seeded(ball_head, photos, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.landmarks_px, second.landmarks_px)
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("angles", [(0, 0, 0), (40, 0, 0), (-80, 20, 10), (10, -30, -25)])
def test_rotation_is_the_one_asked_for(
    ball_head: HeadModel, photos: Photos, angles: tuple[float, float, float]
) -> None:
    yaw, pitch, roll = angles
    sample = seeded(ball_head, photos, yaw_deg=(yaw, yaw), pitch_deg=(pitch, pitch), roll_deg=(roll, roll))
    np.testing.assert_allclose(angles_from_rotation(sample.rotation), angles, atol=1e-3)


@pytest.mark.parametrize("seen", [np.eye(3), rotation_from_angles(20, -10, 5)])
@pytest.mark.parametrize("target", [(60, 48), (20, 80)])
def test_a_head_as_seen_at_a_known_place(
    ball_head: HeadModel, photos: Photos, seen: np.ndarray, target: tuple[float, float]
) -> None:
    camera = Camera(120, 96, 90)
    rng = np.random.default_rng(5)
    sample = render_seen(
        rng, ball_head, photos, camera=camera, seen=seen, target_px=np.array(target, float), face_px=20
    )
    sight = rotation_to_line_of_sight(sample.translation_mm.astype(np.float64))
    assert geodesic_deg(sample.rotation.astype(np.float64), sight @ seen) < 0.1
    low, high = sample.landmarks_px.min(axis=0), sample.landmarks_px.max(axis=0)
    np.testing.assert_allclose((low + high) / 2, target, atol=0.6)
    assert (high - low).max() == pytest.approx(20, abs=0.6)


def test_points_are_the_projected_vertices(
    ball_head: HeadModel, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    dressed = scene.dressed_head

    def remember(*arguments: object) -> object:
        drawn.append(dressed(*arguments))
        return drawn[-1]

    monkeypatch.setattr(scene, "dressed_head", remember)
    sample = seeded(ball_head, photos)
    in_camera = drawn[0][1][ball_head.landmarks] @ sample.rotation.T + sample.translation_mm
    expected = Camera(96, 96, sample.fov_deg).project(in_camera)
    np.testing.assert_allclose(sample.landmarks_px, expected, atol=0.01)


def test_extent_and_place(ball_head: HeadModel, photos: Photos) -> None:
    sample = seeded(ball_head, photos, extent=(0.5, 0.5))
    assert np.ptp(sample.landmarks_px, axis=0).max() == pytest.approx(48, abs=0.5)
    middle = (sample.landmarks_px.max(axis=0) + sample.landmarks_px.min(axis=0)) / 2
    assert np.abs(middle - 47.5).max() < 0.07 * 96


def test_head_is_drawn_where_the_points_are(ball_head: HeadModel, photos: Photos) -> None:
    black = [np.zeros_like(photos[0])]
    sample = seeded(ball_head, black, yaw_deg=(0, 0), pitch_deg=(0, 0), roll_deg=(0, 0))
    x, y = sample.landmarks_px.mean(axis=0).astype(int)
    assert sample.image[y, x].sum() > sample.image[1:4, 1:4].mean(axis=(0, 1)).sum() + 10


def test_turned_head_hides_its_far_side(ball_head: HeadModel, photos: Photos) -> None:
    front = seeded(ball_head, photos, yaw_deg=(0, 0), pitch_deg=(0, 0), roll_deg=(0, 0))
    turned = seeded(ball_head, photos, yaw_deg=(85, 85), pitch_deg=(0, 0), roll_deg=(0, 0))
    on_left = ball_head.neutral_mm[ball_head.landmarks][:, 0] < -30  # the picture's left of a frontal head
    on_right = ball_head.neutral_mm[ball_head.landmarks][:, 0] > 30
    assert front.visible68.mean() > 0.9
    assert turned.visible68[on_left].mean() > 0.8
    assert turned.visible68[on_right].mean() < 0.2


def test_whole_scene(ball_head: HeadModel, photos: Photos) -> None:
    for seed in range(5):
        sample = render_scene(np.random.default_rng(seed), ball_head, photos, (320, 240), face_px=(60, 120))
        assert sample.image.shape == (240, 320, 3)
        assert 59 < np.ptp(sample.landmarks_px, axis=0).max() < 121
        assert sample.landmarks_px.min() >= 0
        assert (sample.landmarks_px < [320, 240]).all()


def test_place_refuses_what_does_not_fit() -> None:
    deep = np.array([[-50.0, 0, -900], [50, 0, 0]])
    with pytest.raises(InputError, match="does not fit"):
        place(deep @ rotation_from_angles(0, 0, 0).T, Camera(100, 100, 120), np.array([50.0, 50]), 90)


def test_no_background(ball_head: HeadModel) -> None:
    with pytest.raises(InputError, match="at least one background"):
        seeded(ball_head, [])


def test_a_tone_changes_the_skin_alone(ball_head: HeadModel, photos: Photos) -> None:
    """The same person in the lightest and the darkest tone: place, points and background are equal."""
    camera, target = Camera(120, 96, 50), np.array([60.0, 48.0])
    light, dark = (
        render_seen(
            *(np.random.default_rng(5), ball_head, photos),
            **{"camera": camera, "seen": np.eye(3), "target_px": target, "face_px": 40, "tone": tone},
        )
        for tone in (0.0, 6.0)
    )
    np.testing.assert_array_equal(light.landmarks_px, dark.landmarks_px)
    inside = (slice(40, 56), slice(52, 68))
    assert light.image[inside].mean() > 1.5 * dark.image[inside].mean()
    assert abs(light.image[:8, :8].astype(int) - dark.image[:8, :8].astype(int)).mean() < 8
