"""``facegeom serve`` as a user starts and stops it."""

import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facegeom.cli.root import app

MAIN = "from facegeom.cli import main; main()"  # what the console script does


@pytest.fixture
def process() -> Iterator["subprocess.Popen[str]"]:
    command = (sys.executable, "-c", MAIN, "serve", "--port", "0", "--workers", "2")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_work_is_finished_before_the_end(process: "subprocess.Popen[str]", portrait: Path) -> None:
    assert process.stdout is not None and process.stderr is not None
    line = process.stdout.readline()
    assert line.startswith("facegeom serves at http://127.0.0.1:") and line.endswith("Ctrl+C\n")
    port = int(line.split(":")[2].split("/")[0])
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
    assert 200 in codes and set(codes) <= {
        200,
        0,
    }  # 0: not connected yet when the service stopped listening


def ask(port: int, photo: Path) -> int:
    """Status code of an analysis; 0 without a connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return 0
    connection.request("POST", "/v1/analyze", photo.read_bytes(), {"Content-Type": "image/jpeg"})
    answer = connection.getresponse()
    answer.read()
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


def test_an_unknown_host() -> None:
    result = CliRunner().invoke(app, ["serve", "--host", "no.such.host.invalid"])
    assert result.exit_code == 2 and "no.such.host.invalid" in result.stderr


def test_help_has_an_example() -> None:
    result = CliRunner().invoke(app, ["serve", "--help"])
    assert result.exit_code == 0 and "Example: facegeom serve --port 8000" in result.stdout
