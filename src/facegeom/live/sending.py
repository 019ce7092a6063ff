"""Where frames are sent: URLs of receivers, and their sockets."""

import re
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from facegeom.errors import InputError
from facegeom.live.protocols import SCHEMES, LiveFrame, Scheme

_PATH = re.compile(r"[A-Za-z0-9_.~/-]{0,64}")


@dataclass(eq=False)
class Target:
    """A receiver. Get one from :meth:`open`.

    Attributes:
        url: as it was given.
        packets: datagrams that were sent.
        lost: datagrams that the system refused to send.
        fault: why the last one of these was refused.
    """

    url: str
    _scheme: Scheme
    _path: str
    _socket: socket.socket
    _address: Any
    packets: int = 0
    lost: int = 0
    fault: str | None = None

    @classmethod
    def open(cls, url: str) -> "Target":
        """Look up a receiver and open a socket to it.

        Args:
            url: ``vmc://HOST[:PORT]``, ``livelink://HOST[:PORT][/SUBJECT]``, ``osc://HOST:PORT[/PREFIX]`` or
                ``json://HOST:PORT``.

        Raises:
            InputError: another scheme, no host, a host that is not known, or a port out of its range.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise InputError(f"expected a URL with a port from 1 to 65535, got {url!r}: {error}") from error
        scheme = SCHEMES.get(parts.scheme)
        if scheme is None or not host:
            forms = ", ".join(f"{name}://HOST:PORT" for name in SCHEMES)
            raise InputError(f"expected a receiver as one of {forms}, got {url!r}")
        if not (port := scheme.port if port is None else port):
            raise InputError(f"expected a port from 1 to 65535, as {parts.scheme}://{host}:9000, got {url!r}")
        path = parts.path.strip("/")
        strange = parts.query or parts.fragment or parts.username or not _PATH.fullmatch(path)
        if strange or (path and scheme.path is None):
            raise InputError(f"expected {parts.scheme}://{host}:{port} without more, got {url!r}")
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"cannot find the host {host!r} of {url!r}: {reason}; check its name") from error
        # receivers mostly listen on IPv4, while "localhost" may be ::1 first
        family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        sender = socket.socket(family, socket.SOCK_DGRAM)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        return cls(url, scheme, path or scheme.path or "", sender, address)

    def send(self, frame: LiveFrame) -> None:
        """Send a frame; count what the system refuses, as without a network, and go on."""
        for datagram in self._scheme.encode(frame, self._path):
            try:
                self._socket.sendto(datagram, self._address)
                self.packets += 1
            except OSError as error:
                self.lost, self.fault = self.lost + 1, error.strerror or str(error)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
