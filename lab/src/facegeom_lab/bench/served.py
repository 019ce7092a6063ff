"""A service of its own process, as a user starts it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from threading import Event, Thread

from facegeom_lab.bench.proc import resident_mb
from facegeom_lab.bench.processes import ProcessError

_COMMAND = "from facegeom.cli import main; main()"  # what the console script does
_PATIENCE_S = 60

SAMPLES = 200
"""Looks at the memory in one run."""


@dataclass(frozen=True)
class Served:
    """A running service.

    Attributes:
        port: on 127.0.0.1.
        pid: of its process.
    """

    port: int
    pid: int

    def memory_mb(self) -> float | None:
        """Resident MB (10^6 bytes) now, its workers included; None without /proc."""
        return resident_mb(self.pid)


class Watch:
    """The memory of a service over time, by a thread of its own, for as long as the context lasts.

    Args:
        service: whose.
        pause_s: seconds between two looks.
    """

    def __init__(self, service: Served, pause_s: float) -> None:
        self._service, self._pause_s = service, pause_s
        self._megabytes: list[float] = []
        self._over = Event()
        self._thread = Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(self._pause_s):
            megabytes = self._service.memory_mb()
            if megabytes is not None:
                self._megabytes.append(megabytes)

    def early_mb(self) -> float | None:
        """Median of the second tenth, when all has been used once."""
        tenth = len(self._megabytes) // 10
        return median(self._megabytes[tenth : 2 * tenth]) if tenth else None

    def late_mb(self) -> float | None:
        """Median of the last tenth."""
        tenth = len(self._megabytes) // 10
        return median(self._megabytes[-tenth:]) if tenth else None


@contextmanager
def served(*options: str) -> Iterator[Served]:
    """``facegeom serve`` on a free port of this machine for as long as the context lasts.

    Args:
        options: further options of the command.

    Raises:
        ProcessError: it does not start, or does not end well.
    """
    command = (sys.executable, "-c", _COMMAND, "serve", "--port", "0", *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Served(_port(process), process.pid)
        finally:
            process.terminate()
            code = process.wait(_PATIENCE_S)
    if code:
        raise ProcessError(f"`facegeom serve` ended with the code {code}")


def _port(process: "subprocess.Popen[str]") -> int:
    """The port in the line with which the service starts."""
    assert process.stdout is not None  # it was asked for
    line = process.stdout.readline()
    if "http://" not in line:
        raise ProcessError("`facegeom serve` did not start; its output is above")
    return int(line.split("http://")[1].split("/")[0].rpartition(":")[2])
