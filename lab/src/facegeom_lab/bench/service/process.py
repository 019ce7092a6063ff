"""Start ``facegeom serve`` in a process of its own, and watch its memory."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from threading import Event, Thread

from facegeom_lab.bench.speed.processes import CONSOLE_SCRIPT, ProcessError, resident_mb

SAMPLES = 200
"""Memory samples in one run."""

_STOP_TIMEOUT_S = 60


@dataclass(frozen=True)
class Service:
    """A running service.

    Attributes:
        port: on 127.0.0.1.
        pid: of its main process.
    """

    port: int
    pid: int

    def memory_mb(self) -> float | None:
        """Return the resident MB (10^6 bytes) now, workers included; None without /proc."""
        return resident_mb(self.pid)


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

    def late_mb(self) -> float | None:
        """Return the median of the last tenth of the samples."""
        tenth = len(self._megabytes) // 10
        return median(self._megabytes[-tenth:]) if tenth else None


@contextmanager
def running_service(*options: str) -> Iterator[Service]:
    """Run ``facegeom serve`` on a free port of this machine while the context lasts.

    Args:
        options: further options of the command.

    Raises:
        ProcessError: it does not start, or ends with an error.
    """
    command = (sys.executable, "-c", CONSOLE_SCRIPT, "serve", "--port", "0", *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Service(_port(process), process.pid)
        finally:
            process.terminate()
            code = process.wait(_STOP_TIMEOUT_S)
    if code:
        raise ProcessError(f"`facegeom serve` ended with exit code {code}")


def _port(process: "subprocess.Popen[str]") -> int:
    """Read the port from the first line that the service prints."""
    assert process.stdout is not None  # it was asked for
    line = process.stdout.readline()
    if "http://" not in line:
        raise ProcessError("`facegeom serve` did not start; its output is above")
    return int(line.split("http://")[1].split("/")[0].rpartition(":")[2])
