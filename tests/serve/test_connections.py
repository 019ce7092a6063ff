"""Connections over real sockets: their number, silent and slow clients, refusals, broken requests."""

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import uvicorn

from facegeom.serve import connections, uploads
from facegeom.serve.app import Application
from facegeom.serve.connections import Connection, Shared
from facegeom.serve.limits import HeldBytes, Settings
from facegeom.serve.server import LogRate, listen
from facegeom.serve.work import EncodedFaces, Result, Task

HEAD = b"POST /v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
HANG_S = 60.0
"""Nothing takes that long unless a test has failed."""


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


class Server:
    """A service on a free port whose only worker answers each photo with ``body``."""

    def __init__(self, **settings: Any) -> None:
        self.body = b"{}"
        self.settings = Settings(**{"wait_s": 60, **settings})
        self.app = Application([self._work], self.settings)
        limits = self.settings.timeout_s, self.settings.max_bytes
        self.shared = Shared(*limits, self.app.security_headers)
        self._listener = listen("127.0.0.1", 0)
        self.port = self._listener.getsockname()[1]
        config = uvicorn.Config(
            self.app, http=partial(Connection, self.shared), log_level="critical", ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))
        self._thread.start()
        until(lambda: self._server.started)

    def _work(self, tasks: Sequence[Task]) -> list[Result]:
        return [EncodedFaces(self.body, 0) for _ in tasks]

    def open(self, *pieces: bytes) -> socket.socket:
        """Connect and send."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=HANG_S)
        for piece in pieces:
            client.sendall(piece)
        return client

    def health(self) -> int:
        """Return the status code for another client."""
        with self.open(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n") as client:
            return answer(client).status

    def close(self) -> None:
        """Stop the service."""
        self._server.should_exit = True
        self._thread.join(HANG_S)
        assert not self._thread.is_alive()


class Answer:
    """Status, headers and body of a response, read until the connection closes."""

    def __init__(self, client: socket.socket) -> None:
        response = http.client.HTTPResponse(client)
        response.begin()
        self.status, self.headers = response.status, response.headers
        self.body = response.read()

    def detail(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in self.headers["content-security-policy"]
        return str(json.loads(self.body)["detail"])


answer = Answer


def is_closed(client: socket.socket) -> bool:
    """Wait until the service closes the connection."""
    with suppress(ConnectionError):
        while client.recv(1 << 16):
            pass
    return True


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(**settings: Any) -> Server:
        servers.append(Server(**settings))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def test_head_is_answered_like_get_without_a_body(start: Callable[..., Server]) -> None:
    server = start()
    for path in ("/v1/health", "/", "/static/style.css"):
        request = f" {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        with server.open(b"GET" + request) as client:
            whole = b"".join(iter(lambda: client.recv(65536), b""))
        with server.open(b"HEAD" + request) as client:
            head = b"".join(iter(lambda: client.recv(65536), b""))
        assert head.startswith(b"HTTP/1.1 200 ") and head.endswith(b"\r\n\r\n")
        assert whole.partition(b"\r\n\r\n")[2] and whole.startswith(head.partition(b"\r\n")[0])


def test_who_ends_its_side_after_a_whole_request_is_answered(start: Callable[..., Server]) -> None:
    request = HEAD + f"Content-Length: {len(GIF)}\r\n\r\n".encode() + GIF
    server = start()
    for sent, answers in ((request, 1), (2 * request, 2), (request + HEAD, 1), (request[:-1], 0)):
        with server.open(sent) as client:
            client.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: client.recv(65536), b""))
        assert received.count(b"HTTP/1.1 200 ") == received.count(b"HTTP/1.1 ") == answers
    until(lambda: not server.shared.idle and not server.shared.new)


def test_headers_that_never_end(start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 0.2)
    server = start()
    begun = [server.open(), server.open(b"POST /v1/ana"), server.open(HEAD)]
    second = server.open(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert answer(second).status == 200
    second.sendall(b"GET /v1/he")
    assert all(map(is_closed, [*begun, second]))
    assert not (server.shared.new or server.shared.idle)


def test_beyond_the_cap_who_waits_longest_gives_way(start: Callable[..., Server]) -> None:
    server = start()
    server.shared.limit = 3
    waiting = [server.open(b"POST /v1/ana") for _ in range(3)]
    assert server.health() == 200 and is_closed(waiting[0])
    assert len(server._server.server_state.connections) <= 3
    for client in waiting:
        client.close()


def test_who_had_an_answer_stays_before_who_never_ends_a_header(start: Callable[..., Server]) -> None:
    server = start()
    server.shared.limit = 3
    known = server.open(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    response = http.client.HTTPResponse(known)
    response.begin()
    assert response.status == 200 and response.read()
    newcomers = [server.open(b"POST /v1/ana") for _ in range(4)]
    assert is_closed(newcomers[0]) and is_closed(newcomers[1])
    known.sendall(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert answer(known).status == 200
    for client in newcomers:
        client.close()


def test_beyond_the_cap_of_busy_connections(start: Callable[..., Server]) -> None:
    server = start()
    server.shared.limit = 2
    busy = [server.open(HEAD, b"Content-Length: 9\r\n\r\nb") for _ in range(2)]
    until(lambda: len(server.app.service.uploads._reading) == 2)
    refused = answer(server.open(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
    assert refused.status == 503 and "2 clients are connected" in refused.detail()
    assert refused.headers["retry-after"] == "1" and refused.headers["connection"] == "close"
    for client in busy:
        client.close()


def test_uploads_of_one_byte_take_no_slot(start: Callable[..., Server]) -> None:
    server = start(queue=1)
    slow = [server.open(HEAD, b"Content-Length: 99\r\n\r\nb") for _ in range(70)]
    until(lambda: len(server.app.service.uploads._reading) == 70)
    with server.open(HEAD, b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(GIF), GIF) as client:
        assert answer(client).status == 200
    for client in slow:
        client.close()


def test_an_upload_waits_for_room(start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    server = start()
    tried: list[int] = []
    hold = server.app.service.uploads._hold

    def hold_when_others_have_gone(held: HeldBytes, size: int) -> None:
        server.app.service.bytes.taken = 0 if tried else server.app.service.bytes.limit
        tried.append(size)
        hold(held, size)

    monkeypatch.setattr(server.app.service.uploads, "_hold", hold_when_others_have_gone)
    with server.open(HEAD, b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(GIF), GIF) as client:
        assert answer(client).status == 200
    assert tried[:2] == [len(GIF)] * 2


def test_an_upload_below_the_least_rate(
    start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "GRACE_S", 0.1)
    with start().open(HEAD, b"Content-Length: 99\r\n\r\nb") as client:
        refused = answer(client)
    assert refused.status == 408 and "expected at least 10,000 bytes a second, got" in refused.detail()


def test_the_slowest_upload_gives_way(start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 2)
    monkeypatch.setattr(uploads, "_SETTLED_S", 0.0)
    server = start()
    fast, slow = (server.open(HEAD, b"Content-Length: 99\r\n\r\n" + b"b" * size) for size in (50, 1))
    until(lambda: len(server.app.service.uploads._reading) == 2)
    with server.open(HEAD, b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(GIF), GIF) as client:
        assert answer(client).status == 200
    refused = answer(slow)
    assert refused.status == 503 and "2 uploads are in work" in refused.detail()
    fast.sendall(bytes(49))
    assert answer(fast).status == 422


def test_a_refused_body_is_read_within_bounds(
    start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body without a length, of which no end is in sight."""
    monkeypatch.setattr(connections, "LINGER_S", HANG_S)
    server, sent, chunk = start(max_bytes=100_000), 0, b"8000\r\n" + bytes(0x8000) + b"\r\n"
    with server.open(HEAD, b"Transfer-Encoding: chunked\r\n\r\n") as client, suppress(ConnectionError):
        while sent < 100_000_000:
            client.sendall(chunk)
            sent += len(chunk)
    assert sent < 50_000_000  # what the system's buffers hold, and twice 100,000 bytes
    assert server.app.service.bytes.taken == 0 and server.health() == 200


@pytest.mark.parametrize("declared", [True, False])
def test_who_sends_all_before_reading_gets_the_refusal(start: Callable[..., Server], declared: bool) -> None:
    server, body = start(max_bytes=3_000_000), bytes(4_000_000)
    framed = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    head = b"Content-Length: %d\r\n\r\n" % len(body) if declared else b"Transfer-Encoding: chunked\r\n\r\n"
    with server.open(HEAD, head, body[:2_500_000] if declared else framed[:2_500_000]) as client:
        client.sendall((body if declared else framed)[2_500_000:3_500_000])
        refused = answer(client)
    assert refused.status == 413 and "at most 3,000,000 bytes" in refused.detail()
    assert refused.headers["connection"] == "close"


def test_chunks_of_one_byte(start: Callable[..., Server]) -> None:
    with start().open(HEAD, b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1100) as client:
        refused = answer(client)
    assert refused.status == 400 and "the mean chunk at least 256 bytes" in refused.detail()


def test_what_is_no_http(start: Callable[..., Server]) -> None:
    server = start()
    for words in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost"):
        with server.open(words + b"\r\n\r\n") as client:
            refused = answer(client)
        assert refused.status == 400 and "expected HTTP/1.1" in refused.detail()


def test_a_response_that_nobody_reads(start: Callable[..., Server]) -> None:
    server = start(timeout_s=1)
    server.body = bytes(30_000_000)
    client = server.open(HEAD, b"Content-Length: %d\r\n\r\n" % len(GIF), GIF)
    until(lambda: server.app.service.bytes.taken >= 30_000_000)
    until(lambda: not server.app.service.bytes.taken)  # the connection has been closed
    server.body = b"{}"
    assert server.health() == 200 and len(server._server.server_state.connections) <= 1
    client.close()


def test_the_log_is_bounded(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, now = LogRate(), 0.0
    monkeypatch.setattr("facegeom.serve.server.time.monotonic", lambda: now)
    limit._since = now
    records = [logging.LogRecord("x", logging.ERROR, "", 0, "no %s", ("files",), None) for _ in range(1000)]
    assert sum(map(limit.filter, records)) == 20
    now = 1.5
    record = logging.LogRecord("x", logging.ERROR, "", 0, "no %s", ("files",), None)
    assert limit.filter(record) and record.getMessage() == "no files (980 messages before left out)"
    assert not limit.filter(records[0])
