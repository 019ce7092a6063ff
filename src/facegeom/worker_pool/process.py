"""Start worker processes and call them; ``child`` is the worker's side."""

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import IO, Any, TypeAlias, cast

from facegeom.errors import FacegeomError

_START_ATTEMPTS = 3
_START_LIMIT_S = 120.0
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
OnSpawn: TypeAlias = Callable[[Any], object] | None


class WorkerError(FacegeomError):
    """Worker processes do not start."""


class WorkerDiedError(Exception):
    """A worker process ended before its work was done."""


class WorkerOverdueError(WorkerDiedError):
    """A worker process was killed because it took too long."""


def start(factory: str, *arguments: object, on_spawn: OnSpawn = None) -> "WorkerProcess":
    """Start a worker and wait until it is ready; arguments as for :class:`WorkerProcess`.

    Raises:
        FacegeomError: the factory rejects its arguments.
        WorkerError: three workers died before they were ready.
    """
    for earlier in range(_START_ATTEMPTS):
        try:
            return WorkerProcess(factory, *arguments, on_spawn=on_spawn)
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
        on_spawn: called with this object before the worker is ready, so that another thread can kill it.

    Raises:
        FacegeomError: the factory rejects its arguments.
        WorkerDiedError: the process ended.
    """

    def __init__(self, factory: str, *arguments: object, on_spawn: OnSpawn = None) -> None:
        try:
            self._process, self._lifeline = _spawn()
        except OSError as error:  # no memory, no descriptor, no process left
            raise WorkerDiedError(f"a worker process cannot be made ({error})") from error
        self._to_worker = cast("IO[bytes]", self._process.stdin)
        self._from_worker = cast("IO[bytes]", self._process.stdout)
        if on_spawn:
            on_spawn(self)
        with Deadline(self, _START_LIMIT_S):
            self._send((factory, arguments))
            kind, refusal = self._receive()
        if kind == "failed":
            self.end()
            raise refusal

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def call(
        self,
        *arguments: object,
        on_message: Callable[[Any], object] = lambda message: None,
        limit_s: float | None = None,
    ) -> Any:
        """Call the worker and return its result; ``on_message`` gets each message sent before.

        Args:
            arguments: of the worker.
            on_message: called in this thread.
            limit_s: seconds without a message or the result after which the process is killed; None for no
                limit.

        Raises:
            WorkerOverdueError: the worker was killed after ``limit_s``.
            WorkerDiedError: the worker died during the call.
        """
        with Deadline(self, limit_s) as deadline:
            self._send(arguments)
            while True:
                kind, value = self._receive()
                if kind == "result":
                    return value
                deadline.extend()
                on_message(value)

    def kill(self) -> None:
        """Kill the process from any thread; a thread waiting in :meth:`call` then gets a WorkerDiedError."""
        self._process.kill()

    def end(self, ask: int | None = None) -> None:
        """Kill the process, wait for its end and close the pipes.

        Args:
            ask: signal that is sent first; the process then has five seconds to end by itself.
        """
        if ask is not None:
            with suppress(subprocess.TimeoutExpired, OSError, ValueError):  # Windows knows no SIGINT for it
                self._process.send_signal(ask)
                self._process.wait(5)
        self._process.kill()
        self._process.wait()
        for pipe in (self._to_worker, self._from_worker):
            with suppress(OSError):  # unsent data is lost with a dead process
                pipe.close()
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)

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


def _spawn() -> "tuple[subprocess.Popen[bytes], int]":
    """Start the process; return it, and the end of a pipe with which it lives and dies."""
    lifeline, ours = os.pipe()  # closes with this process, however that ends
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _program(), str(lifeline)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | dict.fromkeys(_THREAD_VARIABLES, "1"),
            pass_fds=[lifeline] if os.name == "posix" else (),
        )
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(lifeline)
    return process, ours


class Deadline:
    """Call ``worker.kill()`` when the context lasts longer than ``limit_s`` seconds.

    A WorkerDiedError that follows becomes a WorkerOverdueError.
    """

    def __init__(self, worker: Any, limit_s: float | None) -> None:
        self._worker, self._limit_s = worker, limit_s
        self._ended, self._overdue = Event(), False

    def extend(self) -> None:
        """Begin to count anew."""
        self._since = time.monotonic()

    def __enter__(self) -> "Deadline":
        self.extend()
        if self._limit_s is not None:
            Thread(target=self._watch, args=(self._limit_s,), name="facegeom-deadline", daemon=True).start()
        return self

    def _watch(self, limit_s: float) -> None:
        while not self._ended.wait(self._since + limit_s - time.monotonic()):
            if time.monotonic() >= self._since + limit_s:
                self._overdue = True
                self._worker.kill()
                return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._ended.set()
        if self._overdue and isinstance(error, WorkerDiedError):
            raise WorkerOverdueError(f"{error} after {self._limit_s:g} s, its limit") from error


def _program() -> str:
    """Return the Python code that a worker runs, with this process's import path."""
    calm = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # Ctrl-C is the parent's
    return f"{calm}; sys.path[:] = {sys.path!r}; from facegeom.worker_pool.child import main; main()"
