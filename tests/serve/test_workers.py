"""Worker processes of the service: results, number, replacement after a crash."""

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from facegeom.errors import InputError
from facegeom.serve import workers
from facegeom.serve.problems import RefusedError
from facegeom.serve.work import EncodedFaces, Task
from facegeom.serve.workers import RestartingWorker, started_workers, workers_and_threads
from facegeom.worker_pool.process import WorkerDiedError


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
    with caplog.at_level(logging.WARNING):
        results = worker([Task(portrait.read_bytes())] * 2)
    assert [result.count for result in results if isinstance(result, EncodedFaces)] == [1, 1]
    assert worker.pid not in (None, before) and f"(pid {before}) ended by signal 9" in caplog.text


class FakeProcess:
    """Worker process that dies of a photo b"deadly"."""

    started = 0

    def __init__(self, *options: object) -> None:
        FakeProcess.started += 1

    def call(self, tasks: list[Task]) -> list[EncodedFaces]:
        if any(task.content == b"deadly" for task in tasks):
            raise WorkerDiedError("a worker process (pid 1) ended by signal 11")
        return [EncodedFaces(task.content, 0) for task in tasks]


def test_a_deadly_photo_is_refused_and_the_others_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "start", FakeProcess)
    worker = RestartingWorker({}, 60)
    one, deadly, other = worker([Task(b"one"), Task(b"deadly"), Task(b"other")])
    assert one == EncodedFaces(b"one", 0) and other == EncodedFaces(b"other", 0)
    assert isinstance(deadly, RefusedError) and deadly.status == 500
    assert FakeProcess.started == 3 and len(worker([Task(b"next")])) == 1


class EndlessProcess:
    """Worker process that works until it is killed."""

    def __init__(self, *options: object) -> None:
        self._killed = Event()

    def call(self, tasks: list[Task]) -> list[EncodedFaces]:
        assert self._killed.wait(30)
        raise WorkerDiedError("a worker process (pid 1) ended by signal 9")

    def kill(self) -> None:
        self._killed.set()


def test_a_worker_that_takes_too_long_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "start", EndlessProcess)
    worker = RestartingWorker({}, 0.05)
    refused = worker([Task(b"slow")] * 2)
    assert [each.status for each in refused if isinstance(each, RefusedError)] == [504, 504]
    assert "longer than 0.05 s" in str(refused[0])
    monkeypatch.setattr(workers, "start", FakeProcess)
    assert worker([Task(b"next")]) == [EncodedFaces(b"next", 0)]


def test_workers_that_cannot_be_made() -> None:
    with pytest.raises(InputError, match="onnxruntime-gpu"), started_workers(2, {"device": "cuda"}, 60):
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
