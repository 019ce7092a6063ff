"""Worker processes: ``process`` is the parent's side, ``child`` runs in the worker."""

import ctypes
import os
import sys


def resident_bytes() -> int:
    """Return the memory that this process takes; 0 where that is not known."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def return_free_memory() -> int:
    """Return freed blocks to the system, which glibc keeps up to 32 MB each; return the bytes then taken."""
    if sys.platform == "linux" and (malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        malloc_trim(0)
    return resident_bytes()
