"""A small read-only server of the S3 protocol for a folder: each request late, some failing, all counted.

It runs as a process of its own, beside what is measured. It knows what a reader needs: lists, sizes, whole
objects and ranges.
"""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

COUNTS = "/-/counts"
"""Path that is no object: what was asked for so far."""

_PAGE = 1000
_BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_MISSING = b"<Error><Code>NoSuchKey</Code><Message>The key does not exist.</Message></Error>"
_FAULTS = ("busy", "reset", "cut")


class Store:
    """The server's process; entering starts it and has every driver of S3 use it.

    Args:
        root: each folder below is a bucket.
        delay_ms: before each answer.
        fault_every: every so many-th request fails: busy, reset and cut by turns; 0 for none.
    """

    def __init__(self, root: Path, delay_ms: float = 0, fault_every: int = 0) -> None:
        self._arguments = [str(root), str(delay_ms), str(fault_every)]
        self._port, self._environment = 0, dict[str, str | None]()

    def __enter__(self) -> "Store":
        self.start()
        wanted = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ACCESS_KEY_ID": "user",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self._environment = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        for name, value in self._environment.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value

    def start(self) -> None:
        """Start the server, again on the port that it had."""
        command = [sys.executable, "-m", "facegeom_lab.bench.batch.s3", *self._arguments, str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self._port = int(self._process.stdout.readline())

    def stop(self) -> None:
        """End the server: connections are broken, and new ones refused."""
        self._process.kill()
        self._process.communicate()

    def counts(self) -> tuple[Counter[str], Counter[str]]:
        """Return the requests and the bytes of bodies by key since the last call; lists have the key ""."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        connection.request("GET", COUNTS)
        requests, fetched = json.loads(connection.getresponse().read())
        connection.close()
        return Counter(requests), Counter(fetched)


class _Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 256

    def __init__(self, root: Path, delay_ms: float, fault_every: int, port: int) -> None:
        self.root, self.delay_s, self.fault_every = root, delay_ms / 1000, fault_every
        self.lock, self.number = threading.Lock(), 0
        self.requests, self.fetched = Counter[str](), Counter[str]()
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of readers that go away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Answer as a GET, without the body."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer a list, an object or a range of one, after the delay, or fail."""
        server, url = self.server, urlsplit(self.path)
        if url.path == COUNTS:
            with server.lock:
                counts = json.dumps([server.requests, server.fetched]).encode()
                server.requests, server.fetched = Counter(), Counter()
            self._send(200, {}, counts)
            return
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        with server.lock:
            server.number += 1
            server.requests[key] += 1
            turn, rest = divmod(server.number, server.fault_every) if server.fault_every else (0, 1)
        fault = None if rest else _FAULTS[turn % len(_FAULTS)]
        time.sleep(server.delay_s)
        if fault == "reset":
            self.close_connection = True
        elif fault == "busy":
            self._send(503, {}, _BUSY)
        elif key:
            self._object(server.root / bucket / key, key, fault == "cut")
        else:
            self._list(server.root / bucket, {name: each[0] for name, each in parse_qs(url.query).items()})

    def _object(self, path: Path, key: str, is_cut: bool) -> None:
        try:
            stream = path.open("rb")
        except OSError:
            self._send(404, {}, _MISSING)
            return
        with stream:
            about = os.fstat(stream.fileno())
            start, stop, code = 0, about.st_size, 200
            headers = {
                "ETag": f'"{about.st_mtime_ns:x}"',
                "Last-Modified": formatdate(about.st_mtime, usegmt=True),
            }
            if wanted := self.headers.get("Range"):
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start, stop, code = int(first), min(stop, int(last) + 1) if last else stop, 206
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{about.st_size}"
            self._send(code, headers, None, stop - start)
            if self.command == "HEAD":
                return
            sent = (stop - start) // 2 if is_cut else stop - start
            self.close_connection |= is_cut
            with self.server.lock:
                self.server.fetched[key] += sent
            if sent:
                self.connection.sendfile(stream, start, sent)

    def _list(self, bucket: Path, query: dict[str, str]) -> None:
        """List what lies directly below a prefix, in pages, as readers of folders ask for it."""
        folder, _, begin = query.get("prefix", "").rpartition("/")
        entries: list[tuple[str, os.stat_result | None]] = []
        with suppress(OSError), os.scandir(bucket / folder) as found:
            for entry in found:
                name = f"{folder}/{entry.name}".lstrip("/")
                if entry.name.startswith(begin):
                    entries.append((f"{name}/", None) if entry.is_dir() else (name, entry.stat()))
        after, size = query.get("continuation-token", ""), int(query.get("max-keys", _PAGE))
        left = sorted(entry for entry in entries if entry[0] > after)
        page = "".join(_entry(*entry) for entry in left[:size])
        if len(left) > size:
            page += f"<NextContinuationToken>{escape(left[size - 1][0])}</NextContinuationToken>"
        more = str(len(left) > size).lower()
        about = f"<KeyCount>{len(left[:size])}</KeyCount><IsTruncated>{more}</IsTruncated>"
        text = f"<ListBucketResult>{about}{page}</ListBucketResult>"
        self._send(200, {"Content-Type": "application/xml"}, text.encode())

    def _send(self, code: int, headers: dict[str, str], body: bytes | None, size: int = 0) -> None:
        self.send_response_only(code)
        for name, value in (headers | {"Content-Length": str(size if body is None else len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if body is not None and self.command != "HEAD":
            self.wfile.write(body)


def _entry(name: str, about: os.stat_result | None) -> str:
    """Return a file or a folder of a list."""
    if about is None:
        return f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
    changed = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(about.st_mtime))
    return (
        f"<Contents><Key>{escape(name)}</Key><LastModified>{changed}</LastModified>"
        f"<ETag>&quot;{about.st_mtime_ns:x}&quot;</ETag><Size>{about.st_size}</Size></Contents>"
    )


if __name__ == "__main__":
    _folder, _delay_ms, _fault_every, _port = sys.argv[1:]
    _server = _Server(Path(_folder), float(_delay_ms), int(_fault_every), int(_port))
    print(_server.server_port, flush=True)
    _server.serve_forever()
