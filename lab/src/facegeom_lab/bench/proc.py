"""Processes as Linux lists them in /proc."""

import os
from pathlib import Path

from facegeom_lab.bench.processes import ProcessError


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and those that they have.

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
    """The file, or nothing if its process has just ended."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def resident_mb(pid: int) -> float | None:
    """Resident MB (10^6 bytes) of a process and its descendants; None without /proc."""
    if not Path("/proc/self/stat").is_file():
        return None
    listed = [read_proc(Path("/proc", str(each), "statm")) for each in (pid, *descendants(pid))]
    return sum(int(line.split()[1]) for line in listed if line) * os.sysconf("SC_PAGE_SIZE") / 1e6
