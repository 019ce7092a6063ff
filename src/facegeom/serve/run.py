"""Running the application in a server."""

import signal
import socket
from collections.abc import Sequence

import uvicorn

from facegeom.errors import InputError
from facegeom.serve.app import Application
from facegeom.serve.settings import Settings
from facegeom.serve.work import Work


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Args:
        host: name or address.
        port: 0 for a free one.

    Raises:
        InputError: the address is taken, or not of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise InputError(
            f"cannot listen at {host}, port {port}: {error.strerror}; choose another --host or --port"
        ) from error


def run(crew: Sequence[Work], settings: Settings, door: socket.socket) -> None:
    """Serve until the process is told to stop; what is in work then is finished.

    Args:
        crew: the workers, as :class:`~facegeom.serve.service.Service` has them.
        settings: limits.
        door: a listening socket.
    """
    config = uvicorn.Config(
        Application(crew, settings),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=int(settings.timeout_s) + 1,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _over)
    uvicorn.Server(config).run(sockets=[door])


def _over(number: int, frame: object) -> None:
    """The server takes the signals while it runs, and raises them again when all is finished."""
