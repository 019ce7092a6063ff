"""Photos to time: scenes with one face, a crowd, and files of twelve megapixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facegeom.image import reading
from facegeom_lab.datasets.published.pack import LabelledPhoto, scene_photos

LONG_SIDE = 640
CELL_PX = 320
LARGE_FILE_WH = (4000, 3000)
_GREY = (127, 127, 127)


def single_face_scenes(data: Path, count: int) -> list[LabelledPhoto]:
    """Return up to ``count`` scenes with one human-annotated face, evenly spaced over `val` and `test`."""
    single = [
        photo
        for split in ("val", "test")
        for photo in scene_photos(data, split)
        if photo.labelled == len(photo.box_xyxy) == 1
    ]
    chosen = np.linspace(0, len(single) - 1, min(count, len(single))).astype(int)
    return [single[index] for index in chosen]


def save_arrays(photos: Sequence[LabelledPhoto], folder: Path) -> tuple[list[Path], Path]:
    """Enlarge photos; save each as a .npy file, and the first as a JPEG file too.

    Returns:
        The .npy files, and the JPEG file.
    """
    arrays = []
    for index, photo in enumerate(photos):
        image = enlarge(reading.read(photo.path))
        arrays.append(folder / f"{index:03d}.npy")
        np.save(arrays[-1], image)
        if index == 0:
            Image.fromarray(image).save(folder / "photo.jpg", quality=95)
    return arrays, folder / "photo.jpg"


def enlarge(image: Any) -> Any:
    """Resize an image (H, W, 3) to a longer side of 640 px."""
    height, width = image.shape[:2]
    scale = LONG_SIDE / max(height, width)
    size = (round(width * scale), round(height * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def tile(photos: Sequence[LabelledPhoto]) -> np.ndarray:
    """Paste photos side by side into square cells of one image (H, W, 3)."""
    side = int(np.ceil(np.sqrt(len(photos))))
    canvas = Image.new("RGB", (side * CELL_PX, side * CELL_PX), _GREY)
    for index, photo in enumerate(photos):
        image = Image.fromarray(reading.read(photo.path))
        scale = CELL_PX / max(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)))
        canvas.paste(image, (index % side * CELL_PX, index // side * CELL_PX))
    return np.asarray(canvas)


def save_large_file(photo: LabelledPhoto, folder: Path, size_wh: tuple[int, int] = LARGE_FILE_WH) -> Path:
    """Save a photo enlarged to fit so many pixels, padded with grey, as a JPEG file."""
    image = Image.fromarray(reading.read(photo.path))
    scale = min(size_wh[0] / image.width, size_wh[1] / image.height)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", size_wh, _GREY)
    canvas.paste(image, ((size_wh[0] - image.width) // 2, (size_wh[1] - image.height) // 2))
    path = folder / f"{photo.path.stem}-{size_wh[0]}.jpg"
    canvas.save(path, quality=90)
    return path
