"""The driver's end of a worker process; the other is ``child``."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from facegeom.errors import FacegeomError

_STARTS = 3
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerError(FacegeomError):
    """Worker processes do not start."""


class DiedError(Exception):
    """A worker process ended before its work did."""


def start(maker: str, *arguments: object) -> "WorkerProcess":
    """A worker that is ready; arguments as for :class:`WorkerProcess`.

    Raises:
        FacegeomError: the worker's maker refuses its arguments.
        WorkerError: three workers died before they were ready.
    """
    deaths: list[DiedError] = []
    while len(deaths) < _STARTS:
        try:
            return WorkerProcess(maker, *arguments)
        except DiedError as death:
            deaths.append(death)
    raise WorkerError(f"{deaths[-1]} before it was ready, as {_STARTS - 1} before it; see its messages above")


class WorkerProcess:
    """A process with one worker. A fresh interpreter, so callers need no ``__main__`` guard.

    Args:
        maker: "module:name" of what makes the worker there; a worker is called with the arguments of
            :meth:`call` and, after them, a function whose argument it has told to the caller.
        arguments: of the maker.

    Raises:
        FacegeomError: the maker refuses its arguments.
        DiedError: the process ended.
    """

    def __init__(self, maker: str, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _program()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | dict.fromkeys(_THREADS, "1"),
        )
        self._send((maker, arguments))
        word, error = self._receive()
        if word == "failed":
            self.end()
            raise error

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def call(self, *arguments: object, told: Callable[[Any], object] = lambda what: None) -> Any:
        """Call the worker.

        Args:
            arguments: of the call.
            told: called with what the worker says on the way.

        Returns:
            What the worker returns.

        Raises:
            DiedError: the worker died on the way.
        """
        self._send(arguments)
        while True:
            word, what = self._receive()
            if word == "done":
                return what
            told(what)

    def kill(self) -> None:
        """Make it end, from any thread; the thread that uses it then gets a DiedError."""
        self._process.kill()

    def end(self) -> None:
        """Kill it, wait for its end and close the pipes."""
        self._process.kill()
        self._process.wait()
        self.close_pipes()

    def close_pipes(self) -> None:
        """Leave it alone: it then ends by itself."""
        for pipe in self._pipes():
            with suppress(OSError):  # what it had not read is lost with it
                pipe.close()

    def wait(self, seconds: float) -> int:
        """Its exit code, once it has ended; subprocess.TimeoutExpired when it does not in time."""
        return self._process.wait(seconds)

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        inbox, outbox = self._process.stdin, self._process.stdout
        if inbox is None or outbox is None:
            raise WorkerError("a worker process was started without pipes")
        return inbox, outbox

    def _send(self, message: object) -> None:
        inbox, _ = self._pipes()
        try:
            pickle.dump(message, inbox, pickle.HIGHEST_PROTOCOL)
            inbox.flush()
        except OSError as error:
            raise self._died() from error

    def _receive(self) -> Any:
        _, outbox = self._pipes()
        try:
            return pickle.load(outbox)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._died() from error

    def _died(self) -> DiedError:
        with suppress(subprocess.TimeoutExpired):  # it closed its pipe but goes on: end() kills it
            self._process.wait(5)
        code = self._process.poll()
        self.end()
        how = (
            "closed its pipe"
            if code is None
            else f"ended by signal {-code}"
            if code < 0
            else f"exited with {code}"
        )
        return DiedError(f"a worker process (pid {self._process.pid}) {how}")


def _program() -> str:
    """Python code of a worker that imports what this process would."""
    return f"import sys; sys.path[:] = {sys.path!r}; from facegeom.worker_pool.child import main; main()"
