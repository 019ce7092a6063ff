"""Request slots, pixels in memory, cost of a search, settings."""

import asyncio

import pytest

from facegeom.errors import InputError
from facegeom.serve.limits import PixelBudget, RequestSlots, Settings, check_photo
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


def test_pixels_wait_for_room() -> None:
    async def use(budget: PixelBudget, pixels: int, trace: list[str]) -> None:
        async with budget.hold(pixels):
            trace.append(f"in {pixels}")
            await asyncio.sleep(0)
            trace.append(f"out {pixels}")

    async def run() -> list[str]:
        budget, trace = PixelBudget(10), list[str]()
        await asyncio.gather(*(use(budget, pixels, trace) for pixels in (8, 5, 2)))
        return trace

    trace = asyncio.run(run())
    assert trace.index("in 5") > trace.index("out 8")
    assert trace.index("in 2") < trace.index("out 8")
    assert len(trace) == 6


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
    assert refusal(size_wh, 1_000_000, min_face) == status


@pytest.mark.parametrize(("min_face", "status"), [(None, None), (24, None), (23, 422), (1, 422)])
def test_cost_of_a_search(min_face: float | None, status: int | None) -> None:
    # 5000 x 5000 pixels, shrunk until 9.3 pixels are a face: 4 million pixels are left at 23.25.
    assert refusal((5000, 5000), 25_000_000, min_face) == status


def test_a_refusal_names_what_is_allowed() -> None:
    with pytest.raises(
        RefusedError, match="min_face: expected at least 24 for a photo of 5000 x 5000, got 23"
    ):
        check_photo(5000, 5000, 25_000_000, 23)


def refusal(size_wh: tuple[int, int], max_pixels: int, min_face: float | None) -> int | None:
    try:
        check_photo(*size_wh, max_pixels, min_face)
    except RefusedError as error:
        return error.status
    return None


@pytest.mark.parametrize("wrong", [{"queue": 0}, {"batch": -1}, {"max_bytes": 0}])
def test_settings_below_their_least(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))}: expected at least"):
        Settings(**wrong)  # type: ignore[arg-type]
