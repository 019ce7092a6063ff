"""What a run was measured with."""

import os
import platform
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from pathlib import Path

from facegeom_lab.bench.peers import Peer

PACKAGES = ("facegeom", "onnxruntime", "numpy", "pillow")


def about(analyzer: object, peers: Iterable[Peer]) -> dict[str, str]:
    """Date, machine, versions and the analyzer's default settings, by name."""
    return {
        **machine(),
        **{f"peer {peer.name}": ", ".join(f"{k} {v}" for k, v in peer.versions.items()) for peer in peers},
        "settings": f"the defaults, {type(analyzer).__name__}{signature(type(analyzer))}",
    }


def machine(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Date, machine and versions, by name."""
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
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        for line in listed.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
