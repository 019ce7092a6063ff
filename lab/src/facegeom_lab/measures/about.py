"""Date, machine, versions and settings of a run."""

import os
import platform
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from pathlib import Path
from typing import Protocol

PACKAGES = ("facegeom", "onnxruntime", "numpy", "pillow")


class VersionedPeer(Protocol):
    """A peer with a name and the versions of its packages."""

    @property
    def name(self) -> str:
        """Name of the peer."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Package name to version."""


def about(analyzer: object, peers: Iterable[VersionedPeer]) -> dict[str, str]:
    """Return date, machine, versions and the analyzer's default settings, by name."""
    return {
        **machine(),
        **{f"peer {peer.name}": ", ".join(f"{k} {v}" for k, v in peer.versions.items()) for peer in peers},
        "settings": f"the defaults, {type(analyzer).__name__}{signature(type(analyzer))}",
    }


def machine(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return date, machine and versions, by name."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{_processor()}, {os.cpu_count()} logical cores, {platform.platform()}",
        "versions": ", ".join(
            [f"python {platform.python_version()}", *(f"{p} {_version(p)}" for p in packages)]
        ),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
