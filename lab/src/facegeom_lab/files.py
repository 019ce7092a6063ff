"""Atomic writing of the laboratory's files; what caches depend on."""

import hashlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facegeom.export.files import write
from facegeom.models import weights


def weights_hash(*names: str) -> str:
    """Return a short hash of networks that ship, in all their variants."""
    entries = [weights.manifest()[name] for name in names]
    hashes = [
        text for entry in entries for text in (entry.sha256, *(v.sha256 for v in entry.variants.values()))
    ]
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:12]


def save_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays to an npz file atomically; folders are made.

    Raises:
        OutputError: the file cannot be written.
    """
    stream = BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    write(path, stream.getvalue())


def save_image(path: Path, image: Image.Image, **options: Any) -> None:
    """Write an image atomically, as PNG or JPEG by the path's suffix; folders are made.

    Args:
        path: of the file.
        image: to write.
        options: of Pillow's writer.

    Raises:
        OutputError: the file cannot be written.
    """
    stream = BytesIO()
    image.save(stream, {".png": "PNG", ".jpg": "JPEG"}[path.suffix], **options)
    write(path, stream.getvalue())
