"""Worker processes: what goes in comes out, errors at the start, deaths, the end of the driver."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facegeom.errors import InputError
from facegeom.worker_pool import process
from facegeom.worker_pool.process import DiedError, WorkerError, WorkerProcess, start

HERE = f"{Path(__file__).stem}:Adder"


@pytest.fixture(autouse=True)
def found_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers look for modules where this process does."""
    monkeypatch.syspath_prepend(Path(__file__).parent)


class Adder:
    """Adds to what it was made with; tells what it has, prints, refuses and dies when asked."""

    def __init__(self, first: int) -> None:
        if first < 0:
            raise InputError(f"expected a number of at least 0, got {first}")
        self.first = first

    def __call__(self, second: int, tell: Callable[[int], None]) -> int:
        print("what a worker prints is no answer")
        tell(self.first)
        if second == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.first + second


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    worker = start(HERE, 40)
    yield worker
    worker.end()


def test_calls_and_what_is_told(worker: WorkerProcess) -> None:
    told: list[int] = []
    assert [worker.call(number, told=told.append) for number in (2, 3)] == [42, 43]
    assert told == [40, 40] and worker.pid != os.getpid()


def test_large_messages_pass(worker: WorkerProcess) -> None:
    assert worker.call(1 << 3_000_000) == 40 + (1 << 3_000_000)


def test_a_death_is_told(worker: WorkerProcess) -> None:
    with pytest.raises(DiedError, match=rf"\(pid {worker.pid}\) ended by signal 9"):
        worker.call(13)


def test_the_makers_errors_come_back() -> None:
    with pytest.raises(InputError, match="expected a number of at least 0, got -1"):
        start(HERE, -1)


def test_processes_that_do_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_program", lambda: "raise SystemExit(3)")
    with pytest.raises(WorkerError, match="exited with 3 before it was ready, as 2 before it"):
        start(HERE, 1)


def test_it_ends_when_its_driver_is_gone(worker: WorkerProcess) -> None:
    """The pipes close when a driver is killed; the worker then neither stays nor complains."""
    worker.close_pipes()
    assert worker.wait(60) == 0


def test_it_ends_when_its_driver_is_killed() -> None:
    code = (
        f"import sys, time; sys.path[:] = {sys.path!r}; from facegeom.worker_pool.process import start; "
        f"print(start({HERE!r}, 1).pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        pid = int(driver.stdout.readline())
        driver.kill()
    deadline = time.monotonic() + 30
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def test_ctrl_c_is_the_drivers_business(worker: WorkerProcess) -> None:
    os.kill(worker.pid, signal.SIGINT)
    assert worker.call(2) == 42


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
