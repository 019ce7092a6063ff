"""What runs in a worker process.

It speaks pickles over its standard input and output: the worker's maker and its arguments in, ("ready", None)
or ("failed", error) out; then for each tuple of arguments that comes in, ("told", what) for what the worker
has to say on the way, and ("done", answer). It ends where its input ends, so it outlives its driver by one
call at most.
"""

import os
import pickle
import signal
import sys
from functools import partial
from pkgutil import resolve_name
from typing import IO, Any

from facegeom.errors import FacegeomError


def main() -> None:
    """Work until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the driver, which ends the workers
    outbox = _private_output()
    try:
        _serve(sys.stdin.buffer, outbox)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), outbox.fileno())  # else closing it would fail once more


def _private_output() -> IO[bytes]:
    """The pipe to the driver; what others print goes to standard error instead."""
    outbox = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return outbox


def _serve(inbox: IO[bytes], outbox: IO[bytes]) -> None:
    maker, arguments = pickle.load(inbox)
    try:
        worker = resolve_name(maker)(*arguments)
    except FacegeomError as error:
        _send(outbox, "failed", error)
        return
    _send(outbox, "ready", None)
    tell = partial(_send, outbox, "told")
    while (call := _receive(inbox)) is not None:
        _send(outbox, "done", worker(*call, tell))


def _receive(inbox: IO[bytes]) -> Any:
    try:
        return pickle.load(inbox)
    except EOFError:
        return None


def _send(outbox: IO[bytes], word: str, what: object) -> None:
    pickle.dump((word, what), outbox, pickle.HIGHEST_PROTOCOL)
    outbox.flush()
