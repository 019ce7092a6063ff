"""Photos of many callers in common batches, by workers that do as they are told."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest

from facegeom.errors import InputError
from facegeom.serve.batching import Batcher
from facegeom.serve.work import Done, Result, Task


@dataclass
class Helper:
    """A worker whose answers are the photos themselves; it refuses b"bad" and fails at b"worse".

    Attributes:
        gate: while it is closed, the work waits.
        batches: sizes of the batches so far.
    """

    gate: threading.Event = field(default_factory=threading.Event)
    batches: list[int] = field(default_factory=list)

    def __call__(self, tasks: Sequence[Task]) -> list[Result]:
        self.batches.append(len(tasks))
        assert self.gate.wait(30), "the test never opened the gate"
        if any(task.content == b"worse" for task in tasks):
            raise RuntimeError("no worker is left")
        bad = InputError("a bad photo")
        return [bad if task.content == b"bad" else Done(task.content, 0) for task in tasks]


@pytest.fixture
def crew() -> Iterator[list[Helper]]:
    crew = [Helper(), Helper()]
    yield crew
    for helper in crew:
        helper.gate.set()


@pytest.fixture
def start(crew: list[Helper]) -> Iterator[Callable[..., Batcher]]:
    """``start(workers, most)`` is a batcher over so many of the helpers, closed in the end."""
    batchers: list[Batcher] = []

    def make(workers: int, most: int = 16) -> Batcher:
        batchers.append(Batcher(crew[:workers], most))
        return batchers[-1]

    yield make
    for helper in crew:
        helper.gate.set()
    for batcher in batchers:
        batcher.close()


def busy(batcher: Batcher, crew: Sequence[Helper]) -> "list[Future[Done]]":
    """Let each worker begin with one photo and wait in it."""
    answers = []
    for number in range(len(crew)):
        answers.append(batcher.submit(Task(b"first")))
        while sum(len(helper.batches) for helper in crew) <= number:
            time.sleep(0.001)
    return answers


def test_what_comes_during_a_batch_goes_together(start: Callable[..., Batcher], crew: list[Helper]) -> None:
    batcher = start(workers=1, most=3)
    first = busy(batcher, crew[:1])
    rest = [batcher.submit(Task(content)) for content in (b"1", b"2", b"3", b"4")]
    crew[0].gate.set()
    assert [answer.result(10).body for answer in (*first, *rest)] == [b"first", b"1", b"2", b"3", b"4"]
    assert crew[0].batches == [1, 3, 1]


def test_workers_share_what_waits(start: Callable[..., Batcher], crew: list[Helper]) -> None:
    """While one is busy the other takes half of what waits, then half of the rest."""
    batcher = start(workers=2)
    busy(batcher, crew)
    rest = [batcher.submit(Task(b"more")) for _ in range(6)]
    crew[0].gate.set()
    for answer in rest:
        answer.result(10)
    assert (crew[0].batches, crew[1].batches) == ([1, 3, 2, 1], [1])


def test_a_bad_photo_fails_alone(start: Callable[..., Batcher], crew: list[Helper]) -> None:
    batcher = start(workers=1)
    first = busy(batcher, crew[:1])
    good, bad, other = (batcher.submit(Task(content)) for content in (b"good", b"bad", b"other"))
    crew[0].gate.set()
    assert [answer.result(10).body for answer in (*first, good, other)] == [b"first", b"good", b"other"]
    with pytest.raises(InputError, match="a bad photo"):
        bad.result(10)


def test_a_worker_that_fails_goes_on(start: Callable[..., Batcher], crew: list[Helper]) -> None:
    batcher = start(workers=1)
    crew[0].gate.set()
    with pytest.raises(RuntimeError, match="no worker is left"):
        batcher.submit(Task(b"worse")).result(10)
    assert batcher.submit(Task(b"good")).result(10).body == b"good"


def test_a_cancelled_photo_leaves_the_queue(start: Callable[..., Batcher], crew: list[Helper]) -> None:
    batcher = start(workers=1)
    first = busy(batcher, crew[:1])
    left, stays = (batcher.submit(Task(b"next")) for _ in range(2))
    assert left.cancel()
    crew[0].gate.set()
    assert first[0].result(10).body == b"first" and stays.result(10).body == b"next"
    assert crew[0].batches == [1, 1]


@pytest.mark.parametrize("workers", [1, 2])
def test_close_finishes_what_was_submitted(crew: list[Helper], workers: int) -> None:
    for helper in crew:
        helper.gate.set()
    batcher = Batcher(crew[:workers], 2)
    answers = [batcher.submit(Task(b"photo")) for _ in range(9)]
    batcher.close()
    assert all(answer.done() for answer in answers)
