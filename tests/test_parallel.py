"""Work side by side: results in order, items taken in the caller's thread, no more threads than cores."""

import os
import threading
from collections.abc import Iterator

import pytest

from facegeom import parallel
from facegeom.parallel import available_cores, free_cores, side_by_side


@pytest.fixture(params=[1, 2, 5])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(parallel, "available_cores", lambda: request.param)
    return int(request.param)


def test_results_are_in_order(cores: int) -> None:
    assert list(side_by_side(lambda item: item * item, range(20))) == [item * item for item in range(20)]
    assert list(side_by_side(len, [])) == []


def test_as_many_items_are_worked_on_at_once_as_there_are_cores(cores: int) -> None:
    together = threading.Barrier(cores, timeout=60)

    def meet(_: int) -> int:
        together.wait()
        return threading.get_ident()

    assert len(set(side_by_side(meet, range(cores)))) == cores


def test_items_are_taken_in_the_callers_thread_and_few_ahead(cores: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(50):
            taken.append(threading.get_ident())
            yield item

    results = side_by_side(str, items())
    assert next(results) == "0" and len(taken) <= cores + 1
    assert len(list(results)) == 49 and set(taken) == {threading.get_ident()}


def test_an_error_comes_in_the_place_of_its_result(cores: int) -> None:
    results = side_by_side(lambda item: 6 // item, [3, 2, 0, 1])
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_inside_no_more_threads_are_made(cores: int) -> None:
    def inner(_: int) -> tuple[int, set[int]]:
        return free_cores(), {threading.get_ident(), *side_by_side(lambda _: threading.get_ident(), range(8))}

    for free, threads in side_by_side(inner, range(4)):
        assert (free, len(threads)) == (1, 1) or cores == 1
    assert free_cores() == cores


def test_available_cores() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
