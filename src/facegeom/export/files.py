"""Writing a file so that it appears whole or not at all."""

import os
from pathlib import Path
from uuid import uuid4

from facegeom.errors import OutputError


def write(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside its place, then rename it; folders are made as needed.

    Raises:
        OutputError: the file cannot be written; nothing is left behind then.
    """
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {str(path)!r}: {error.strerror or error}; check the folder"
        ) from error
