"""The local engine with real worker processes, and its recovery when they die."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facegeom.batch import local
from facegeom.batch.input_index import Job, PhotoRef, Record
from facegeom.batch.rows import read_metadata
from facegeom.batch.sources import list_photos
from facegeom.batch.work import Attempt, Outcome, Piece, Settings, Worker
from facegeom.errors import InputError
from facegeom.worker_pool import process
from facegeom.worker_pool.process import WorkerDiedError, WorkerError, WorkerOverdueError, WorkerProcess

from .conftest import contents, part_of


@pytest.fixture
def jobs(album: Path) -> list[Job]:
    """Return the album as jobs of two photos."""
    photos = list(list_photos([album]))
    return [Job(part, tuple(photos[2 * part : 2 * part + 2])) for part in range(5)]


@pytest.fixture
def expected(jobs: list[Job]) -> dict[int, bytes]:
    """Return the part files of an undisturbed run, by number."""
    worker = Worker(Settings())
    return {job.part: part_of(worker, job) for job in jobs}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the process ids of the workers, in the order of their starts."""
    pids: list[int] = []
    original = process.start

    def start(factory: str, settings: Settings, **more: Any) -> WorkerProcess:
        worker = original(factory, settings, **more)
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
    assert contents(found) == expected
    assert not any(map(runs, started))
    assert all("another one takes over" in record.message for record in caplog.records)


def test_leaving_early_ends_the_workers(jobs: list[Job], started: list[int]) -> None:
    results = local.run(jobs, Settings(), workers=1)
    next(results)
    assert runs(started[0])
    results.close()
    assert not runs(started[0])


def test_ctrl_c_ends_a_worker_that_is_not_ready(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """It never gets ready here, and the limit of its start is far longer than that of a test."""
    pids: list[int] = []
    main = threading.get_ident()

    def start(*arguments: Any, on_spawn: Callable[[WorkerProcess], object]) -> WorkerProcess:
        def interrupt(worker: WorkerProcess) -> None:
            on_spawn(worker)
            pids.append(worker.pid)
            if len(pids) == 1:  # a start is tried again
                signal.pthread_kill(main, signal.SIGINT)

        return process.start(*arguments, on_spawn=interrupt)

    monkeypatch.setattr(process, "_program", lambda: "import time; time.sleep(1e6)")
    monkeypatch.setattr(process, "_START_LIMIT_S", 1e6)
    monkeypatch.setattr(local, "start", start)
    with pytest.raises(KeyboardInterrupt):
        list(local.run(jobs, Settings(), 1))
    assert pids and not any(map(runs, pids))


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
        self, job: Job, attempt: Attempt, on_message: Callable[[int | Piece], object], limit_s: float
    ) -> None:
        for index, photo in enumerate(job.photos):
            if index in attempt.skip:
                continue
            on_message(index)
            if photo.name in self.deadly:
                self.deaths.append(str(photo.name))
                raise WorkerDiedError("a worker process (pid 1) ended by signal 9")
        on_message(Piece(Record(job.part, 0, True, 0, 0, 0, 0, "", ""), bytes(attempt.skip)))

    def kill(self) -> None: ...

    def end(self) -> None: ...


def test_deadly_photos_are_skipped(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    deaths: list[str] = []
    deadly = {"face0.jpg", "face1.jpg", "wall2.jpg"}  # two of one job, one of another
    monkeypatch.setattr(local, "start", lambda factory, settings, on_spawn: FakeProcess(deadly, deaths))
    results = contents(local.run(jobs, Settings(), workers=2))
    skipped = {job.photos[index].name for job in jobs for index in results[job.part]}
    assert skipped == deadly
    assert deaths.count("wall2.jpg") == 4 and len(deaths) == 4 + 4 + 2


def test_a_photo_that_takes_too_long_is_left_out(
    tmp_path: Path, started: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is killed once, another one writes the part."""
    monkeypatch.setattr(local, "_WORKER", "slow_worker:SlowWorker")
    (tmp_path / "slow.jpg").write_text("slow")
    job = Job(7, tuple(list_photos([tmp_path / "slow.jpg"])))
    content = contents(local.run([job], Settings(timeout_s=3), workers=1))[7]
    table = pq.read_table(pa.BufferReader(content))
    assert read_metadata(table.schema)["errors"] == 1
    assert table["error"][0].as_py() == "it took longer than 3 s and was left out; see --timeout"
    assert len(started) == 2 and not any(map(runs, started))


def test_a_silent_source_leaves_its_job_open(tmp_path: Path, started: list[int]) -> None:
    """It is a pipe that nobody writes to; the worker is not to blame."""
    os.mkfifo(tmp_path / "pipe.jpg")
    job = Job(7, (PhotoRef("pipe.jpg", "pipe.jpg", "file", str(tmp_path / "pipe.jpg")),))
    (end,) = local.run([job], Settings(silence_s=1), workers=1)
    assert end == Outcome(7, f"{tmp_path / 'pipe.jpg'} cannot be reached: no answer within 1 s")
    assert len(started) == 1


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
    monkeypatch.setattr(local, "start", lambda factory, settings, on_spawn: Slow(slow, deaths))
    results = contents(local.run(jobs, Settings(), workers=2))
    assert {job.photos[index].name for job in jobs for index in results[job.part]} == slow
    assert sorted(deaths) == sorted(slow)
