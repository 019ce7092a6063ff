"""Atomic writing of the laboratory's files."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from facegeom.export.files import write


def save_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays to an npz file atomically; folders are made.

    Raises:
        OutputError: the file cannot be written.
    """
    stream = BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    write(path, stream.getvalue())


def save_png(path: Path, image: Image.Image) -> None:
    """Write an image as PNG atomically; folders are made.

    Raises:
        OutputError: the file cannot be written.
    """
    stream = BytesIO()
    image.save(stream, "PNG")
    write(path, stream.getvalue())
