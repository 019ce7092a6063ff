"""Tracking: when it searches, and which numbers faces keep."""

from typing import Any

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.video.tracking import REMEMBER_S, FaceTracker

FRAME = np.zeros((200, 400, 3), np.uint8)
ONE, OTHER = [20.0, 20, 60, 60], [200.0, 100, 260, 160]


def moved(box: list[float], x: float, y: float = 0) -> list[float]:
    return [box[0] + x, box[1] + y, box[2] + x, box[3] + y]


def test_no_face(scene: Any) -> None:
    tracker = FaceTracker(scene)
    for index in range(4):
        tracked = tracker(FRAME, index / 30)
        assert len(tracked.ids) == len(tracked.faces) == 0
        assert (tracked.faces.width, tracked.faces.height) == (400, 200)
    assert scene.searches == 4 and scene.reads == []


def test_a_followed_face_is_not_searched_for(scene: Any) -> None:
    tracker = FaceTracker(scene, detect_every=10)
    for index in range(25):
        scene.boxes = [moved(ONE, 5 * index)]
        tracked = tracker(FRAME, index / 30)
        assert tracked.ids.tolist() == [0]
        assert tracked.faces.box_xyxy[0].tolist() == scene.boxes[0]
    assert scene.searches == 3  # the frames 0, 10 and 20
    assert scene.reads[5] == [moved(ONE, 25)]  # frame 6 looks where the face was in frame 5


def test_no_search_while_there_is_room_for_no_other_face(scene: Any) -> None:
    scene.max_faces, scene.boxes = 1, [ONE]
    tracker = FaceTracker(scene, detect_every=2)
    for index in range(9):
        tracker(FRAME, index / 30)
    assert scene.searches == 1
    scene.boxes = []
    tracker(FRAME, 0.3)
    assert scene.searches == 2  # it is lost


def test_a_new_face_is_noticed_and_named(scene: Any) -> None:
    tracker = FaceTracker(scene, detect_every=5)
    scene.boxes = [OTHER]
    seen = []
    for index in range(12):
        if index == 3:
            scene.boxes = [ONE, OTHER]
        seen.append(tracker(FRAME, index / 30).ids.tolist())
    assert seen == [[0]] * 5 + [[0, 1]] * 7


def test_faces_keep_their_numbers_side_by_side(scene: Any) -> None:
    tracker = FaceTracker(scene, detect_every=3)
    for index in range(20):
        scene.boxes = [moved(OTHER, -4 * index), moved(ONE, 4 * index)][:: 1 if index % 2 else -1]
        tracked = tracker(FRAME, index / 30)
        assert tracked.ids.tolist() == [0, 1]
        lefts = tracked.faces.box_xyxy[:, 0].tolist()
        assert lefts == [20 + 4 * index, 200 - 4 * index]


@pytest.mark.parametrize(
    ("gap_frames", "shift", "number"),
    [(1, 10, 0), (10, 30, 0), (10, 150, 1), (round(30 * REMEMBER_S) + 2, 0, 1)],
)
def test_a_lost_face_is_known_again_when_near_and_soon(
    scene: Any, gap_frames: int, shift: float, number: int
) -> None:
    tracker = FaceTracker(scene)
    scene.boxes = [ONE]
    for index in range(5):
        tracker(FRAME, index / 30)
    scene.boxes = []
    for index in range(5, 5 + gap_frames):
        assert len(tracker(FRAME, index / 30).ids) == 0
    scene.boxes = [moved(ONE, shift)]
    found = [tracker(FRAME, (5 + gap_frames + index) / 30).ids.tolist() for index in range(5)]
    assert found[-1] == [number] and all(ids in ([], [number]) for ids in found)


def test_a_fast_face_is_found_again_at_once(scene: Any) -> None:
    tracker = FaceTracker(scene, detect_every=100)
    for index in range(5):
        scene.boxes = [moved(ONE, 30 * index)]
        assert tracker(FRAME, index / 30).ids.tolist() == [0]
    assert scene.searches == 5


def test_two_tracks_of_one_face_become_one(scene: Any) -> None:
    tracker = FaceTracker(scene, detect_every=100)
    scene.boxes = [ONE, moved(ONE, 41)]
    assert tracker(FRAME, 0).ids.tolist() == [0, 1]
    scene.boxes = [moved(ONE, 15)]  # within reach of the first only
    assert tracker(FRAME, 1 / 30).ids.tolist() == [0]
    scene.boxes = [moved(ONE, 30)]
    assert tracker(FRAME, 2 / 30).ids.tolist() == [0]


def test_no_more_faces_than_allowed(scene: Any) -> None:
    scene.max_faces, scene.boxes = 1, [ONE]
    tracker = FaceTracker(scene, detect_every=1)
    tracker(FRAME, 0)
    scene.boxes = [OTHER, ONE]
    assert tracker(FRAME, 1 / 30).ids.tolist() == [0]
    scene.boxes = [OTHER]
    assert tracker(FRAME, 2 / 30).ids.tolist() == [1]


@pytest.mark.parametrize("every", [0, -1])
def test_bad_interval(scene: Any, every: int) -> None:
    with pytest.raises(InputError, match="detect_every: expected at least 1"):
        FaceTracker(scene, every)
