"""Photos in an object store that is slow, stumbles, falls silent or dies: a small S3 server made here."""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from typer.testing import CliRunner

from facegeom.batch import analyze_many, read_rows, reading
from facegeom.batch.rows import Counts
from facegeom.cli.root import app

from .conftest import parts_of

BUCKET = "s3://lake/album"
LISTED = "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00Z</LastModified><Size>{}</Size></Contents>"
BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@dataclass
class Store:
    """What the server holds, and how it fails.

    Attributes:
        objects: contents by key.
        fault: called with a key, or "" for a list, and how often it was asked for; returns what goes wrong:
            None, "slow", "busy", "reset", "cut" (the body ends early) or "silent".
        asked: number of requests for each key.
        faults: number of faults of each kind.
        ended: lets silent requests end.
    """

    objects: dict[str, bytes]
    fault: Callable[[str, int], str | None] = lambda key, times: None
    asked: Counter[str] = field(default_factory=Counter)
    faults: Counter[str | None] = field(default_factory=Counter)
    ended: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    """Answers HEAD, GET with and without a range, and lists of keys with a prefix."""

    protocol_version = "HTTP/1.1"

    def __init__(self, store: Store, *connection: object) -> None:
        self.store = store
        super().__init__(*connection)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        key = unquote(url.path).removeprefix("/lake").lstrip("/")
        self.store.asked[key] += 1
        fault = self.store.fault(key, self.store.asked[key])
        self.store.faults[fault] += 1
        if fault == "silent":
            self.store.ended.wait(60)
        if fault in ("silent", "reset"):
            self.close_connection = True
        elif fault == "busy":
            self._send(503, BUSY, None)
        elif not key:
            self._send(200, self._listed(**dict(parse_qsl(url.query))), fault)
        elif key not in self.store.objects:
            self._send(404, b"", fault)
        else:
            self._send_range(self.store.objects[key], fault)

    def _listed(self, prefix: str = "", **_: str) -> bytes:
        keys = [key for key in sorted(self.store.objects) if key.startswith(prefix)]
        found = "".join(LISTED.format(key, len(self.store.objects[key])) for key in keys)
        about = f"<Name>lake</Name><Prefix>{prefix}</Prefix><KeyCount>{len(keys)}</KeyCount>"
        end = "<IsTruncated>false</IsTruncated></ListBucketResult>"
        return f"<ListBucketResult>{about}{found}{end}".encode()

    def _send_range(self, content: bytes, fault: str | None) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if wanted is None:
            return self._send(200, content, fault)
        start, end = int(wanted[1]), min(int(wanted[2]), len(content) - 1)
        place = {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
        return self._send(206, content[start : end + 1], fault, place)

    def _send(self, code: int, body: bytes, fault: str | None, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        about = {"Content-Length": str(len(body)), "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        for name, value in (about | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        body = b"" if self.command == "HEAD" else body
        for piece in (body[start : start + 2000] for start in range(0, len(body), 2000)):
            if fault == "slow":
                time.sleep(0.02)
            self.wfile.write(piece)
            if fault == "cut":
                self.close_connection = True
                return


@pytest.fixture
def store(album: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Serve the album of ten photos, four with a face and three unusable, at ``s3://lake/album``."""
    store = Store({f"album/{path.name}": path.read_bytes() for path in album.iterdir()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, store))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "user",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(reading, "_RETRY_DELAYS_S", (0.0, 0.0))
    yield store
    store.ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def undisturbed(store: Store, tmp_path: Path, in_process: list[int]) -> dict[str, bytes]:
    """Return the part files of a run over the store while it is well, by name."""
    analyze_many([BUCKET], tmp_path / "well", part_size=2)
    store.asked.clear()
    return parts_of(tmp_path / "well")


STUMBLES = ("busy", "reset", "cut")


def stumbling(key: str, times: int) -> str | None:
    """Fail twice for every key, each in a way of its own, and for lists."""
    return STUMBLES[sum(key.encode()) % 3] if times <= 2 else None


@pytest.mark.parametrize("fault", [lambda key, times: "slow", stumbling])
def test_a_slow_and_a_stumbling_store_give_the_same_rows(
    store: Store, undisturbed: dict[str, bytes], tmp_path: Path, fault: Callable[[str, int], str | None]
) -> None:
    store.fault = fault
    end = analyze_many([BUCKET], tmp_path / "out", part_size=2)
    assert end.done == Counts(photos=10, faces=4, errors=3)
    assert parts_of(tmp_path / "out") == undisturbed
    assert store.faults.keys() >= ({"busy", "reset", "cut"} if fault is stumbling else {"slow"})


@pytest.mark.slow
def test_a_store_that_dies_leaves_rows_with_the_reason(
    store: Store, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends, each photo has one row, and once the store is back, their parts are made again."""
    monkeypatch.setattr(reading, "_RETRY_DELAYS_S", ())  # the driver itself asks again for six seconds
    last = sorted(store.objects)[-2:]
    store.fault = lambda key, times: "reset" if key in last else None
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["batch", BUCKET, "-o", str(out), "--part-size", "2"])
    assert result.exit_code == 0 and "Traceback" not in result.output
    rows = list(read_rows(out))
    assert [row.key for row in rows] == [f"s3://lake/{key}" for key in sorted(store.objects)]
    lost = [row for row in rows if (row.error or "").startswith("cannot be read: ")]
    assert [row.key for row in lost] == [f"s3://lake/{key}" for key in last]
    assert all("NETWORK_CONNECTION" in str(row.error) and "\n" not in str(row.error) for row in lost)
    assert list(parts_of(out).items())[:-1] == list(undisturbed.items())[:-1]
    store.fault = lambda key, times: None
    (out / "parts" / list(undisturbed)[-1]).unlink()
    analyze_many([BUCKET], out)
    assert parts_of(out) == undisturbed


@pytest.mark.slow
def test_a_dead_store_is_an_error_in_words(store: Store, tmp_path: Path) -> None:
    store.fault = lambda key, times: "reset"
    result = CliRunner().invoke(app, ["batch", BUCKET, "-o", str(tmp_path / "out")])
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert f"cannot access '{BUCKET}'" in " ".join(result.stderr.split())


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_a_store_that_dies_while_it_is_listed(store: Store, tmp_path: Path) -> None:
    store.fault = lambda key, times: "reset" if not key and times > 1 else None
    result = CliRunner().invoke(app, ["batch", BUCKET, "-o", str(tmp_path / "out")])
    assert result.exit_code == 1 and "Traceback" not in result.output
    (row,) = read_rows(tmp_path / "out")
    assert row.key == BUCKET and str(row.error).startswith("cannot be searched: ")


@pytest.mark.workers
@pytest.mark.slow
def test_a_silent_store_costs_one_photo_its_row(store: Store, tmp_path: Path) -> None:
    """With worker processes: the one that waits is killed at the deadline, and the others' rows are there."""
    silent = "album/wall0.jpg"
    store.fault = lambda key, times: "silent" if key == silent else None
    end = analyze_many([BUCKET], tmp_path / "out", workers=2, part_size=4, timeout_s=20)
    assert end.done == Counts(photos=10, faces=4, errors=4)
    errors = {row.key: row.error for row in read_rows(tmp_path / "out")}
    assert len(errors) == 10 and "took longer than 20 s" in str(errors[f"s3://lake/{silent}"])
