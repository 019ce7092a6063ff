"""``python -m facegeom.batch.worker``: a worker process of the local engine.

It speaks pickles over its standard input and output: settings in, ("ready", None) or ("failed", error) out;
then for each (job, places to skip) that comes in, (place, None) for each photo that it begins, and (None,
bytes) of the part's file. Where nobody reads that it ends, so it outlives its driver by one photo at most.
"""

import os
import pickle
import signal
import sys
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
    from facegeom.batch.work import Worker  # after the signals are set: this takes a moment

    try:
        worker = Worker(pickle.load(inbox))
    except FacegeomError as error:
        _send(outbox, ("failed", error))
        return
    _send(outbox, ("ready", None))
    while (order := _receive(inbox)) is not None:
        job, skip = order
        _send(outbox, (None, worker(job, skip, lambda place: _send(outbox, (place, None)))))


def _receive(inbox: IO[bytes]) -> Any:
    try:
        return pickle.load(inbox)
    except EOFError:
        return None


def _send(outbox: IO[bytes], message: object) -> None:
    pickle.dump(message, outbox)
    outbox.flush()


if __name__ == "__main__":
    main()
