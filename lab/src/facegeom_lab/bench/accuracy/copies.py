"""Changed copies of photos, written beside each other into the cache."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom_lab.datasets.published.pack import LabelledPhoto

UInt8Array = npt.NDArray[np.uint8]
Change = Callable[[UInt8Array], UInt8Array]
"""From pixels (H, W, 3) to those of the copy, of the same shape."""


def changed_copies(
    photos: Sequence[LabelledPhoto], folder: Path, ending: str, change: Change, quality: int = 98
) -> list[LabelledPhoto]:
    """Return the photos with their pixels changed; copies that are in the folder are not made again.

    Args:
        photos: with labels, which stay as they are.
        folder: of the copies.
        ending: of the copies' names, with the suffix of their format.
        change: makes the copies' pixels.
        quality: of JPEG.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copies = []
    for photo in photos:
        path = folder / f"{photo.path.stem}.{ending}"
        if not path.exists():
            with Image.open(photo.path) as image:
                Image.fromarray(change(np.asarray(image.convert("RGB")))).save(path, quality=quality)
        copies.append(replace(photo, path=path))
    return copies
