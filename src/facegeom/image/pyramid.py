"""An image and its downscaled levels, which the stages share."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
ToSrgb: TypeAlias = Callable[[Image.Image], Image.Image]
Box: TypeAlias = tuple[int, int, int, int]


BAND_PIXELS = 1 << 19
"""Pixels of an array that are converted at once: few enough to stay in the processor's cache."""


class Pyramid:
    """An image and its levels at 1/2, 1/3, … of the size, each made once, on demand.

    The detector makes coarse levels; crops are then cut from them in less time. A large array is never
    converted whole to an image of Pillow, unless its level 1 is wanted.

    Args:
        image: (H, W, 3) uint8 RGB, or an RGB image of Pillow.
        to_srgb: converts images of this one's colour space; None if it is sRGB. What is used is converted,
            after it was made smaller: that is a small part of a large photo.

    Attributes:
        image: as it was given.
        levels: the levels that were made, by downscale factor, as stored; 1 is the image itself.
        size_wh: width and height of the image, pixels.
    """

    image: UInt8Array | Image.Image
    levels: dict[int, Image.Image]
    size_wh: tuple[int, int]

    def __init__(self, image: UInt8Array | Image.Image, to_srgb: ToSrgb | None = None) -> None:
        self.image, self.to_srgb = image, to_srgb
        self._converted: dict[int, Image.Image] = {}
        if isinstance(image, Image.Image):
            self.levels, self.size_wh = {1: image}, image.size
        else:
            self.levels, self.size_wh = {}, (image.shape[1], image.shape[0])

    @property
    def stored(self) -> UInt8Array:
        """The image in the colours of its file, (H, W, 3) uint8."""
        return np.asarray(self.image)

    @property
    def pixels(self) -> UInt8Array:
        """The image as an array (H, W, 3) uint8 sRGB."""
        return self.stored if self.to_srgb is None else np.asarray(self.level(1))

    def level(self, factor: int) -> Image.Image:
        """Return the level whose pixels are means of ``factor`` x ``factor`` pixels of the image, in sRGB."""
        levels, (width, height) = self.levels, self.size_wh
        if 1 not in levels and (factor == 1 or width * height <= BAND_PIXELS):
            levels[1] = Image.fromarray(self.stored)
        if factor not in levels:
            nearest = max((each for each in levels if factor % each == 0), default=None)
            levels[factor] = (
                self.means(factor, (0, 0, width, height))
                if nearest is None
                else levels[nearest].reduce(factor // nearest)
            )
        if self.to_srgb is None:
            return levels[factor]
        if factor not in self._converted:
            self._converted[factor] = self.to_srgb(levels[factor])
        return self._converted[factor]

    def made(self, factor: int) -> Image.Image | None:
        """Return the level in sRGB if it was made of the image itself, and nothing is left to do for it."""
        if any(1 < each < factor and factor % each == 0 for each in self.levels):
            return None  # a mean of rounded means
        return (self.levels if self.to_srgb is None else self._converted).get(factor)

    def part(self, factor: int, box: Box) -> Image.Image:
        """Return the pixels left, top, right and bottom of a level without making the whole level."""
        left, top, right, bottom = (
            min(edge * factor, side) for edge, side in zip(box, self.size_wh * 2, strict=True)
        )
        part = self.means(factor, (left, top, right, bottom))
        return part if self.to_srgb is None else self.to_srgb(part)

    def means(self, factor: int, box: Box) -> Image.Image:
        """Return the means of ``factor`` x ``factor`` pixels in a box of pixels, in the colours of the file.

        An array is converted band by band.
        """
        if 1 in self.levels:
            return self.levels[1].reduce(factor, box)
        left, top, right, bottom = box
        stored, rows = self.stored[:bottom], max(1, BAND_PIXELS // ((right - left) * factor)) * factor

        def band(start: int) -> Image.Image:
            converted = Image.fromarray(np.ascontiguousarray(stored[start : start + rows, left:right]))
            return converted if factor == 1 else converted.reduce(factor)

        if rows >= bottom - top:
            return band(top)
        means = Image.new("RGB", (-(-(right - left) // factor), -(-(bottom - top) // factor)))
        for start in range(top, bottom, rows):
            means.paste(band(start), (0, (start - top) // factor))
        return means
