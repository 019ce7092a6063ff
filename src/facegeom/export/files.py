"""Writing a file so that it appears whole or not at all."""

import os
from pathlib import Path
from uuid import uuid4

from facegeom.errors import OutputError


def make_folder(path: Path) -> None:
    """Make a folder and those above it where they are not there yet.

    Raises:
        OutputError: it cannot be made, or is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {str(path)!r}: {error.strerror or error}") from error


def write(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside its place, then rename it; folders are made as needed.

    Raises:
        OutputError: the file cannot be written; nothing is left behind then.
    """
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        make_folder(path.parent)
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {str(path)!r}: {error.strerror or error}; check the folder"
        ) from error
