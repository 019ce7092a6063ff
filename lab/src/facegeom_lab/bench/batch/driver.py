"""Run ``facegeom batch`` as a process, kill it and its workers, and compare what it wrote.

Linux only: worker processes are found in /proc.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from facegeom_lab.bench.speed.processes import CONSOLE_SCRIPT, ProcessError, descendants, read_proc

_WORKER_NAMES = {"local": "facegeom.worker_pool.child", "ray": "ray::MapWorker"}
_POLL_S = 0.02
DONE = (0, 1)
"""Exit codes of a run that is done: 1 where some photos cannot be used, as every 97th that is made."""

_SHUTDOWN_S = 20.0
_LAST_KILL = 0.95
"""No kill is drawn beyond this fraction of the parts."""

_MAX_DELAY_S = 1.5


@dataclass(frozen=True)
class Job:
    """Input and options of a run.

    Attributes:
        sources: folders, archives and URLs of photos.
        photos: number of photos in them.
        engine: "local" or "ray".
        workers: number of worker processes.
        part_size: photos per part file.
        limit_s: time limit, seconds.
    """

    sources: Sequence[Path | str]
    photos: int
    engine: str
    workers: int
    part_size: int
    limit_s: float

    @property
    def parts(self) -> int:
        """Number of part files of the whole run."""
        return -(-self.photos // self.part_size)


class Driver:
    """A running ``facegeom batch``; leaving the context kills it with all its children.

    Args:
        job: input and options.
        out: output folder; the log goes to a file beside it, named ``.log``.
        limit: deadline on the monotonic clock.
        expected: exit codes that are no failure.

    Attributes:
        peak_mb: largest resident memory of the command itself so far, without its workers, 2^20 bytes.
    """

    def __init__(self, job: Job, out: Path, limit: float, expected: Sequence[int] = DONE) -> None:
        self._job, self._out, self._limit, self._expected = job, out, limit, expected
        self._log, self.peak_mb = out.with_suffix(".log"), 0.0
        options = ["--engine", job.engine, "--workers", str(job.workers), "--part-size", str(job.part_size)]
        command = [
            sys.executable,
            "-c",
            CONSOLE_SCRIPT,
            "batch",
            *map(str, job.sources),
            "-o",
            str(out),
            *options,
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def __enter__(self) -> "Driver":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()

    def ended(self) -> bool:
        """Return whether the command has ended with an expected exit code.

        Raises:
            ProcessError: it failed, or took too long.
        """
        status = read_proc(Path("/proc", str(self._process.pid), "status"))
        if found := re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE):
            self.peak_mb = int(found[1]) / 1024
        code = self._process.poll()
        if code is not None and code not in self._expected:
            raise self._failure(f"the run ended with exit code {code}")
        if code is None and time.monotonic() > self._limit:
            raise self._failure("the run took too long")
        return code is not None

    def finish(self) -> int:
        """Wait until the command has ended and return its exit code."""
        while not self.ended():
            time.sleep(_POLL_S)
        return self._process.wait()

    def wait_for_parts(self, count: int) -> bool:
        """Wait until this many part files exist; return False if the run ended before."""
        while len(list((self._out / "parts").glob("part-*"))) < count:
            if self.ended():
                return False
            time.sleep(_POLL_S)
        return True

    def kill_worker(self, rng: random.Random) -> bool:
        """Kill a random worker process as soon as one exists; return False if the run ended before."""
        while not (found := worker_pids(self._process.pid, self._job.engine)):
            if self.ended():
                return False
            time.sleep(_POLL_S)
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(rng.choice(found), signal.SIGKILL)
        return True

    def kill(self) -> None:
        """Kill the driver; its children get time to end by themselves and are killed after that."""
        children = descendants(self._process.pid)
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + _SHUTDOWN_S
        while time.monotonic() < deadline and any(map(_is_alive, children)):
            time.sleep(_POLL_S)
        for pid in filter(_is_alive, children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _failure(self, what: str) -> ProcessError:
        log = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
        return ProcessError(f"{what}; the end of its log:\n{log}")


def worker_pids(driver: int, engine: str) -> list[int]:
    """Return the ids of the worker processes that a driver has started."""
    return [pid for pid in descendants(driver) if _WORKER_NAMES[engine] in _command_line(pid)]


def _is_alive(pid: int) -> bool:
    """Return whether a process runs; zombies do not."""
    stat = read_proc(Path("/proc", str(pid), "stat"))
    return bool(stat) and stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def _command_line(pid: int) -> str:
    return read_proc(Path("/proc", str(pid), "cmdline")).replace("\0", " ")


@dataclass(frozen=True)
class Kills:
    """Kills of one run.

    Attributes:
        workers: number of killed worker processes.
        drivers: number of killed drivers; the command was started again after each.
        seconds: from the first start to the last end.
    """

    workers: int
    drivers: int
    seconds: float


class _PlannedKill(NamedTuple):
    """Kill the target ("driver" or "worker") ``delay_s`` after ``parts`` part files exist."""

    parts: int
    delay_s: float
    target: str


def run_undisturbed(job: Job, out: Path) -> tuple[float, float]:
    """Run the command from start to end and return its seconds, and the most memory of its own, MB.

    Raises:
        ProcessError: it failed, or took too long.
    """
    started = time.monotonic()
    with Driver(job, out, started + job.limit_s) as driver:
        driver.finish()
    return time.monotonic() - started, driver.peak_mb


def working_rate(job: Job, out: Path) -> float | None:
    """Return photos per second between the first part of every worker and the last part.

    None if there are no more parts than workers.
    """
    ends = _part_times(out)
    later = len(ends) - job.workers
    if later < 1:
        return None
    return later * job.photos / job.parts / (ends[-1] - ends[job.workers - 1])


def longest_delay_s(out: Path) -> float:
    """Return the largest delay of a kill: 1.5 s, or a quarter of an undisturbed run's work if less."""
    ends = _part_times(out)
    return min(_MAX_DELAY_S, (ends[-1] - ends[0]) / 4)


def _part_times(out: Path) -> list[float]:
    """Return when each part file was written, seconds, sorted."""
    return sorted(path.stat().st_mtime for path in (out / "parts").glob("part-*"))


def run_with_kills(job: Job, out: Path, kills: int, seed: int, delay_s: float) -> Kills:
    """Run the command, kill it at random moments, and start it again whenever the driver was killed.

    The moments are uniform over the parts, each delayed by up to ``delay_s``, so that kills hit reading,
    analysis, writing and start-up alike. They alternate between the driver and a random worker. A kill
    planned after the end of the run is not counted.

    Args:
        job: input and options.
        out: output folder.
        kills: number of planned kills.
        seed: of the random moments and workers.
        delay_s: largest delay of a kill.

    Raises:
        ProcessError: the command failed, or all runs together took too long.
    """
    rng = random.Random(seed)
    marks = sorted(rng.uniform(0, _LAST_KILL * job.parts) for _ in range(kills))
    plan = iter(
        [
            _PlannedKill(int(mark), rng.uniform(0, delay_s), ("driver", "worker")[index % 2])
            for index, mark in enumerate(marks)
        ]
    )
    started = time.monotonic()
    done: Counter[str] = Counter()
    restart = True
    while restart:
        with Driver(job, out, started + job.limit_s) as driver:
            restart = _carry_out(driver, plan, rng, done)
    return Kills(done["worker"], done["driver"], time.monotonic() - started)


def _carry_out(driver: Driver, plan: Iterator[_PlannedKill], rng: random.Random, done: Counter[str]) -> bool:
    """Kill as planned while the driver runs; return whether the driver was killed."""
    for planned in plan:
        if not _kill(driver, planned, rng):
            break
        done[planned.target] += 1
        if planned.target == "driver":
            return True
    driver.finish()
    return False


def _kill(driver: Driver, planned: _PlannedKill, rng: random.Random) -> bool:
    """Kill the target at the planned time; return False if the run ended before."""
    if not driver.wait_for_parts(planned.parts):
        return False
    time.sleep(planned.delay_s)
    if planned.target == "worker":
        return driver.kill_worker(rng)
    if driver.ended():
        return False
    driver.kill()
    return True


def differing_parts(first: Path, second: Path) -> list[str]:
    """Return the names of part files that only one of two runs has, or whose bytes differ."""
    names = {path.name for out in (first, second) for path in (out / "parts").glob("part-*")}
    return sorted(name for name in names if _content(first, name) != _content(second, name))


def _content(out: Path, name: str) -> bytes | None:
    path = out / "parts" / name
    return path.read_bytes() if path.is_file() else None


def rows_and_keys(out: Path) -> tuple[int, int]:
    """Return the number of rows of a run and the number of distinct photos in them."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    keys = pq.read_table(out / "parts", columns=["key"])["key"]
    return len(keys), pc.count_distinct(keys).as_py()
