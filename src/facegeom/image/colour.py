"""Embedded colour profiles: their colours in sRGB, which the networks were trained on."""

from functools import lru_cache, partial
from io import BytesIO
from typing import Any, cast

import numpy as np
from PIL import Image

from facegeom.image.pyramid import ToSrgb

SAME_LEVELS = 2
"""Largest difference, in levels of 255, of a profile that counts as sRGB itself."""

MAX_PROFILE_BYTES = 1 << 24

_MODES = {"L": "L", "LA": "L", "1": "L", "CMYK": "CMYK", "LAB": "LAB"}
"""The form in which images of a mode are converted; others as RGB."""


def converter(mode: str, profile: bytes | None) -> ToSrgb | None:
    """Return the function that converts images to sRGB by their colour profile.

    The rendering intent is perceptual: for the profiles of cameras and phones, a matrix and three curves, it
    is the same as relative colorimetric; where a profile holds tables (CMYK, scanners) it keeps the
    gradation of what sRGB cannot show, and black stays black.

    Args:
        mode: of the images, 8 bits a channel; an alpha channel will be left out.
        profile: ICC profile; LAB images need none.

    Returns:
        Function to RGB; None where the profile is sRGB, or is ignored as viewers do: it is damaged, or of
        another colour space than the image.
    """
    mode = _MODES.get(mode, "RGB")
    if not profile and mode != "LAB":
        return None
    transform = _transform(profile or b"", mode)
    return None if transform is None else partial(_apply, transform, mode)


def _apply(transform: Any, mode: str, image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    given = image if image.mode == mode else image.convert(mode)
    return cast(Image.Image, ImageCms.applyTransform(given, transform))


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> Any:
    """Return the transform from a profile to sRGB, None where there is nothing to convert."""
    if len(profile) > MAX_PROFILE_BYTES:
        return None
    try:
        from PIL import ImageCms

        own = ImageCms.ImageCmsProfile(BytesIO(profile)) if profile else ImageCms.createProfile("LAB")
        srgb, intent = ImageCms.createProfile("sRGB"), ImageCms.Intent.PERCEPTUAL
        transform = ImageCms.buildTransform(own, srgb, mode, "RGB", renderingIntent=intent)
        return None if _changes_nothing(transform, mode) else transform
    except Exception:  # a damaged profile, or a Pillow without littleCMS
        return None


def _changes_nothing(transform: Any, mode: str) -> bool:
    """Return whether a transform leaves RGB or grey as it is, by the colours of a lattice."""
    from PIL import ImageCms

    if mode not in ("RGB", "L"):
        return False
    steps = np.linspace(0, 255, 18).astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 18, 3)
    if mode == "L":
        lattice = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    before = Image.fromarray(lattice)
    after = ImageCms.applyTransform(before.convert(mode), transform)
    return bool(np.abs(np.asarray(after).astype(int) - lattice).max() <= SAME_LEVELS)
