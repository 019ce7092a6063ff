"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from facegeom.errors import OutputError


def make_folder(path: Path) -> None:
    """Make a folder and its parents where they do not exist.

    Raises:
        OutputError: it cannot be made, or is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"cannot make the folder {str(path)!r}: it is a file; name another") from error
    except OSError as error:
        raise OutputError(f"cannot make the folder {str(path)!r}: {error.strerror or error}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the block a temporary name beside the file to write, then rename it.

    A block that raises leaves nothing behind and an existing file unchanged. Folders are made as needed.

    Raises:
        OutputError: the file cannot be written.
    """
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    make_folder(path.parent)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            f"cannot write {str(path)!r}: {error.strerror or error}; check the folder"
        ) from error
    finally:
        with suppress(OSError):  # a folder that cannot be written is reported above
            temporary.unlink(missing_ok=True)


def write(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all; folders are made as needed.

    Raises:
        OutputError: the file cannot be written; nothing is left behind then.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)
