"""Tracking: when it searches, and which numbers faces keep."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facegeom import FaceAnalyzer, Faces
from facegeom.errors import InputError
from facegeom.video import Frame, FrameAnalyzer
from facegeom.video.matching import angle_between_deg
from facegeom.video.tracking import REMEMBER_S, RETRY_S, SEARCH_S, FaceTracker, concatenate

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
    scene.boxes = [OTHER, ONE]  # the first one is back
    assert tracker(FRAME, 3 / 30).ids.tolist() == [1]


@pytest.mark.parametrize("every", [0, -1])
def test_bad_interval(scene: Any, every: int) -> None:
    with pytest.raises(InputError, match="detect_every: expected at least 1"):
        FaceTracker(scene, every)


def test_one_of_two_hidden_for_a_moment_is_back_at_once(scene: Any) -> None:
    tracker, seen = FaceTracker(scene), []
    for index in range(20):
        scene.boxes = [ONE] if 8 <= index < 11 else [ONE, OTHER]
        seen.append(tracker(FRAME, index / 30).ids.tolist())
    assert seen == [[0, 1]] * 8 + [[0]] * 3 + [[0, 1]] * 9


def test_a_lost_face_costs_ever_fewer_searches(scene: Any) -> None:
    scene.boxes = [ONE, OTHER]
    tracker, searched = FaceTracker(scene, detect_every=1000), []
    for index in range(round(30 * (REMEMBER_S + 2))):
        before = scene.searches
        if index == 1:
            scene.boxes = [ONE]
        tracker(FRAME, index / 30)
        searched.append(scene.searches > before)
    at_first, then = round(30 * SEARCH_S) + 2, round(30 * REMEMBER_S)
    assert all(searched[1:at_first])
    assert sum(searched[at_first:then]) == pytest.approx((then - at_first) / 30 / RETRY_S, rel=0.15)
    assert not any(searched[then + 2 :])


def test_an_empty_scene_is_searched_now_and_then(scene: Any) -> None:
    tracker = FaceTracker(scene)
    for index in range(90):
        tracker(FRAME, index / 30)
    assert 20 < scene.searches < 30


def test_a_face_that_comes_back_elsewhere_is_told_by_its_place_and_size(scene: Any) -> None:
    far, big = [320.0, 100, 380, 160], [20.0, 20, 120, 120]
    tracker = FaceTracker(scene)
    scene.boxes = [ONE, far]
    tracker(FRAME, 0)
    scene.boxes = []
    tracker(FRAME, 0.1)
    scene.boxes = [moved(far, -50), moved(ONE, 30), big]
    tracked = tracker(FRAME, 0.2)
    assert tracked.ids.tolist() == [0, 1, 2]
    assert tracked.faces.box_xyxy[:, 0].tolist() == [50, 270, 20]


class Flipped:
    """An analyzer that reads every face upside down from a given frame on."""

    max_faces = fov_deg = None

    def __init__(self, faces: Faces) -> None:
        self.faces, self.flip = faces, False

    def __call__(self, source: np.ndarray) -> Faces:
        mesh = self.faces.mesh_px * ((1, -1, 1) if self.flip else 1) + ((0, 80, 0) if self.flip else 0)
        return replace(self.faces, mesh_px=mesh)

    def at(self, source: np.ndarray, boxes_xyxy: np.ndarray, roll_deg: Any = None) -> Faces:
        return self(source)


def test_a_face_read_upside_down_is_no_answer(faces_at: Callable[..., Faces]) -> None:
    analyzer = Flipped(faces_at([ONE], [0.99], (400, 200)))
    tracker = FaceTracker(analyzer)
    for index in range(20):
        analyzer.flip = 5 <= index < 15
        assert tracker(FRAME, index / 30).ids.tolist() == ([] if analyzer.flip else [0])


def test_faces_of_both_keep_what_they_share(faces_at: Callable[..., Faces]) -> None:
    first, second = (faces_at([box], [0.9], (400, 200)) for box in (ONE, OTHER))
    assert concatenate(first, second).depth is None
    assert len(concatenate(first[:0], second)) == 1


@pytest.fixture(scope="module")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer(threads=1)


def followed(analyzer: FaceAnalyzer, frames: list[np.ndarray], **options: Any) -> list[Any]:
    analyze = FrameAnalyzer(analyzer, **options)
    return [analyze(Frame(index, index / 30, pixels)) for index, pixels in enumerate(frames)]


@pytest.mark.parametrize("step_deg", [7.5, -12])
def test_a_rolling_head_is_followed_all_the_way_round(
    analyzer: FaceAnalyzer, portrait: np.ndarray, step_deg: float
) -> None:
    picture, bicubic = Image.fromarray(portrait), Image.Resampling.BICUBIC
    place = {"center": (224, 121), "translate": (40, 130)}
    rolls = [step_deg * index for index in range(round(400 / abs(step_deg)))]
    frames = [np.asarray(picture.rotate(-roll, bicubic, **place)) for roll in rolls]
    tracked = followed(analyzer, frames, smooth=False)
    first = float(tracked[0].faces.roll_deg[0])
    for roll, one in zip(rolls, tracked, strict=True):
        assert one.ids.tolist() == [0]
        assert angle_between_deg(float(one.faces.roll_deg[0]), first + roll) < 6


def test_people_who_pass_each_other_keep_their_numbers(analyzer: FaceAnalyzer, portrait: np.ndarray) -> None:
    front = Image.fromarray(portrait[20:220, 124:324]).resize((150, 150))
    behind = front.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mask = Image.fromarray(
        np.uint8(255 * (np.hypot(*np.mgrid[-1:1:150j, -1:1:150j]) < 0.95))  # type: ignore[misc]
    )
    frames = []
    for index in range(46):
        frame = Image.new("RGB", (640, 200), (110, 120, 115))
        frame.paste(behind, (450 - 9 * index, 30), mask)
        frame.paste(front, (40 + 9 * index, 25), mask)
        frames.append(np.asarray(frame))
    tracked = followed(analyzer, frames)
    lefts = [dict(zip(one.ids.tolist(), one.faces.box_xyxy[:, 0], strict=True)) for one in tracked]
    assert set().union(*lefts) == set(lefts[0]) == set(lefts[-1]) == {0, 1}
    assert (lefts[0][0] < lefts[0][1]) != (lefts[-1][0] < lefts[-1][1])
    assert any(len(one) == 1 for one in lefts)  # one hides the other


def test_a_second_face_with_depth(portrait: np.ndarray) -> None:
    alone, pair = (np.full((200, 500, 3), 110, np.uint8) for _ in range(2))
    face = portrait[20:220, 124:324]
    alone[:, :200] = pair[:, :200] = face
    pair[:, 300:] = face[:, ::-1]
    tracked = followed(FaceAnalyzer(threads=1, depth=True), [alone, alone, pair, pair], detect_every=2)
    assert [one.ids.tolist() for one in tracked] == [[0], [0], [0, 1], [0, 1]]
    assert [len(one.faces.depth) for one in tracked] == [1, 1, 2, 2]
