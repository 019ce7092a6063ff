"""Batches of photos of many clients, with fake workers."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest

from facegeom.errors import InputError
from facegeom.serve.batching import Batcher
from facegeom.serve.work import EncodedFaces, Result, Task


@dataclass
class FakeWorker:
    """Worker that returns the photos themselves; b"bad" gives an error, b"worse" an exception.

    Attributes:
        gate: the work waits until it is set.
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
        return [bad if task.content == b"bad" else EncodedFaces(task.content, 0) for task in tasks]


@pytest.fixture
def workers() -> Iterator[list[FakeWorker]]:
    workers = [FakeWorker(), FakeWorker()]
    yield workers
    for worker in workers:
        worker.gate.set()


@pytest.fixture
def start(workers: list[FakeWorker]) -> Iterator[Callable[..., Batcher]]:
    """``start(count, max_batch)`` makes a batcher of `count` fake workers; it is closed at the end."""
    batchers: list[Batcher] = []

    def make(count: int, max_batch: int = 16) -> Batcher:
        batchers.append(Batcher(workers[:count], max_batch))
        return batchers[-1]

    yield make
    for worker in workers:
        worker.gate.set()
    for batcher in batchers:
        batcher.close()


def busy(batcher: Batcher, workers: Sequence[FakeWorker]) -> "list[Future[EncodedFaces]]":
    """Give each worker one photo, in which it waits."""
    futures = []
    for number in range(len(workers)):
        futures.append(batcher.submit(Task(b"first")))
        while sum(len(worker.batches) for worker in workers) <= number:
            time.sleep(0.001)
    return futures


def test_what_comes_during_a_batch_goes_together(
    start: Callable[..., Batcher], workers: list[FakeWorker]
) -> None:
    batcher = start(1, max_batch=3)
    first = busy(batcher, workers[:1])
    rest = [batcher.submit(Task(content)) for content in (b"1", b"2", b"3", b"4")]
    workers[0].gate.set()
    assert [future.result(10).body for future in (*first, *rest)] == [b"first", b"1", b"2", b"3", b"4"]
    assert workers[0].batches == [1, 3, 1]


def test_workersshare_what_waits(start: Callable[..., Batcher], workers: list[FakeWorker]) -> None:
    """While one is busy the other takes half of what waits, then half of the rest."""
    batcher = start(2)
    busy(batcher, workers)
    rest = [batcher.submit(Task(b"more")) for _ in range(6)]
    workers[0].gate.set()
    for future in rest:
        future.result(10)
    assert (workers[0].batches, workers[1].batches) == ([1, 3, 2, 1], [1])


def test_a_bad_photo_fails_alone(start: Callable[..., Batcher], workers: list[FakeWorker]) -> None:
    batcher = start(1)
    first = busy(batcher, workers[:1])
    good, bad, other = (batcher.submit(Task(content)) for content in (b"good", b"bad", b"other"))
    workers[0].gate.set()
    assert [future.result(10).body for future in (*first, good, other)] == [b"first", b"good", b"other"]
    with pytest.raises(InputError, match="a bad photo"):
        bad.result(10)


def test_a_worker_that_fails_goes_on(start: Callable[..., Batcher], workers: list[FakeWorker]) -> None:
    batcher = start(1)
    workers[0].gate.set()
    with pytest.raises(RuntimeError, match="no worker is left"):
        batcher.submit(Task(b"worse")).result(10)
    assert batcher.submit(Task(b"good")).result(10).body == b"good"


def test_a_cancelled_photo_leaves_the_queue(start: Callable[..., Batcher], workers: list[FakeWorker]) -> None:
    batcher = start(1)
    first = busy(batcher, workers[:1])
    left, stays = (batcher.submit(Task(b"next")) for _ in range(2))
    assert left.cancel()
    workers[0].gate.set()
    assert first[0].result(10).body == b"first" and stays.result(10).body == b"next"
    assert workers[0].batches == [1, 1]


@pytest.mark.parametrize("count", [1, 2])
def test_close_finishes_what_was_submitted(workers: list[FakeWorker], count: int) -> None:
    for worker in workers:
        worker.gate.set()
    batcher = Batcher(workers[:count], 2)
    futures = [batcher.submit(Task(b"photo")) for _ in range(9)]
    batcher.close()
    assert all(future.done() for future in futures)
