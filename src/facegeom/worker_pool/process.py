"""Start worker processes and call them; ``child`` is the worker's side."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, cast

from facegeom.errors import FacegeomError

_START_ATTEMPTS = 3
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerError(FacegeomError):
    """Worker processes do not start."""


class WorkerDiedError(Exception):
    """A worker process ended before its work was done."""


def start(factory: str, *arguments: object) -> "WorkerProcess":
    """Start a worker and wait until it is ready; arguments as for :class:`WorkerProcess`.

    Raises:
        FacegeomError: the factory rejects its arguments.
        WorkerError: three workers died before they were ready.
    """
    for earlier in range(_START_ATTEMPTS):
        try:
            return WorkerProcess(factory, *arguments)
        except WorkerDiedError as death:
            problem = f"{death} before it was ready, as {earlier} before it; see its messages above"
    raise WorkerError(problem)


class WorkerProcess:
    """A process that runs one worker.

    It is a fresh interpreter, so callers need no ``__main__`` guard. Its numeric libraries use one thread.

    Args:
        factory: "module:name" of the callable that makes the worker. The worker is called with the arguments
            of :meth:`call`, followed by a function that sends its argument to ``on_message``.
        arguments: of the factory.

    Raises:
        FacegeomError: the factory rejects its arguments.
        WorkerDiedError: the process ended.
    """

    def __init__(self, factory: str, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _program()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | dict.fromkeys(_THREAD_VARIABLES, "1"),
        )
        self._to_worker = cast("IO[bytes]", self._process.stdin)
        self._from_worker = cast("IO[bytes]", self._process.stdout)
        self._send((factory, arguments))
        kind, error = self._receive()
        if kind == "failed":
            self.end()
            raise error

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def call(self, *arguments: object, on_message: Callable[[Any], object] = lambda message: None) -> Any:
        """Call the worker and return its result; ``on_message`` gets each message sent before.

        Raises:
            WorkerDiedError: the worker died during the call.
        """
        self._send(arguments)
        while True:
            kind, value = self._receive()
            if kind == "result":
                return value
            on_message(value)

    def kill(self) -> None:
        """Kill the process from any thread; a thread waiting in :meth:`call` then gets a WorkerDiedError."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process, wait for its end and close the pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._to_worker, self._from_worker):
            with suppress(OSError):  # unsent data is lost with a dead process
                pipe.close()

    def _send(self, message: object) -> None:
        try:
            pickle.dump(message, self._to_worker, pickle.HIGHEST_PROTOCOL)
            self._to_worker.flush()
        except OSError as error:
            raise self._died() from error

    def _receive(self) -> Any:
        try:
            return pickle.load(self._from_worker)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._died() from error

    def _died(self) -> WorkerDiedError:
        """Clean up after a broken pipe and describe how the process ended."""
        with suppress(subprocess.TimeoutExpired):  # the pipe is closed but the process lives: end() kills it
            self._process.wait(5)
        code = self._process.poll()
        self.end()
        if code is None:
            how = "closed its pipe"
        else:
            how = f"ended by signal {-code}" if code < 0 else f"exited with {code}"
        return WorkerDiedError(f"a worker process (pid {self._process.pid}) {how}")


def _program() -> str:
    """Return the Python code that a worker runs, with this process's import path."""
    return f"import sys; sys.path[:] = {sys.path!r}; from facegeom.worker_pool.child import main; main()"
