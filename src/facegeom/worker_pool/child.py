"""Main loop of a worker process; the parent's side is ``process``.

The two sides exchange pickles over the worker's standard input and output. The parent first sends the name
of a factory and its arguments; the worker replies ``("ready", None)`` or ``("failed", error)``. Each
further tuple from the parent is one call: the worker sends any number of ``("message", value)`` and one
``("result", value)``. The worker exits when its input closes. On Linux the kernel ends it with its parent,
whatever it computes: the parent holds the other end of a pipe, the lifeline.
"""

import os
import pickle
import select
import signal
import sys
from functools import partial
from pkgutil import resolve_name
from typing import IO, Any

from facegeom.errors import FacegeomError


def main() -> None:
    """Serve calls until the input closes."""
    if sys.platform == "linux":
        _end_with_parent(int(sys.argv[1]))
    output = _claim_stdout()
    try:
        _serve(sys.stdin.buffer, output)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())  # closing a broken pipe would fail again


def _end_with_parent(lifeline: int) -> None:
    """Have SIGIO end this process when the pipe closes: a decoder may hold the interpreter for minutes."""
    import fcntl

    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_RDONLY | os.O_ASYNC)
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    if poll.poll(0):
        os._exit(1)  # the parent ended before


def _claim_stdout() -> IO[bytes]:
    """Return the pipe to the parent, and send whatever else is printed to standard error."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return output


def _serve(calls: IO[bytes], output: IO[bytes]) -> None:
    first = _read(calls)
    if first is None:
        return
    factory, arguments = first
    try:
        worker = resolve_name(factory)(*arguments)
    except FacegeomError as error:
        _send(output, "failed", error)
        return
    _send(output, "ready", None)
    report = partial(_send, output, "message")
    while (call := _read(calls)) is not None:
        _send(output, "result", worker(*call, report))


def _read(calls: IO[bytes]) -> tuple[Any, ...] | None:
    """Return the parent's next tuple; None if the parent closed the pipe, or ended while it wrote."""
    try:
        return pickle.load(calls)  # type: ignore[no-any-return]
    except (EOFError, pickle.UnpicklingError):
        return None


def _send(output: IO[bytes], kind: str, value: object) -> None:
    pickle.dump((kind, value), output, pickle.HIGHEST_PROTOCOL)
    output.flush()
