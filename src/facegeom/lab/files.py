"""Files the laboratory writes: whole or not at all."""

from io import BytesIO
from pathlib import Path

import numpy as np

from facegeom.export.files import write


def save_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays as an npz file, whole or not at all; folders are made.

    Raises:
        OutputError: the place cannot be written.
    """
    stream = BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    write(path, stream.getvalue())
