"""Service: the load generator, the comparison of responses, the tables."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from facegeom_lab.bench.service.load import LoadResult, generate_load
from facegeom_lab.bench.service.run import ServiceConfig, nearly_equal, run_service

Start = Callable[[Callable[[bytes], int]], int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return ``start(code)``: start a server that answers with a status and the body, return its port."""
    servers: list[ThreadingHTTPServer] = []

    def function(code: Callable[[bytes], int]) -> int:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(code(body))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever).start()
        return int(servers[-1].server_address[1])

    yield function
    for server in servers:
        server.shutdown()
        server.server_close()


def test_photos_go_in_turn_and_answers_are_kept(start: Start) -> None:
    result = generate_load(start(lambda body: 200), [b"one", b"two"], clients=2, seconds=0.5)
    assert result.bodies == {0: {b"one"}, 1: {b"two"}}
    assert result.codes == {200: len(result.seconds)} and result.rate > 4


def test_refusals_are_counted_apart(start: Start) -> None:
    result = generate_load(start(lambda body: 503 if body == b"two" else 200), [b"one", b"two"], 1, 0.5)
    assert set(result.codes) == {200, 503} and set(result.bodies) == {0}
    assert len(result.seconds) == result.codes[200]


def test_a_service_that_is_gone(start: Start) -> None:
    result = generate_load(1, [b"one"], 1, 0.05)
    assert set(result.codes) == {0} and result.percentile_ms(0.5) is None


def test_requests_keep_their_pace(start: Start) -> None:
    result = generate_load(start(lambda body: 200), [b"one"], clients=4, seconds=1.0, rate=20)
    assert result.codes == {200: 20} and 0.9 < result.lasted < 10


def test_percentiles() -> None:
    result = LoadResult(seconds=[number / 1000 for number in range(100, 0, -1)])
    assert (result.percentile_ms(0.5), result.percentile_ms(0.99)) == (51.0, 100.0)


@pytest.mark.parametrize(
    ("answer", "equal"),
    [
        ({"a": [1.0, 2.04], "b": "x", "c": None}, True),
        ({"a": [1.0, 2.06], "b": "x", "c": None}, False),
        ({"a": [1.0], "b": "x", "c": None}, False),
        ({"a": [1.0, 2.0], "b": "y", "c": None}, False),
        ({"a": [1.0, 2.0], "b": "x"}, False),
        ({"a": [1.0, float("nan")], "b": "x", "c": None}, False),
    ],
)
def test_same_answers(answer: dict[str, object], equal: bool) -> None:
    assert nearly_equal(answer, {"a": [1.0, 2.0], "b": "x", "c": None}) is equal


@pytest.mark.slow
def test_the_whole_run(pack: Path, tmp_path: Path) -> None:
    config = ServiceConfig(photos=2, clients=2, seconds=0.5, minutes=0.02)
    report = run_service(pack, tmp_path, config)
    assert [table.title for table in report.tables] == ["Throughput", "Steady load", "Overload"]
    rates, steady, overload = (
        dict(zip(table.columns, table.rows[0], strict=True)) for table in report.tables
    )
    assert rates["not 200"] == steady["503"] == steady["other errors"] == steady["wrong answers"] == 0
    assert overload["200"] and overload["other codes"] == overload["wrong answers"] == 0
    assert json.loads((tmp_path / "serve.json").read_bytes())["title"] == "facegeom bench serve"
    assert "| analyzer, photos/s |" in (tmp_path / "serve.md").read_text(encoding="utf-8")
