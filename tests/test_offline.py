"""Nothing leaves the machine: no test reaches beyond it, and the library and its commands open no socket."""

import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

PORTRAIT = Path(str(files("facegeom") / "data" / "astronaut.jpg"))

DENIED = """
import sys

def deny(event, arguments):
    if event.startswith("socket."):
        print("a socket:", event, arguments, file=sys.stderr)
        raise PermissionError(event)

sys.addaudithook(deny)
"""

LIBRARY = """
from facegeom import FaceAnalyzer, HeadPoseDetector

faces = FaceAnalyzer(depth=True, pose_net="fpnet", orientation="auto")({photo!r})
faces.save("lib", ["json", "overlay", "obj", "ply", "glb", "depth", "surface"])
assert len(faces) == len(HeadPoseDetector()({photo!r})) == 1
"""

COMMAND = """
import sys
from facegeom.cli import main

sys.argv = ["facegeom", *{arguments!r}]
main()
"""


def run(code: str, folder: Path) -> None:
    """Run code in a process that may not touch sockets; so may not its worker processes."""
    (folder / "sitecustomize.py").write_text(DENIED)
    path = ":".join([str(folder), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert "a socket" not in done.stderr and done.returncode == 0, done.stderr


def test_the_denial_works(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"a socket: socket\.__new__"):
        run("import socket; socket.socket()", tmp_path)


def test_the_library(tmp_path: Path) -> None:
    run(LIBRARY.format(photo=str(PORTRAIT)), tmp_path)
    assert len(list((tmp_path / "lib").iterdir())) == 8


@pytest.mark.parametrize("command", ["analyze", "detect", "batch", "video"])
def test_commands(command: str, tmp_path: Path) -> None:
    source = PORTRAIT
    if command == "video":
        from damage import videos

        source = tmp_path / "a.mp4"
        source.write_bytes(videos()["mp4 libx264"])
    out = [str(tmp_path / "out")] if command == "detect" else ["-o", str(tmp_path / "out")]
    run(COMMAND.format(arguments=[command, str(source), *out]), tmp_path)
    assert any((tmp_path / "out").rglob("*"))


@pytest.mark.parametrize("host", ["192.0.2.1", "facegeom.invalid"])
def test_no_test_reaches_beyond_this_machine(host: str, beyond: list[str]) -> None:
    with pytest.raises(PermissionError, match="beyond this machine"):
        socket.create_connection((host, 80), timeout=1)
    assert host in beyond.pop()
    assert not beyond
