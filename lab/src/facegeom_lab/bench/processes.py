"""Costs of fresh processes: memory at rest, time of the import, time of the whole command."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from facegeom.errors import FacegeomError

_IMPORT = "import time; t = time.perf_counter(); import facegeom; print(time.perf_counter() - t)"
_COMMAND = "from facegeom.cli import main; main()"  # what the console script does
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
    """Median seconds of ``import facegeom`` over fresh processes, the disk warm."""
    return median([float(output(sys.executable, "-c", _IMPORT)) for _ in range(runs + 1)][1:])


def memory_mb(photo: Path) -> float | None:
    """Resident MB (10^6 bytes) of a fresh process after FaceAnalyzer() and a photo; None without /proc."""
    if not Path("/proc/self/statm").is_file():
        return None
    return float(output(sys.executable, "-c", _MEMORY, str(photo)))


def command_seconds(photo: Path, runs: int = 5) -> float:
    """Median seconds of ``facegeom analyze PHOTO -o OUT``, start to end, fresh processes, the disk warm."""
    times = []
    for _ in range(runs + 1):
        with tempfile.TemporaryDirectory() as out:
            start = time.perf_counter()
            output(sys.executable, "-c", _COMMAND, "analyze", str(photo), "-o", out)
            times.append(time.perf_counter() - start)
    return median(times[1:])


def output(*command: str) -> str:
    """What a command prints; ProcessError with all of it when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProcessError(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout
