"""Files the laboratory writes: whole or not at all."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from facegeom.export.files import write


def save_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays as an npz file, whole or not at all; folders are made.

    Raises:
        OutputError: the place cannot be written.
    """
    stream = BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    write(path, stream.getvalue())


def save_png(path: Path, picture: Image.Image) -> None:
    """Write a picture as PNG, whole or not at all; folders are made.

    Raises:
        OutputError: the place cannot be written.
    """
    stream = BytesIO()
    picture.save(stream, "PNG")
    write(path, stream.getvalue())
