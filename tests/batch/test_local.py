"""The local engine with real worker processes, and its recovery when they die."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facegeom.batch import local
from facegeom.batch.input_index import Job, PhotoRef
from facegeom.batch.rows import read_counts
from facegeom.batch.sources import list_photos
from facegeom.batch.work import Settings, Worker
from facegeom.errors import InputError
from facegeom.worker_pool import process
from facegeom.worker_pool.process import WorkerDiedError, WorkerError, WorkerOverdueError, WorkerProcess


@pytest.fixture
def jobs(album: Path) -> list[Job]:
    """Return the album as jobs of two photos."""
    photos = list(list_photos([album]))
    return [Job(part, tuple(photos[2 * part : 2 * part + 2])) for part in range(5)]


@pytest.fixture
def expected(jobs: list[Job]) -> dict[int, bytes]:
    """Return the part files of an undisturbed run, by number."""
    worker = Worker(Settings())
    return {job.part: worker(job) for job in jobs}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the process ids of the workers, in the order of their starts."""
    pids: list[int] = []
    original = process.start

    def start(factory: str, settings: Settings) -> WorkerProcess:
        worker = original(factory, settings)
        pids.append(worker.pid)
        return worker

    monkeypatch.setattr(local, "start", start)
    return pids


def runs(pid: int) -> bool:
    """Return whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_killed_workers_are_replaced(
    jobs: list[Job], expected: dict[int, bytes], started: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """Kill one of two workers during a job: nothing is lost, nothing comes twice."""
    results = local.run(jobs, Settings(), workers=2)
    found = [next(results)]
    os.kill(started[-1], signal.SIGKILL)
    found += results
    assert len(found) == 5 and dict(found) == expected
    assert not any(map(runs, started))
    assert all("another one takes over" in record.message for record in caplog.records)


def test_leaving_early_ends_the_workers(jobs: list[Job], started: list[int]) -> None:
    results = local.run(jobs, Settings(), workers=1)
    next(results)
    assert runs(started[0])
    results.close()
    assert not runs(started[0])


def test_wrong_settings_end_the_run(jobs: list[Job]) -> None:
    with pytest.raises(InputError, match="min_score: expected"):
        list(local.run(jobs, Settings(options={"min_score": 7}), workers=1))


def test_workers_that_do_not_start_end_the_run(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_program", lambda: "raise SystemExit(3)")
    with pytest.raises(WorkerError, match="exited with 3 before it was ready"):
        list(local.run(jobs, Settings(), workers=2))


def test_an_error_in_the_jobs_reaches_the_caller() -> None:
    def jobs() -> Iterator[Job]:
        raise InputError("no more")
        yield

    with pytest.raises(InputError, match="no more"):
        list(local.run(jobs(), Settings(), workers=2))


class FakeProcess:
    """Worker process that dies at photos with given names, else returns the indices it skipped."""

    def __init__(self, deadly: set[str], deaths: list[str]) -> None:
        self.deadly, self.deaths = deadly, deaths

    def call(
        self, job: Job, skip: dict[int, str], on_message: Callable[[int], object], limit_s: float
    ) -> bytes:
        for index, photo in enumerate(job.photos):
            if index in skip:
                continue
            on_message(index)
            if photo.name in self.deadly:
                self.deaths.append(str(photo.name))
                raise WorkerDiedError("a worker process (pid 1) ended by signal 9")
        return bytes(skip)

    def kill(self) -> None: ...

    def end(self) -> None: ...


def test_deadly_photos_are_skipped(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    deaths: list[str] = []
    deadly = {"face0.jpg", "face1.jpg", "wall2.jpg"}  # two of one job, one of another
    monkeypatch.setattr(local, "start", lambda factory, settings: FakeProcess(deadly, deaths))
    results: dict[int, Any] = dict(local.run(jobs, Settings(), workers=2))
    skipped = {job.photos[index].name for job in jobs for index in results[job.part]}
    assert skipped == deadly
    assert deaths.count("wall2.jpg") == 4 and len(deaths) == 4 + 4 + 2


def endless(tmp_path: Path) -> Job:
    """Return a job with a photo that never ends: a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "pipe.jpg")
    return Job(7, (PhotoRef("pipe.jpg", "pipe.jpg", "file", str(tmp_path / "pipe.jpg")),))


def test_a_photo_that_takes_too_long_is_left_out(tmp_path: Path, started: list[int]) -> None:
    """The worker is killed once, another one writes the part."""
    ((part, content),) = local.run([endless(tmp_path)], Settings(timeout_s=1), workers=1)
    assert part == 7 and read_counts(content).errors == 1
    error = pq.read_table(pa.BufferReader(content))["error"][0].as_py()
    assert error == "it took longer than 1 s and was left out; see --timeout"
    assert len(started) == 2 and not any(map(runs, started))


def test_slow_photos_do_not_count_as_deadly(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo is left out at its first timeout; others of its part are not tracked for that."""
    slow = {"face0.jpg", "face1.jpg", "wall2.jpg"}

    class Slow(FakeProcess):
        def call(self, *arguments: Any, **named: Any) -> bytes:
            try:
                return super().call(*arguments, **named)
            except WorkerDiedError as error:
                raise WorkerOverdueError(str(error)) from error

    deaths: list[str] = []
    monkeypatch.setattr(local, "start", lambda factory, settings: Slow(slow, deaths))
    results: dict[int, Any] = dict(local.run(jobs, Settings(), workers=2))
    assert {job.photos[index].name for job in jobs for index in results[job.part]} == slow
    assert sorted(deaths) == sorted(slow)
