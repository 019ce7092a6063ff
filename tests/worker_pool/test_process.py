"""Worker processes: calls and messages, failed starts, deaths, the end of the parent."""

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
from facegeom.worker_pool.process import (
    WorkerDiedError,
    WorkerError,
    WorkerOverdueError,
    WorkerProcess,
    start,
)

ADDER = f"{Path(__file__).stem}:Adder"


@pytest.fixture(autouse=True)
def importable_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers import this file."""
    monkeypatch.syspath_prepend(Path(__file__).parent)


class Adder:
    """A worker that adds to its first number; it reports that number, prints, dies at 13, sticks at 14."""

    def __init__(self, first: int) -> None:
        if first < 0:
            raise InputError(f"expected a number of at least 0, got {first}")
        self.first = first

    def __call__(self, second: int, report: Callable[[int], None]) -> int:
        print("printed text is not a result")
        report(self.first)
        if second == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        if second == 14:
            pow(3, 10**9)  # for minutes, without a chance for another thread
        return self.first + second


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    worker = start(ADDER, 40)
    yield worker
    worker.end()


def test_results_and_messages(worker: WorkerProcess) -> None:
    messages: list[int] = []
    assert [worker.call(number, on_message=messages.append) for number in (2, 3)] == [42, 43]
    assert messages == [40, 40] and worker.pid != os.getpid()


def test_large_values_pass(worker: WorkerProcess) -> None:
    assert worker.call(1 << 3_000_000) == 40 + (1 << 3_000_000)


def test_a_death_is_reported(worker: WorkerProcess) -> None:
    with pytest.raises(WorkerDiedError, match=rf"\(pid {worker.pid}\) ended by signal 9"):
        worker.call(13)


def test_a_worker_that_takes_too_long_is_killed(worker: WorkerProcess) -> None:
    with pytest.raises(WorkerOverdueError, match=rf"\(pid {worker.pid}\) ended by signal 9 after 0.5 s, its"):
        worker.call(14, limit_s=0.5)
    assert not _runs(worker.pid)


def test_a_deadline_that_is_not_reached(worker: WorkerProcess) -> None:
    assert [worker.call(number, limit_s=60.0) for number in (1, 2)] == [41, 42]


def test_errors_of_the_factory_come_back() -> None:
    with pytest.raises(InputError, match="expected a number of at least 0, got -1"):
        start(ADDER, -1)


def test_processes_that_do_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_program", lambda: "raise SystemExit(3)")
    with pytest.raises(WorkerError, match="exited with 3 before it was ready, as 2 before it"):
        start(ADDER, 1)


def test_worker_ends_when_its_pipes_close(worker: WorkerProcess) -> None:
    """The pipes close when the parent is killed; the worker then exits without an error."""
    for pipe in (worker._to_worker, worker._from_worker):
        pipe.close()
    assert worker._process.wait(60) == 0


@pytest.mark.parametrize("number", [2, 14])
def test_worker_ends_when_its_parent_is_killed(number: int) -> None:
    """Also while it computes something that holds the interpreter."""
    code = (
        f"import sys, threading; sys.path[:] = {sys.path!r}; from facegeom.worker_pool.process import start; "
        f"worker = start({ADDER!r}, 1); call = lambda: worker.call({number}, on_message=print_pid); "
        "print_pid = lambda message: print(worker.pid, flush=True); threading.Thread(target=call).start(); "
        "threading.Event().wait(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 30
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def test_workers_ignore_ctrl_c(worker: WorkerProcess) -> None:
    os.kill(worker.pid, signal.SIGINT)
    assert worker.call(2) == 42


def _runs(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
