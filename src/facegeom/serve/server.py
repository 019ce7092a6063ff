"""The server: it listens, runs the application, and ends within seconds."""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from functools import partial
from threading import Timer
from types import FrameType

import uvicorn

from facegeom.errors import InputError
from facegeom.serve.app import Application
from facegeom.serve.connections import Connection, Shared
from facegeom.serve.limits import Settings
from facegeom.serve.work import TaskFunction

STOP_S, END_S = 3, 6.0
"""Seconds that requests in work have to end after SIGTERM; seconds until the process ends in any case."""

_BACKLOG, _ACCEPTED_AT_ONCE = 1024, 8
_SWITCH_S = 5e-4
"""How long a thread that reads a header may hold the interpreter while the event loop waits for it."""

_LOG_BURST, _LOG_PER_S = 20, 1.0


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at a name or address; port 0 is a free one.

    Raises:
        InputError: the address is in use, or not of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InputError(
            f"cannot listen at {host}, port {port}: {error.strerror}; choose another --host or --port"
        ) from error


def run(workers: Sequence[TaskFunction], settings: Settings, listener: socket.socket) -> None:
    """Serve at a listening socket until SIGINT or SIGTERM; requests in work get ``STOP_S`` to end."""
    sys.setswitchinterval(_SWITCH_S)
    app = Application(workers, settings)
    shared = Shared(settings.timeout_s, settings.max_bytes, app.security_headers)
    config = uvicorn.Config(
        app,
        http=partial(Connection, shared),  # type: ignore[arg-type]  # called as the class would be
        backlog=_ACCEPTED_AT_ONCE,  # more, accepted before any is closed, could use up the descriptors
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=STOP_S,
    )
    handler = logging.StreamHandler()
    handler.addFilter(LogRate())
    logging.basicConfig(format="%(levelname)s: %(message)s", handlers=[handler])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ignore)  # uvicorn handles the signals, and raises them again when it has ended
    _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or []:
            each.listen(_BACKLOG)  # uvicorn's backlog is also how many are accepted at once

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        timer = Timer(END_S, os._exit, [1])  # whatever the event loop and the threads do; workers end with it
        timer.daemon = True
        timer.start()


class LogRate(logging.Filter):
    """Limit of a log: ``_LOG_BURST`` records, then one a second; the next tells how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._left, self._since, self._omitted = float(_LOG_BURST), time.monotonic(), 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record may be written."""
        now = time.monotonic()
        self._left = min(_LOG_BURST, self._left + (now - self._since) * _LOG_PER_S)
        self._since = now
        if self._left < 1:
            self._omitted += 1
            return False
        self._left -= 1
        if self._omitted:
            record.msg, record.args = f"{record.getMessage()} ({self._omitted} messages before left out)", ()
            self._omitted = 0
        return True


def _ignore(number: int, frame: object) -> None:
    """Ignore a signal."""
