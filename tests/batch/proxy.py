"""An S3 server (moto) behind a proxy that counts what is fetched and fails as it is told, by counts alone."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest
from moto.server import ThreadedMotoServer

BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
STUMBLES = ("busy", "reset", "cut")


@dataclass
class Store:
    """What the proxy knows, and how it fails.

    Attributes:
        server: host and port of the S3 server behind.
        url: of the proxy.
        fault: called with the method, the key ("" for a list) and how often it was asked for; returns what
            goes wrong: None, "busy", "reset", or "cut" (the body ends early).
        asked: number of requests for each method and key.
        faults: number of faults of each kind.
        fetched: bytes of the bodies of each key.
    """

    server: tuple[str, int]
    url: str = ""
    fault: Callable[[str, str, int], str | None] = lambda method, key, times: None
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: Counter[str | None] = field(default_factory=Counter)
    fetched: Counter[str] = field(default_factory=Counter)

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Ask the server itself."""
        connection = http.client.HTTPConnection(*self.server)
        connection.request(method, path, body, {"Host": "127.0.0.1"})
        answer = connection.getresponse()
        assert answer.status < 300, (method, path, answer.status)
        return answer.read()

    def put(self, key: str, content: bytes) -> None:
        """Store an object."""
        self.request("PUT", f"/lake/{key}", content)


class Handler(BaseHTTPRequestHandler):
    """Pass requests on, or fail."""

    protocol_version = "HTTP/1.1"

    def __init__(self, store: Store, lock: threading.Lock, *connection: object) -> None:
        self.store, self.lock = store, lock
        super().__init__(*connection)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self) -> None:
        """Answer a request of any method."""
        body = self._body()
        key = unquote(urlsplit(self.path).path).removeprefix("/lake").lstrip("/")
        with self.lock:
            self.store.asked[self.command, key] += 1
            fault = self.store.fault(self.command, key, self.store.asked[self.command, key])
            self.store.faults[fault] += 1
        if fault == "reset":
            self.close_connection = True
            return
        if fault == "busy":
            self._send(503, {}, BUSY, len(BUSY))
            return
        connection = http.client.HTTPConnection(*self.store.server)
        ours = {
            "connection",
            "transfer-encoding",
            "content-length",
            "te",
            "expect",
            "x-amz-decoded-content-length",
        }
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ours}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content, size = answer.read(), int(answer.headers.get("Content-Length") or 0)
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in ours}
        with self.lock:
            self.store.fetched[key] += len(content) if self.command == "GET" else 0
        if fault == "cut" and content:
            self.close_connection = True
            content = content[: len(content) // 2]
        self._send(answer.status, kept, content, size)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return b"".join(iter(self._chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().partition(b";")[0], 16)
        content = self.rfile.read(size)
        self.rfile.readline()
        return content

    def _send(self, code: int, headers: dict[str, str], body: bytes, size: int) -> None:
        self.send_response_only(code)
        for name, value in (headers | {"Content-Length": str(size)}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


for _method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
    setattr(Handler, f"do_{_method}", Handler.answer)


@contextmanager
def moto_behind_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Start both with the bucket ``lake``, and have every driver of S3 use the proxy."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    store = Store(moto.get_host_and_port())
    store.request("POST", "/moto-api/reset")
    store.request("PUT", "/lake")
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, store, threading.Lock()))
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    store.url = f"http://127.0.0.1:{proxy.server_port}"
    for name, value in {
        "AWS_ENDPOINT_URL": store.url,
        "AWS_ACCESS_KEY_ID": "user",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    yield store
    proxy.shutdown()
    proxy.server_close()
    moto.stop()
