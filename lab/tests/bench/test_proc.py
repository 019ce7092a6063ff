"""Processes in /proc: who descends from whom, and what memory a family has."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facegeom_lab.bench.proc import descendants, read_proc, resident_mb

FAMILY = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "held = b'x' * 50_000_000; print(1, flush=True); input()"])
child.wait()
"""


@pytest.fixture
def family() -> Iterator["subprocess.Popen[str]"]:
    """A process and its child, which holds 50 MB."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", FAMILY], text=True, **pipes) as parent:  # type: ignore[call-overload]
        assert parent.stdout.readline() == "1\n"
        yield parent
        parent.stdin.write("\n")


def test_a_family(family: "subprocess.Popen[str]") -> None:
    (child,) = descendants(family.pid)
    assert "held" in read_proc(Path("/proc", str(child), "cmdline"))
    own = int(read_proc(Path("/proc", str(family.pid), "statm")).split()[1]) * 4096 / 1e6
    together = resident_mb(family.pid)
    assert together is not None and together > own + 50


def test_a_process_that_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert read_proc(Path("/proc", str(process.pid), "statm")) == "" and resident_mb(process.pid) == 0
