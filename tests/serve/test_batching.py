"""Batches of photos of many clients, with fake workers."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest

from facegeom.errors import InputError
from facegeom.serve import batching
from facegeom.serve.batching import Batcher
from facegeom.serve.problems import RefusedError
from facegeom.serve.work import EncodedFaces, Result, Task
from facegeom.worker_pool.process import WorkerDiedError, WorkerOverdueError


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
        futures.append(batcher.submit(Task(b"first")).future)
        while sum(len(worker.batches) for worker in workers) <= number:
            time.sleep(0.001)
    return futures


def test_what_comes_during_a_batch_goes_together(
    start: Callable[..., Batcher], workers: list[FakeWorker]
) -> None:
    batcher = start(1, max_batch=3)
    first = busy(batcher, workers[:1])
    rest = [batcher.submit(Task(content)).future for content in (b"1", b"2", b"3", b"4")]
    workers[0].gate.set()
    assert [future.result(10).body for future in (*first, *rest)] == [b"first", b"1", b"2", b"3", b"4"]
    assert workers[0].batches == [1, 3, 1]


def test_workers_share_what_waits(start: Callable[..., Batcher], workers: list[FakeWorker]) -> None:
    """While one is busy the other takes half of what waits, then half of the rest."""
    batcher = start(2)
    busy(batcher, workers)
    rest = [batcher.submit(Task(b"more")).future for _ in range(6)]
    workers[0].gate.set()
    for future in rest:
        future.result(10)
    assert (workers[0].batches, workers[1].batches) == ([1, 3, 2, 1], [1])


def test_a_bad_photo_fails_alone(start: Callable[..., Batcher], workers: list[FakeWorker]) -> None:
    batcher = start(1)
    first = busy(batcher, workers[:1])
    good, bad, other = (batcher.submit(Task(content)).future for content in (b"good", b"bad", b"other"))
    workers[0].gate.set()
    assert [future.result(10).body for future in (*first, good, other)] == [b"first", b"good", b"other"]
    with pytest.raises(InputError, match="a bad photo"):
        bad.result(10)


def test_a_worker_that_fails_goes_on(start: Callable[..., Batcher], workers: list[FakeWorker]) -> None:
    batcher = start(1)
    workers[0].gate.set()
    with pytest.raises(RuntimeError, match="no worker is left"):
        batcher.submit(Task(b"worse")).future.result(10)
    assert batcher.submit(Task(b"good")).future.result(10).body == b"good"


def test_a_cancelled_photo_leaves_the_queue(start: Callable[..., Batcher], workers: list[FakeWorker]) -> None:
    batcher = start(1)
    first = busy(batcher, workers[:1])
    left, stays = (batcher.submit(Task(b"next")) for _ in range(2))
    assert batcher.withdraw(left) and left.future.cancelled() and not batcher.withdraw(left)
    workers[0].gate.set()
    assert first[0].result(10).body == b"first" and stays.future.result(10).body == b"next"
    assert workers[0].batches == [1, 1] and not batcher.withdraw(stays)


@pytest.mark.parametrize("count", [1, 2])
def test_close_finishes_what_was_submitted(workers: list[FakeWorker], count: int) -> None:
    for worker in workers:
        worker.gate.set()
    batcher = Batcher(workers[:count], 2)
    futures = [batcher.submit(Task(b"photo")).future for _ in range(9)]
    batcher.close()
    assert all(future.done() for future in futures)


@dataclass
class MortalWorker:
    """Worker that dies of photos: as often as ``deaths`` says of each, or, where it is b"slow", of time.

    Attributes:
        deaths: of each photo, still to come.
        batches: photos of each call so far; an empty call is a restart.
        failed_starts: restarts that fail, still to come.
    """

    deaths: Counter[bytes] = field(default_factory=Counter)
    batches: list[list[bytes]] = field(default_factory=list)
    failed_starts: int = 0

    def __call__(self, tasks: Sequence[Task]) -> list[Result]:
        self.batches.append([task.content for task in tasks])
        if not tasks and self.failed_starts:
            self.failed_starts -= 1
            raise WorkerDiedError("a worker process cannot be made")
        for task in tasks:
            if task.content == b"slow":
                raise WorkerOverdueError("a worker process ended by signal 9")
            if self.deaths[task.content]:
                self.deaths[task.content] -= 1
                raise WorkerDiedError("a worker process ended by signal 9")
        return [EncodedFaces(task.content, 0) for task in tasks]


@pytest.mark.parametrize(("deaths", "status"), [(1, None), (2, None), (3, 500), (9, 500)])
def test_a_photo_is_tried_three_times(deaths: int, status: int | None) -> None:
    worker = MortalWorker(Counter({b"deadly": deaths}))
    batcher = Batcher([worker], 4)
    future = batcher.submit(Task(b"deadly")).future
    if status is None:
        assert future.result(10).body == b"deadly"
    else:
        with pytest.raises(RefusedError) as refused:
            future.result(10)
        assert refused.value.status == status
    assert batcher.submit(Task(b"good")).future.result(10).body == b"good"
    assert worker.batches == [[b"deadly"], []] * min(deaths, 3) + [[b"deadly"]] * (deaths < 3) + [[b"good"]]
    batcher.close()


@pytest.mark.parametrize(("bad", "status"), [(b"deadly", 500), (b"slow", 504)])
def test_photos_that_shared_a_batch_with_a_bad_one_are_answered(bad: bytes, status: int) -> None:
    gate, mortal = FakeWorker(), MortalWorker(Counter({b"deadly": 9}))
    batcher = Batcher([lambda tasks: (gate if gate.batches == [] else mortal)(tasks)], 4)
    first = busy(batcher, [gate])
    futures = {content: batcher.submit(Task(content)).future for content in (b"one", bad, b"other")}
    gate.gate.set()
    assert first[0].result(10).body == b"first"
    assert [futures[content].result(10).body for content in (b"one", b"other")] == [b"one", b"other"]
    with pytest.raises(RefusedError) as refused:
        futures[bad].result(10)
    assert refused.value.status == status and mortal.batches[0] == [b"one", bad, b"other"]
    batcher.close()


def test_a_worker_that_does_not_start_is_tried_until_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = MortalWorker(Counter({b"once": 1}), failed_starts=2)
    batcher = Batcher([worker], 4)
    monkeypatch.setattr(batcher._closing, "wait", lambda seconds: None)
    assert batcher.submit(Task(b"once")).future.result(10).body == b"once"
    assert worker.batches == [[b"once"], [], [], [], [b"once"]]
    batcher.close()


def test_large_photos_go_alone_and_leave_a_worker_to_small_ones(
    start: Callable[..., Batcher], workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "RESERVE_S", 60.0)
    batcher = start(2)
    small = batcher.submit(Task(b"small"))
    large = [batcher.submit(Task(b"large"), batching.LARGE_PIXELS + 1) for _ in range(3)]
    while sum(len(worker.batches) for worker in workers) < 2:
        time.sleep(0.001)
    assert batcher._on_large == 1 and [job.future.running() for job in large] == [True, False, False]
    assert batcher.withdraw(large[2])
    for worker in workers:
        worker.gate.set()
    assert small.future.result(10).body == b"small"
    assert [job.future.result(10).body for job in large[:2]] == [b"large"] * 2
    assert batcher.submit(Task(b"more")).future.result(10).body == b"more"


def test_a_batch_has_at_most_so_many_pixels(start: Callable[..., Batcher], workers: list[FakeWorker]) -> None:
    batcher = start(1)
    first = busy(batcher, workers[:1])
    rest = [batcher.submit(Task(b"photo"), 3_000_000).future for _ in range(5)]
    workers[0].gate.set()
    assert [future.result(10).body for future in (*first, *rest)] == [b"first", *[b"photo"] * 5]
    assert workers[0].batches == [1, 2, 2, 1]
