"""Date, machine, versions and settings of a run."""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

from facegeom.models.engine import Engine

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
    """Return date, machine, versions and the analyzer's settings, by name."""
    return {
        **machine(),
        **{f"peer {peer.name}": ", ".join(f"{k} {v}" for k, v in peer.versions.items()) for peer in peers},
        "settings": settings(analyzer),
    }


def settings(analyzer: object) -> str:
    """Return the class of an analyzer or detector, its options, and the files of its networks."""
    options = getattr(analyzer, "options", None)
    chosen = {f.name: getattr(options, f.name) for f in fields(options) if f.init} if options else {}
    chosen["threads"] = getattr(analyzer, "threads", None)
    depth = getattr(analyzer, "depth", None)
    chosen["depth"] = None if depth is None else type(depth).__name__
    engines = list(_engines(analyzer))
    chosen["device"] = ", ".join(dict.fromkeys(engine.device for engine in engines))
    text = ", ".join(f"{name}={value!r}" for name, value in chosen.items())
    networks = ", ".join(engine.path.name for engine in engines)
    return f"{type(analyzer).__name__}({text}), networks {networks or 'none'}"


def _engines(part: object) -> Iterator[Engine]:
    """Yield the networks that an object of facegeom holds."""
    if isinstance(part, Engine):
        yield part
    elif isinstance(part, (list, tuple)):
        for each in part:
            yield from _engines(each)
    elif type(part).__module__.startswith("facegeom."):
        for each in vars(part).values() if hasattr(part, "__dict__") else ():
            yield from _engines(each)


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
