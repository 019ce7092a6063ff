"""Virtual environments for packages whose requirements exclude those of facegeom."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from facegeom.errors import FacegeomError, InputError

CACHE = Path.home() / ".cache" / "facegeom"
"""Where environments are made unless the caller says otherwise, each in a folder of its name."""

RECORD = "facegeom-packages.json"
"""File in an environment's folder, written last: what is installed there."""


class ExternalError(FacegeomError):
    """An environment could not be made, or its worker process failed; the message ends with its output."""


@dataclass(frozen=True)
class PackageSet:
    """Packages of one environment.

    Attributes:
        requirements: in pip's notation.
        without_dependencies: more of them, installed without what they require themselves.
    """

    requirements: tuple[str, ...]
    without_dependencies: tuple[str, ...] = ()


PACKAGE_SETS: Mapping[str, PackageSet] = {
    # The last release that carries its models; it needs numpy < 2 and an old protobuf.
    "mediapipe": PackageSet(("mediapipe==0.10.21",)),
    # facenet-pytorch's own requirements (numpy < 2, torch < 2.3, Pillow 10.2) exclude current interpreters.
    # Its weights are in the package; torch is the newest that there is for the interpreter.
    "mtcnn": PackageSet(
        ("torch", "torchvision", "numpy", "pillow", "requests", "tqdm"), ("facenet-pytorch==2.6.0",)
    ),
    # The package dlib itself has to be compiled.
    "dlib": PackageSet(("dlib-bin==20.0.1.*", "numpy")),
}


def package_set(name: str) -> PackageSet:
    """Return a package set by name; raise InputError for an unknown one."""
    if name not in PACKAGE_SETS:
        raise InputError(f"expected a package set among {', '.join(PACKAGE_SETS)}, got {name!r}")
    return PACKAGE_SETS[name]


def ensure_python(name: str, folder: Path | None = None) -> Path:
    """Return the interpreter of a package set's environment, which the first call makes.

    The first call needs a package index. An environment that is there without its record is completed.

    Args:
        name: of :data:`PACKAGE_SETS`.
        folder: of the environment; by default ``~/.cache/facegeom/NAME``.

    Raises:
        InputError: no package set has that name.
        ExternalError: venv or pip failed; the message ends with their output.
    """
    wanted = package_set(name)
    home = folder or CACHE / name
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    record = home / RECORD
    contents = json.dumps([wanted.requirements, wanted.without_dependencies])
    if not (record.is_file() and record.read_text(encoding="utf-8") == contents):
        if not python.exists():
            _run(sys.executable, "-m", "venv", str(home))
        _run(str(python), "-m", "pip", "install", *wanted.requirements)
        if wanted.without_dependencies:
            _run(str(python), "-m", "pip", "install", "--no-deps", *wanted.without_dependencies)
        record.write_text(contents, encoding="utf-8")
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExternalError(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr)[-2000:]}")
