"""Who is who: motion, reach, shape, and the assignment against trying all."""

from itertools import combinations, permutations

import numpy as np
import pytest

from facegeom.geometry.topology import canonical_mm
from facegeom.video.matching import (
    COAST_S,
    Track,
    angle_between_deg,
    assign,
    roll_in_image,
    shape_difference,
)

BOX = np.array([100.0, 50, 140, 90])
STEP_S = 1 / 30


def mesh(roll_deg: float = 0.0) -> np.ndarray:
    angle = np.deg2rad(roll_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return np.asarray(0.3 * canonical_mm() @ turn.T + (120, 70, 0))


def moving(px_per_frame: float, frames: int = 20) -> Track:
    track = Track.started(0, BOX, mesh(), 0.0)
    for index in range(1, frames):
        shift = np.array([px_per_frame, 0] * 2) * index
        track = track.continued(BOX + shift, mesh(), index * STEP_S)
    return track


def test_a_moving_face_goes_on_and_slows_down() -> None:
    track = moving(4)
    last_s = 19 * STEP_S
    assert track.velocity == pytest.approx([120, 0], rel=0.01)
    ahead = [track.predicted_box(last_s + wait)[0] - track.box_xyxy[0] for wait in (0, STEP_S, 99)]
    np.testing.assert_allclose(ahead, [0, 4, 120 * COAST_S], rtol=0.05)


def test_motion_beside_another_face_is_not_learned() -> None:
    track = moving(4)
    pushed = track.continued(track.box_xyxy - 30, mesh(), 20 * STEP_S, free=False)
    np.testing.assert_array_equal(pushed.velocity, track.velocity)


def test_reach_grows_with_time_and_ends_at_another_size() -> None:
    track = Track.started(0, BOX, mesh(), 0.0)
    assert track.distance(BOX + 20, 0.1) == pytest.approx(np.sqrt(2) / 2)
    aside = BOX + np.array([60, 0, 60, 0])
    assert np.isinf(track.distance(aside, 0.1)) and track.distance(aside, 1.0) == pytest.approx(1.5)
    small = np.array([118.0, 68, 122, 72])
    assert np.isinf(track.distance(small, 1.0)) and np.isinf(track.cost(small, mesh(), 1.0))


def test_of_two_faces_in_one_place_the_shape_tells() -> None:
    track = Track.started(0, BOX, mesh(), 0.0)
    other = mesh() * (0.85, 1, 1)
    assert shape_difference(mesh(), 3 * mesh(40) + 7) < 1e-6 < 0.02 < shape_difference(mesh(), other)
    assert track.cost(BOX, mesh(), 0.1) < track.cost(BOX, other, 0.1)


@pytest.mark.parametrize("roll_deg", [-170, -90, -20, 0, 45, 120, 180])
def test_roll_of_a_mesh(roll_deg: float) -> None:
    assert angle_between_deg(float(roll_in_image(mesh(roll_deg))), roll_deg) < 0.5


def test_crops_follow_the_roll_in_steps() -> None:
    track, crops = Track.started(0, BOX, mesh(), 0.0), []
    for index in range(1, 73):
        track = track.continued(BOX, mesh(5 * index), index * STEP_S)
        crops.append(track.crop_roll_deg)
        assert angle_between_deg(crops[-1], 5 * index) <= 25
    assert set(crops[:5]) == {0.0} and crops[-1] == 0.0 and len(set(crops)) == 12
    assert Track.started(0, BOX, mesh(100), 0.0).crop_roll_deg == 90


def best_of_all(costs: np.ndarray) -> tuple[int, float]:
    """Return most pairs and least cost, by trying every assignment."""
    rows, columns = costs.shape
    for count in range(min(rows, columns), 0, -1):
        sums = [
            sum(costs[row, column] for row, column in zip(chosen, order, strict=True))
            for chosen in combinations(range(rows), count)
            for order in permutations(range(columns), count)
        ]
        if np.isfinite(min(sums)):
            return count, min(sums)
    return 0, 0.0


def test_assignment_is_the_best_of_all() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        costs = random.random(random.integers(0, 5, 2))
        costs[random.random(costs.shape) < 0.3] = np.inf
        pairs = assign(costs)
        count, total = best_of_all(costs)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs) == count
        assert sum(costs[pair] for pair in pairs) == pytest.approx(total)
