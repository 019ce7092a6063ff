"""``run.json``: what a run was made with, so that it goes on with the same or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facegeom.errors import InputError
from facegeom.export.files import write

FILE = "run.json"
_FORMAT = 1


def read(folder: Path) -> dict[str, Any] | None:
    """The manifest of the run in a folder; None where there is none.

    Raises:
        InputError: it is damaged, or of another version of the layout.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        manifest = dict(json.loads(path.read_text(encoding="utf-8")))
        if manifest["format"] == _FORMAT:
            return manifest
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); use another output folder") from error
    raise InputError(
        f"{path}: expected format {_FORMAT}, got {manifest['format']!r}; use a matching facegeom"
    )


def store(folder: Path, made_with: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Write the manifest of a new run.

    Args:
        folder: of the run.
        made_with: what must be the same when it goes on; JSON values.
        found: what is only told: sources, number of photos and parts.
    """
    content = {"format": _FORMAT, "made_with": dict(made_with), **found}
    write(folder / FILE, json.dumps(content, indent=1).encode() + b"\n")


def check(manifest: Mapping[str, Any], made_with: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with other options, networks or another version.

    Raises:
        InputError: what differs, and how the run was begun.
    """
    before = manifest["made_with"]
    names = [name for name in {**before, **made_with} if before.get(name) != made_with.get(name)]
    if names:
        was = ", ".join(f"{name} {json.dumps(before.get(name))}" for name in names)
        now = ", ".join(f"{name} {json.dumps(made_with.get(name))}" for name in names)
        advice = "use the same, or another output folder"
        raise InputError(f"the run in {str(folder)!r} was begun with {was}, not {now}; {advice}")
