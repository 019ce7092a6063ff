"""Hard cuts: found between scenes, not within one; faces start anew."""

from typing import Any

import numpy as np
import pytest

from facegeom.video.cuts import CutDetector
from facegeom.video.smoothing import FaceSmoother
from facegeom.video.tracking import FaceTracker

OTHER = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8).repeat(64, 0).repeat(64, 1)


def cuts(frames: list[np.ndarray]) -> list[int]:
    is_cut = CutDetector()
    return [index for index, frame in enumerate(frames) if is_cut(frame)]


def test_another_scene_is_a_cut_once(portrait: np.ndarray) -> None:
    assert cuts([portrait] * 3 + [OTHER] * 3 + [portrait]) == [3, 6]
    assert cuts([np.full((48, 64, 3), grey, np.uint8) for grey in (20, 20, 200, 200)]) == [2]


@pytest.mark.parametrize("step", [4, 20, 60])
def test_a_moving_camera_is_none(portrait: np.ndarray, step: int) -> None:
    assert (
        cuts([portrait, portrait, *(np.roll(portrait, step * index, axis=1) for index in range(1, 8))]) == []
    )


def test_light_and_what_passes_are_none(portrait: np.ndarray) -> None:
    flash = np.clip(portrait.astype(int) + 90, 0, 255).astype(np.uint8)
    hidden = portrait.copy()
    hidden[150:450, 150:450] = 40
    faded = [np.uint8(portrait * (1 - index / 20)) for index in range(20)]
    assert cuts([portrait, flash, portrait, hidden, portrait, *faded]) == []


def test_identities_and_smoothing_end_at_a_cut(scene: Any, portrait: np.ndarray) -> None:
    scene.boxes = [[20.0, 20, 60, 60]]
    track, smooth = FaceTracker(scene), FaceSmoother()
    seen = []
    for index, pixels in enumerate([portrait] * 5 + [OTHER] * 5):
        if index == 5:
            scene.boxes = [[23.0, 20, 63, 60]]
        raw = track(pixels, index / 30)
        smooth_faces = smooth(raw, index / 30)
        seen.append((raw.ids.tolist(), raw.cut, smooth_faces.cut))
        if index == 5:
            np.testing.assert_array_equal(smooth_faces.faces.mesh_px, raw.faces.mesh_px)
    assert seen == [([0], False, False)] * 5 + [([1], True, True)] + [([1], False, False)] * 4
    assert scene.searches == 2


def test_frames_of_another_size_are_another_scene(scene: Any) -> None:
    scene.boxes = [[20.0, 20, 60, 60]]
    track = FaceTracker(scene)
    assert track(np.zeros((90, 120, 3), np.uint8), 0).ids.tolist() == [0]
    tracked = track(np.zeros((120, 160, 3), np.uint8), 0.1)
    assert tracked.ids.tolist() == [1] and tracked.cut and tracked.faces.width == 160
