"""Connections of the service: how many there are, how long they may be silent, how they end."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import Any

import h11
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from facegeom.serve.limits import RETRY_AFTER_S
from facegeom.serve.problems import MEDIA_TYPE, problem_json

MAX_CONNECTIONS = 512
"""Most connections; fewer where the process may open few files."""

OTHER_FILES = 200
"""Descriptors kept for everything else: the page's files, pipes, connections about to be closed."""

HEADERS_S = 10.0
"""Longest time for the header of a request, also for one that never begins, seconds."""

LINGER_S = 2.0
"""How long a refused body is read and dropped, so that its sender gets to read the response, seconds."""

FREE_CHUNKS, LEAST_CHUNK = 100, 256
"""Chunks of a body that may be of any size; the mean size of more, bytes."""

_DROPPED_AT_ONCE, _DROP_PAUSE_S = 1 << 20, 0.02


@dataclass
class Shared:
    """State that all connections share.

    Attributes:
        write_s: longest time for reading a response, seconds.
        drop_bytes: most bytes of a refused body that are read and dropped.
        headers: of every response that no route makes.
        new: connections whose first header is not whole yet, the longest waiting first.
        idle: connections without a request that had one before, the longest waiting first.
        limit: most connections.
    """

    write_s: float
    drop_bytes: int
    headers: Mapping[str, str]
    new: "dict[Connection, None]" = field(default_factory=dict)
    idle: "dict[Connection, None]" = field(default_factory=dict)
    limit: int = field(default_factory=lambda: min(MAX_CONNECTIONS, max(8, _open_files() - OTHER_FILES)))

    def response(self, status: int, detail: str) -> bytes:
        """Return a whole response with a problem, after which the connection closes."""
        body = problem_json(status, detail).encode()
        fields = {"Content-Type": MEDIA_TYPE, "Content-Length": len(body), "Connection": "close"}
        if status == 503:
            fields["Retry-After"] = RETRY_AFTER_S
        lines = [f"{name}: {value}" for name, value in {**fields, **self.headers}.items()]
        head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *lines, "", ""]
        return "\r\n".join(head).encode("latin-1") + body


def _open_files() -> int:
    """Return how many files this process may open."""
    if sys.platform == "win32":
        return 512  # that many sockets its event loop can watch
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class _Parser(h11.Connection):
    """h11's parser, which refuses a body in thousands of tiny chunks: each costs as much as a large one."""

    chunks = size = 0

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.chunks = self.size = 0
        elif isinstance(event, h11.Data):
            self.chunks += event.chunk_start
            self.size += len(event.data)
            if self.chunks > FREE_CHUNKS and self.size < self.chunks * LEAST_CHUNK:
                raise h11.RemoteProtocolError(f"expected chunks of {LEAST_CHUNK} bytes or more")
        return event


class _Transport:
    """A transport whose ``close`` is its connection's."""

    def __init__(self, transport: asyncio.Transport, connection: "Connection") -> None:
        self._transport, self.close = transport, connection.close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(H11Protocol):
    """One client's connection: uvicorn's, with limits.

    - Beyond the limit on connections, the one that has waited longest for its first header gives way to a new
      one, then the one that has waited longest for another; if every one is in a request, the new one gets
      status 503.
    - A header must be whole within ``HEADERS_S``; a response must be read within ``Shared.write_s``.
    - A response to a body that was not read closes the connection: the rest of the body is dropped for at
      most ``LINGER_S``. Closing at once would reset the connection before the client reads the response.
    - A client may end its side of the connection after a whole request: it still gets its response.
    """

    def __init__(self, shared: Shared, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self.conn = _Parser(h11.SERVER)
        self.app = partial(self._run, self.app)
        self._shared = shared
        self._waiting = shared.new  # where it stands while it has no request
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._dropped: int | None = None  # bytes, once the connection only drops what comes
        self._client_ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection if there is room for it."""
        super().connection_made(_Transport(transport, self))  # type: ignore[arg-type]
        if len(self.connections) > self._shared.limit:
            longest = next(chain(self._shared.new, self._shared.idle), None)
            if longest is None:
                detail = f"{self._shared.limit} clients are connected, as many as this service takes"
                transport.write(self._shared.response(503, f"{detail}; try again"))
                self.close(linger=len(self.connections) < self._shared.limit + OTHER_FILES // 2)
                return
            longest.abort()
        self._wait_for_header()

    def abort(self) -> None:
        """Close the connection at once."""
        self._waiting.pop(self, None)
        self.connections.discard(self)
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read a request, or drop the rest of a refused one."""
        if self._dropped is None:
            super().data_received(data)
            self._wait_for_header()
            return
        self._dropped += len(data)
        if self._dropped > self._shared.drop_bytes:
            self.abort()
        elif self._dropped > _DROPPED_AT_ONCE:
            self.flow.pause_reading()
            self.loop.call_later(_DROP_PAUSE_S, self._drop_more)

    def _drop_more(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Return whether to stay open though the client sends nothing more: until its request is answered."""
        self._client_ended = True
        return self.cycle is not None and not (self.cycle.more_body or self.cycle.response_complete)

    def _wait_for_header(self) -> None:
        """Start the time limit of a header while there is no request; end it when one is there."""
        in_request = self.cycle is not None and not self.cycle.response_complete
        if in_request or self._dropped is not None:
            self._waiting.pop(self, None)
            self._stop("header")
        elif self not in self._waiting:
            self._waiting[self] = None
            self._start("header", HEADERS_S)

    def _start(self, name: str, seconds: float) -> None:
        """Abort the connection after so many seconds, unless the timer is stopped."""
        if name not in self._timers:
            self._timers[name] = self.loop.call_later(seconds, self.abort)

    def _stop(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()

    def pause_writing(self) -> None:
        """Limit the time of a client that reads too slowly."""
        super().pause_writing()
        self._start("write", self._shared.write_s)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._stop("write")
        self._waiting.pop(self, None)
        self._waiting = self._shared.idle
        super().on_response_complete()
        self._wait_for_header()
        if self._client_ended and self.cycle.response_complete:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._waiting.pop(self, None)
        for name in list(self._timers):
            self._stop(name)
        super().connection_lost(exc)

    def close(self, linger: bool = True) -> None:
        """Close the connection when all is sent, and the client has stopped sending."""
        transport = self.transport._transport  # type: ignore[attr-defined]
        unread = self.cycle is None or self.cycle.more_body
        if transport.is_closing() or not unread or not linger or self._dropped is not None:
            transport.close()
            return
        self._dropped = 0
        self._wait_for_header()
        self._start("linger", LINGER_S)
        with suppress(OSError, RuntimeError):  # the client has gone
            transport.write_eof()
            self.flow.resume_reading()

    def shutdown(self) -> None:
        """Finish the request, or close at once if there is none."""
        if self.cycle is None or self._dropped is not None:
            self.abort()
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; ``msg`` is uvicorn's."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            detail = f"expected HTTP/1.1, the mean chunk at least {LEAST_CHUNK} bytes; got something else"
            self.transport.write(self._shared.response(400, detail))
            self.conn.send_failed()
        self.close()

    async def _run(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; announce the end of a connection whose body was not read."""
        started = False

        async def send_and_close(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if self.cycle.more_body:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        try:
            await app(scope, receive, send_and_close)
        except asyncio.CancelledError:  # the service stops
            if started:
                self.abort()
                await asyncio.sleep(0)  # connection_lost runs; uvicorn then expects no response
            else:
                body = problem_json(503, "the service is stopping; try again")
                response = Response(body, 503, self._shared.headers, MEDIA_TYPE)
                await response(scope, receive, send_and_close)
