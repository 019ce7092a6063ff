"""One run at a time in a folder. The lock goes with its process, however that ends."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facegeom.errors import InputError, OutputError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process.

    Where the system has no ``flock`` nothing is held; two runs then do the same work twice, no more.

    Raises:
        InputError: another process holds it.
        OutputError: the folder cannot be written.
    """
    path = folder / ".lock"
    try:
        stream = path.open("wb")
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    with stream:
        if sys.platform != "win32":
            _hold(stream.fileno(), folder)
        yield


def _hold(descriptor: int, folder: Path) -> None:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(f"another run is working on {str(folder)!r}; wait for it, or stop it") from error
