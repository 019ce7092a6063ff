"""Start ``facegeom serve`` in a process of its own, and watch its memory."""

import os
import resource
import subprocess
import sys
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import IO

from facegeom_lab.bench.speed.processes import CONSOLE_SCRIPT, ProcessError, read_proc, resident_mb

SAMPLES = 200
"""Memory samples in one run."""

_STOP_TIMEOUT_S = 60


@dataclass(frozen=True)
class Service:
    """A running service.

    Attributes:
        port: on 127.0.0.1.
        process: its main process.
    """

    port: int
    process: "subprocess.Popen[str]"

    @property
    def pid(self) -> int:
        """Process id of the main process."""
        return self.process.pid

    def memory_mb(self) -> float | None:
        """Return the resident MB (10^6 bytes) now, workers included; None without /proc."""
        return resident_mb(self.pid)

    def processor_s(self) -> float:
        """Return the processor time of the main process so far, seconds."""
        ticks = read_proc(Path("/proc", str(self.pid), "stat")).rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


class MemoryMonitor:
    """Sample the memory of a service in a thread while the context lasts.

    Args:
        service: the service to watch.
        interval_s: seconds between two samples.
    """

    def __init__(self, service: Service, interval_s: float) -> None:
        self._service, self._interval_s = service, interval_s
        self._megabytes: list[float] = []
        self._stop = Event()
        self._thread = Thread(target=self._sample)

    def __enter__(self) -> "MemoryMonitor":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(self._interval_s):
            megabytes = self._service.memory_mb()
            if megabytes is not None:
                self._megabytes.append(megabytes)

    def early_mb(self) -> float | None:
        """Return the median of the second tenth of the samples, after every code path has run once."""
        tenth = len(self._megabytes) // 10
        return median(self._megabytes[tenth : 2 * tenth]) if tenth else None

    def most_mb(self) -> float | None:
        """Return the largest sample."""
        return max(self._megabytes, default=None)

    def late_mb(self) -> float | None:
        """Return the median of the last tenth of the samples."""
        tenth = len(self._megabytes) // 10
        return median(self._megabytes[-tenth:]) if tenth else None


@contextmanager
def running_service(
    *options: str,
    descriptors: int | None = None,
    log: IO[bytes] | None = None,
    codes: Container[int] = (0,),
) -> Iterator[Service]:
    """Run ``facegeom serve`` on a free port of this machine while the context lasts.

    Args:
        options: further options of the command.
        descriptors: files that the service may open; None for as many as this process.
        log: gets its standard error.
        codes: with which it may end.

    Raises:
        ProcessError: it does not start, or ends with another code.
    """
    command = (sys.executable, "-c", CONSOLE_SCRIPT, "serve", "--port", "0", *options)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, limit[1]))  # the service inherits it
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    with process:
        try:
            yield Service(_port(process), process)
        finally:
            process.terminate()
            try:
                code = process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    if code not in codes:
        raise ProcessError(f"`facegeom serve` ended with exit code {code}")


def _port(process: "subprocess.Popen[str]") -> int:
    """Read the port from the first line that the service prints."""
    assert process.stdout is not None  # it was asked for
    line = process.stdout.readline()
    if "http://" not in line:
        raise ProcessError("`facegeom serve` did not start; its output is above")
    return int(line.split("http://")[1].split("/")[0].rpartition(":")[2])
