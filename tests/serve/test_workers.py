"""Worker processes of the service: results, number, replacement after a crash."""

import logging
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from facegeom.errors import InputError
from facegeom.serve import workers
from facegeom.serve.batching import Batcher
from facegeom.serve.work import EncodedFaces, Result, Task
from facegeom.serve.workers import RestartingWorker, started_workers, workers_and_threads
from facegeom.worker_pool.process import WorkerDiedError, WorkerOverdueError


@pytest.fixture(scope="module")
def worker() -> Iterator[RestartingWorker]:
    with started_workers(1, {"threads": 1}, 60) as started:
        yield started[0]


def test_answers(worker: RestartingWorker, portrait: Path) -> None:
    found, refused = worker([Task(portrait.read_bytes()), Task(b"no photo")])
    assert isinstance(found, EncodedFaces) and found.count == 1
    assert "not a picture" in str(refused)


def test_a_worker_killed_from_outside_is_replaced(
    worker: RestartingWorker, portrait: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = worker.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    tasks = [Task(portrait.read_bytes())] * 2
    with caplog.at_level(logging.WARNING), pytest.raises(WorkerDiedError):
        worker(tasks)
    assert worker.pid is None and worker([]) == []
    assert worker.pid not in (None, before) and f"(pid {before}) ended by signal 9" in caplog.text
    assert [result.count for result in worker(tasks) if isinstance(result, EncodedFaces)] == [1, 1]


def test_a_photo_outlives_two_workers(portrait: Path) -> None:
    """The service of two workers answers although each is killed once while it has the photo."""
    killed: list[int] = []

    class Killer(RestartingWorker):
        def __call__(self, tasks: Sequence[Task]) -> list[Result]:
            if tasks and len(killed) < 2 and self.pid is not None:
                killed.append(self.pid)
                os.kill(self.pid, signal.SIGKILL)
            return super().__call__(tasks)

    started = [Killer({"threads": 1}, 60) for _ in range(2)]
    batcher = Batcher(started, 4)
    assert batcher.submit(Task(portrait.read_bytes())).future.result(120).count == 1 and len(killed) == 2
    batcher.close()
    for each in started:
        each.end()


class SleepingProcess:
    """Worker process that is killed for taking too long."""

    def __init__(self, *options: object) -> None:
        pass

    def call(self, tasks: list[Task], limit_s: float) -> list[EncodedFaces]:
        raise WorkerOverdueError(f"a worker process (pid 1) ended by signal 9 after {limit_s:g} s, its limit")


def test_a_worker_that_takes_too_long_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "start", SleepingProcess)
    worker = RestartingWorker({}, 0.05)
    with pytest.raises(WorkerOverdueError, match=r"after 0.05 s, its limit"):
        worker([Task(b"slow")])
    assert worker.pid is None


def test_workers_that_cannot_be_made() -> None:
    with pytest.raises(InputError, match=r"the extra \[gpu\]"), started_workers(2, {"device": "cuda"}, 60):
        pass


@pytest.mark.parametrize(
    ("cores", "device", "asked", "expected"),
    [
        (1, "cpu", (None, None), (1, 1)),
        (2, "cpu", (None, None), (2, 1)),
        (16, "cpu", (None, None), (4, 4)),
        (16, "cpu", (8, None), (8, 2)),
        (2, "cpu", (4, None), (4, 1)),
        (16, "cpu", (2, 3), (2, 3)),
        (16, "cuda", (None, None), (1, 16)),
    ],
)
def test_workers_and_threads(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    device: str,
    asked: tuple[int | None, int | None],
    expected: tuple[int, int],
) -> None:
    monkeypatch.setattr(workers, "available_cores", lambda: cores)
    assert workers_and_threads(device, *asked) == expected
