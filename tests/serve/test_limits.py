"""Request slots, pixels in memory, cost of a search, settings."""

from typing import Any

import numpy as np
import pytest

from facegeom.errors import InputError
from facegeom.image.pyramid import Pyramid
from facegeom.models.detector import STRIDE, OnePassDetector
from facegeom.options import SearchOptions
from facegeom.serve.limits import (
    MAX_SEARCH_PIXELS,
    ByteBudget,
    HeldBytes,
    RequestSlots,
    Settings,
    check_photo,
    searched_pixels,
)
from facegeom.serve.problems import RefusedError


def test_slots_are_given_back() -> None:
    slots = RequestSlots(2)
    with slots.take(), slots.take():
        with pytest.raises(RefusedError) as refused, slots.take():
            pass
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
    with slots.take():
        assert slots.taken == 1
    assert slots.taken == 0


def test_bytes_leave_room_for_smaller_uploads() -> None:
    budget = ByteBudget(100)
    first, second, third = (HeldBytes(budget) for _ in range(3))
    with pytest.raises(RefusedError, match="no room"):
        first.grow(51)
    first.grow(30)
    first.grow(50)
    first.grow(10)  # at least: nothing is given back
    assert (first.size, budget.taken) == (50, 50)
    with pytest.raises(RefusedError) as refused:
        second.grow(26)
    assert refused.value.status == 503 and second.size == 0
    second.grow(25)
    third.replace(60)  # a response is there, whatever is free
    assert budget.taken == 135
    for held in (first, second, third):
        held.release()
    assert budget.taken == first.size == 0


@pytest.mark.parametrize(
    ("size_wh", "min_face", "status"),
    [
        ((100, 100), None, None),
        ((1000, 1000), None, None),
        ((1001, 1000), None, 413),
        ((1000, 1000), 1, None),
        ((2001, 2000), 1, 413),
    ],
)
def test_size_of_a_photo(size_wh: tuple[int, int], min_face: float | None, status: int | None) -> None:
    assert refusal(size_wh, Settings(max_pixels=1_000_000), min_face) == status


@pytest.mark.parametrize(
    ("detector", "min_face", "status"),
    [
        ("onepass", None, None),
        ("onepass", 48, None),
        ("onepass", 47.9, 422),  # the levels are 1/2, 1/6, ... of the photo
        ("onepass", 1, 422),
        ("cascade", 26, None),
        ("cascade", 25.9, 422),  # 25 million pixels, shrunk until 9.3 pixels are a face, and smaller levels
    ],
)
def test_cost_of_a_search(detector: Any, min_face: float | None, status: int | None) -> None:
    assert refusal((5000, 5000), Settings(detector=detector), min_face) == status


def test_a_refusal_names_what_is_allowed() -> None:
    with pytest.raises(
        RefusedError, match="min_face: expected at least 48 for a photo of 5000 x 5000, got 23"
    ):
        check_photo(5000, 5000, Settings(), 23)


def test_a_photo_that_may_be_turned_is_searched_four_times() -> None:
    assert searched_pixels(5000, 5000, 79, "onepass") * 4 > MAX_SEARCH_PIXELS
    assert refusal((5000, 5000), Settings(), 79) is None
    with pytest.raises(RefusedError, match="at least 80 "):
        check_photo(5000, 5000, Settings(), 79, "auto")
    check_photo(5000, 5000, Settings(), 80, "auto")


@pytest.mark.parametrize(
    "size_wh", [(20, 10), (217, 217), (640, 480), (2130, 2130), (5000, 5000), (25_000_000, 1)]
)
def test_the_default_size_is_always_searched(size_wh: tuple[int, int]) -> None:
    options = SearchOptions()
    min_face, closest = (size.in_photo(*size_wh) for size in (options.face_size, options.closest_size))
    for detector in ("onepass", "cascade"):
        assert searched_pixels(*size_wh, min_face, detector) < MAX_SEARCH_PIXELS / 20
    assert searched_pixels(*size_wh, closest, "onepass") < MAX_SEARCH_PIXELS * 1.2


@pytest.mark.parametrize("min_face", [8.0, 16.0, 40.0, 100.0])
def test_searched_pixels_are_those_of_the_detectors_canvases(min_face: float) -> None:
    areas: list[int] = []

    def engine(canvas: np.ndarray) -> list[np.ndarray]:
        areas.append(canvas.shape[1] * canvas.shape[2])
        rows, columns = canvas.shape[1] // STRIDE, canvas.shape[2] // STRIDE
        return [np.zeros((1, rows, columns)), np.zeros((1, 3, rows, columns))]

    image = Pyramid(np.zeros((960, 1280, 3), np.uint8))
    OnePassDetector(engine)([image], [min_face])  # type: ignore[arg-type]
    assert searched_pixels(1280, 960, min_face, "onepass") == pytest.approx(sum(areas), rel=0.05)


def test_thin_photos_cost_what_their_padded_canvases_cost() -> None:
    assert searched_pixels(12_000_000, 1, 32, "onepass") > 20 * searched_pixels(4000, 3000, 32, "onepass")
    assert refusal((12_000_000, 1), Settings(), 32) == 422


def refusal(size_wh: tuple[int, int], settings: Settings, min_face: float | None) -> int | None:
    try:
        check_photo(*size_wh, settings, min_face)
    except RefusedError as error:
        return error.status
    return None


@pytest.mark.parametrize("wrong", [{"queue": 0}, {"batch": -1}, {"max_bytes": 0}])
def test_settings_below_their_least(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))}: expected a number from"):
        Settings(**wrong)  # type: ignore[arg-type]
