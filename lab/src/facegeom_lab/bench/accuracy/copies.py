"""Changed copies of photos, written beside each other into the cache."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.files import save_image

UInt8Array = npt.NDArray[np.uint8]
Change = Callable[[UInt8Array], UInt8Array]
"""From pixels (H, W, 3) to those of the copy, of the same shape."""


def changed_copies(
    photos: Sequence[LabelledPhoto], folder: Path, ending: str, change: Change, quality: int = 98
) -> list[LabelledPhoto]:
    """Return the photos with their pixels changed; copies that are in the folder are not written again.

    A copy's name holds a hash of its pixels: another photo of the same name, or an edited change, gives
    another file.

    Args:
        photos: with labels, which stay as they are.
        folder: of the copies.
        ending: of the copies' names, with the suffix of their format.
        change: makes the copies' pixels.
        quality: of JPEG.
    """
    copies = []
    for photo in photos:
        with Image.open(photo.path) as image:
            pixels = change(np.asarray(image.convert("RGB")))
        path = folder / f"{photo.path.stem}.{_key(pixels, quality)}.{ending}"
        if not path.exists():
            save_image(path, Image.fromarray(pixels), quality=quality)
        copies.append(replace(photo, path=path))
    return copies


def _key(pixels: UInt8Array, quality: int) -> str:
    digest = hashlib.sha256(repr((pixels.shape, quality)).encode())
    digest.update(pixels.tobytes())
    return digest.hexdigest()[:16]
