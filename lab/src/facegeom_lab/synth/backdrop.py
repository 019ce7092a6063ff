"""Photos behind the head, and what a camera does to the finished picture."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageFilter

from facegeom.errors import InputError
from facegeom_lab.synth.mesh import Floats
from facegeom_lab.synth.paint import linear

Image = NDArray[np.uint8]


def backdrop(rng: np.random.Generator, photos: Sequence[Image], size_wh: tuple[int, int]) -> Floats:
    """A random crop of a random photo as linear light (H, W, 3), often out of focus.

    Raises:
        InputError: `photos` is empty.
    """
    if len(photos) == 0:
        raise InputError("expected at least one background photo, got none")
    photo = PillowImage.fromarray(photos[int(rng.integers(len(photos)))])
    share = rng.uniform(0.4, 1)
    aspect = size_wh[0] / size_wh[1]
    width = share * min(photo.width, photo.height * aspect)
    left, top = rng.uniform(0, photo.width - width), rng.uniform(0, photo.height - width / aspect)
    box = (left, top, left + width, top + width / aspect)
    crop = photo.resize(size_wh, PillowImage.Resampling.BILINEAR, box=box)
    if rng.random() < 0.5:
        crop = crop.transpose(PillowImage.Transpose.FLIP_LEFT_RIGHT)
    radius = rng.exponential(0.008) * max(size_wh) * (rng.random() < 0.6)
    return linear(np.asarray(crop.filter(ImageFilter.GaussianBlur(radius)))) * rng.uniform(0.5, 1.2)


def develop(rng: np.random.Generator, light: Floats) -> Image:
    """Linear light (H, W, 3) to a uint8 RGB photo: exposure, tone, colour, blur, noise, JPEG."""
    light = light * rng.uniform(0.75, 1.35)
    tone = np.clip(light, 0, 1) ** (1 / rng.uniform(1.9, 2.6)) * 255
    if rng.random() < 0.08:
        tone = np.repeat(tone @ np.array([[0.3], [0.59], [0.11]]), 3, axis=2)
    picture = PillowImage.fromarray(np.clip(tone, 0, 255).astype(np.uint8))
    picture = picture.filter(ImageFilter.GaussianBlur(rng.exponential(0.45)))
    noisy = np.asarray(picture, dtype=np.float32) + rng.normal(0, rng.exponential(4), light.shape)
    picture = PillowImage.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    buffer = BytesIO()
    picture.save(buffer, format="JPEG", quality=int(rng.integers(35, 96)))
    return np.array(PillowImage.open(buffer).convert("RGB"))
