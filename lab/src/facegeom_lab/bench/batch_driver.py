"""``facegeom batch`` as a process that is watched and killed. Linux only: it reads /proc."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from facegeom_lab.bench.proc import descendants, read_proc
from facegeom_lab.bench.processes import ProcessError

_COMMAND = "from facegeom.cli import main; main()"  # what the console script does
_WORKER_NAMES = {"local": "facegeom.worker_pool.child", "ray": "ray::MapWorker"}
_LOOK_EVERY_S = 0.02
_LEAVE_S = 20.0


@dataclass(frozen=True)
class Job:
    """What a run works on, and how.

    Attributes:
        sources: of its photos.
        photos: how many they are.
        engine: "local" or "ray".
        workers: processes.
        part_size: photos of a part.
        limit_s: longest that it may take, seconds.
    """

    sources: Sequence[Path]
    photos: int
    engine: str
    workers: int
    part_size: int
    limit_s: float

    @property
    def parts(self) -> int:
        """Parts of the whole run."""
        return -(-self.photos // self.part_size)


class Driver:
    """A running command; as a context it leaves nothing behind.

    Args:
        job: what it works on.
        out: folder of the run; what it prints goes to a file beside it, named ``.log``.
        limit: when it must have ended, on the monotonic clock.
    """

    def __init__(self, job: Job, out: Path, limit: float) -> None:
        self._job, self._out, self._limit = job, out, limit
        self._log = out.with_suffix(".log")
        options = ["--engine", job.engine, "--workers", str(job.workers), "--part-size", str(job.part_size)]
        command = [sys.executable, "-c", _COMMAND, "batch", *map(str, job.sources), "-o", str(out), *options]
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
        """Whether it has ended well.

        Raises:
            ProcessError: it has failed, or took too long.
        """
        code = self._process.poll()
        if code:
            raise self._failure(f"the run ended with exit code {code}")
        if code is None and time.monotonic() > self._limit:
            raise self._failure("the run took too long")
        return code == 0

    def finish(self) -> None:
        """Wait for its end."""
        while not self.ended():
            time.sleep(_LOOK_EVERY_S)

    def wait_for_parts(self, count: int) -> bool:
        """Wait until so many parts are there; False if the run ended before."""
        while len(list((self._out / "parts").glob("part-*"))) < count:
            if self.ended():
                return False
            time.sleep(_LOOK_EVERY_S)
        return True

    def kill_worker(self, draw: random.Random) -> bool:
        """Kill one of its worker processes, as soon as there is one; False if the run ended before."""
        while not (found := worker_pids(self._process.pid, self._job.engine)):
            if self.ended():
                return False
            time.sleep(_LOOK_EVERY_S)
        with suppress(ProcessLookupError):  # it ended by itself in this moment
            os.kill(draw.choice(found), signal.SIGKILL)
        return True

    def kill(self) -> None:
        """Kill the driver; what it has started is given time to notice, then killed too."""
        family = descendants(self._process.pid)
        self._process.kill()
        self._process.wait()
        patience = time.monotonic() + _LEAVE_S
        while time.monotonic() < patience and any(map(_is_alive, family)):
            time.sleep(_LOOK_EVERY_S)
        for pid in filter(_is_alive, family):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _failure(self, what: str) -> ProcessError:
        said = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
        return ProcessError(f"{what}; the end of its log:\n{said}")


def worker_pids(driver: int, engine: str) -> list[int]:
    """Worker processes of an engine below a driver's process."""
    return [pid for pid in descendants(driver) if _WORKER_NAMES[engine] in _command_line(pid)]


def _is_alive(pid: int) -> bool:
    """Whether it runs; a dead one that nobody has waited for does not."""
    stat = read_proc(Path("/proc", str(pid), "stat"))
    return bool(stat) and stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def _command_line(pid: int) -> str:
    return read_proc(Path("/proc", str(pid), "cmdline")).replace("\0", " ")
