"""Processes: start-up cost of fresh ones, and the descendants and memory of running ones."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from facegeom.errors import FacegeomError

CONSOLE_SCRIPT = "from facegeom.cli import main; main()"
"""What the command ``facegeom`` runs."""

_IMPORT = "import time; t = time.perf_counter(); import facegeom; print(time.perf_counter() - t)"
_MEMORY = """
import gc, os, sys
from facegeom import FaceAnalyzer
analyzer = FaceAnalyzer()
analyzer(sys.argv[1])
gc.collect()
with open("/proc/self/statm") as file:
    print(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
"""


class ProcessError(FacegeomError):
    """A measured process failed; the message carries its output."""


def import_seconds(runs: int = 7) -> float:
    """Return the median seconds of ``import facegeom`` over fresh processes, the disk warm."""
    return median([float(output(sys.executable, "-c", _IMPORT)) for _ in range(runs + 1)][1:])


def memory_mb(photo: Path) -> float | None:
    """Return the resident MB (10^6 bytes) of a fresh process after FaceAnalyzer() and one photo.

    None on systems without /proc.
    """
    if not Path("/proc/self/statm").is_file():
        return None
    return float(output(sys.executable, "-c", _MEMORY, str(photo)))


def command_seconds(photo: Path, runs: int = 5) -> float:
    """Return the median seconds of ``facegeom analyze PHOTO -o OUT``, start to end, the disk warm."""
    times = []
    for _ in range(runs + 1):
        with tempfile.TemporaryDirectory() as out:
            start = time.perf_counter()
            output(sys.executable, "-c", CONSOLE_SCRIPT, "analyze", str(photo), "-o", out)
            times.append(time.perf_counter() - start)
    return median(times[1:])


def output(*command: str) -> str:
    """Run a command and return its standard output.

    Raises:
        ProcessError: the command failed; the message ends with what it printed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProcessError(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def descendants(pid: int) -> list[int]:
    """Return the ids of all child processes of a process, and of theirs.

    Raises:
        ProcessError: the system has no /proc.
    """
    if not Path("/proc/self/stat").is_file():
        raise ProcessError("expected Linux: processes are found in /proc")
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := read_proc(entry / "stat")):
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found[1:]


def read_proc(path: Path) -> str:
    """Read a file of /proc; return an empty text if its process has just ended."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def resident_mb(pid: int) -> float | None:
    """Return the resident MB (10^6 bytes) of a process and its descendants; None without /proc."""
    if not Path("/proc/self/stat").is_file():
        return None
    statm = [read_proc(Path("/proc", str(each), "statm")) for each in (pid, *descendants(pid))]
    return sum(int(line.split()[1]) for line in statm if line) * os.sysconf("SC_PAGE_SIZE") / 1e6
