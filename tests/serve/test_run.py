"""``facegeom serve`` as a user starts and stops it."""

import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from facegeom.cli.root import app

MAIN = """
from facegeom.cli import main
from facegeom.serve import server, workers
server.STOP_S, server.END_S = STOP
if STUCK:
    sys.path.append(STUCK)
    workers._WORKER = "test_run:Stuck"
main()
"""
HERE = str(Path(__file__).parent)
READ_ONLY = """
import os, sys

def deny(event, arguments):
    writes = event in ("os.mkdir", "os.rename", "os.remove", "os.truncate") or event.startswith("tempfile")
    if event == "open" and not isinstance(arguments[0], int) and os.fsdecode(arguments[0]) != os.devnull:
        writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes:
        print("a file is written:", event, arguments, file=sys.stderr)
        raise OSError(30, "Read-only file system")

sys.addaudithook(deny)
"""


class Stuck:
    """Worker that holds its interpreter for minutes, as some decoders do."""

    def __init__(self, options: object) -> None:
        pass

    def __call__(self, tasks: object, send: object) -> None:
        pow(3, 10**9)


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple["subprocess.Popen[str]", int]]]:
    """``serve(stop_s, end_s, stuck)`` starts a service and returns it and its port."""
    processes: list[subprocess.Popen[str]] = []

    def start(stop_s: float, end_s: float, stuck: bool) -> tuple["subprocess.Popen[str]", int]:
        code = f"import sys; STOP = {stop_s, end_s}; STUCK = {HERE if stuck else ''!r}\n{MAIN}"
        options = ("--port", "0", "--workers", "2", "--wait", "60")
        command = (sys.executable, "-c", code, "serve", *options)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("facegeom serves at http://127.0.0.1:") and line.endswith("Ctrl+C\n")
        return process, int(line.split(":")[2].split("/")[0])

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_work_is_finished_before_the_end(serve: Callable[..., Any], portrait: Path) -> None:
    process, port = serve(60, 90, stuck=False)
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(ask(port, portrait))) for _ in range(6)]
    for thread in threads:
        thread.start()
    while in_work(port) == 0 and not codes:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert process.wait(60) == 0 and process.stderr.read() == ""
    assert 200 in codes and set(codes) <= {200, 0}  # 0: not connected yet when the service stopped listening


@pytest.mark.parametrize(
    ("number", "stop_s", "end_s", "answer", "ends"),
    [
        (signal.SIGTERM, 0.2, 90, 503, 0),
        (signal.SIGTERM, 90, 0.2, 0, 1),  # as with an event loop that does not go on
        (signal.SIGKILL, 90, 90, 0, -9),
    ],
)
def test_stuck_workers_end_with_the_service(
    serve: Callable[..., Any],
    portrait: Path,
    number: int,
    stop_s: float,
    end_s: float,
    answer: int,
    ends: int,
) -> None:
    process, port = serve(stop_s, end_s, stuck=True)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(ask(port, portrait)))
    thread.start()
    while in_work(port) == 0:
        time.sleep(0.005)
    workers = children(process.pid)
    process.send_signal(number)
    thread.join()
    assert codes == [answer] and process.wait(60) == ends and len(workers) == 2
    while any(map(runs, workers)):
        time.sleep(0.005)
    assert "Traceback" not in process.stderr.read()


def test_it_runs_in_a_read_only_file_system(
    serve: Callable[..., Any], portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither service nor workers write a file, as in the container: also for a form of some megabytes."""
    (tmp_path / "sitecustomize.py").write_text(READ_ONLY, encoding="utf-8")
    large = tmp_path / "noise.png"
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 1200, 3), np.uint8))
    photo.paste(Image.open(portrait), (100, 100))
    photo.save(large)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    writing = [sys.executable, "-c", f"open({str(tmp_path / 'a')!r}, 'w')"]
    assert b"Read-only" in subprocess.run(writing, capture_output=True, check=False).stderr
    process, port = serve(60, 90, stuck=False)
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="n.png"\r\n\r\n%s\r\n--x--\r\n'
    (tmp_path / "form").write_bytes(form % large.read_bytes())
    kinds = {large: "image/png", tmp_path / "form": "multipart/form-data; boundary=x"}
    for query in ("", "?format=overlay", "?format=glb"):
        assert [ask(port, body, kind, query) for body, kind in kinds.items()] == [200, 200]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0 and process.stderr.read() == ""


def children(pid: int) -> list[int]:
    """Return the ids of the child processes."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text(encoding="ascii").split()]


def runs(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ask(port: int, body: Path, kind: str = "image/jpeg", query: str = "") -> int:
    """Status code of an analysis; 0 without a connection or a response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", f"/v1/analyze{query}", body.read_bytes(), {"Content-Type": kind})
        answer = connection.getresponse()
        answer.read()
    except OSError:
        return 0
    finally:
        connection.close()
    return answer.status


def in_work(port: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return float(text.split("\nfacegeom_photos_in_work ")[1].split("\n")[0])


def test_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        result = CliRunner().invoke(app, ["serve", "--port", port])
    assert result.exit_code == 2
    assert "choose another --host or --port" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "wrong", [["--port", "70000"], ["--queue", "0"], ["--max-mb", "0"], ["--device", "x"]]
)
def test_wrong_options(wrong: list[str]) -> None:
    result = CliRunner().invoke(app, ["serve", *wrong])
    assert result.exit_code == 2 and wrong[0] in result.stderr


def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    result = CliRunner().invoke(app, ["serve", "--host", "no.such.host.invalid"])
    assert result.exit_code == 2 and "no.such.host.invalid" in result.stderr


def test_help_has_an_example() -> None:
    result = CliRunner().invoke(app, ["serve", "--help"])
    assert result.exit_code == 0 and "Example: facegeom serve --port 8000" in result.stdout
