"""An image and its downscaled levels, which the stages share."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
ToSrgb: TypeAlias = Callable[[Image.Image], Image.Image]


class Pyramid:
    """An image and its levels at 1/2, 1/3, … of the size, each made once, on demand.

    The detector makes coarse levels; crops are then cut from them in less time.

    Args:
        image: (H, W, 3) uint8 RGB, or an RGB image of Pillow.
        to_srgb: converts images of this one's colour space; None if it is sRGB. What is used is converted,
            after it was made smaller: that is a small part of a large photo.

    Attributes:
        levels: the levels that were made, by downscale factor, as stored; 1 is the image itself.
        size_wh: width and height of the image, pixels.
    """

    levels: dict[int, Image.Image]
    size_wh: tuple[int, int]

    def __init__(self, image: UInt8Array | Image.Image, to_srgb: ToSrgb | None = None) -> None:
        self.to_srgb = to_srgb
        self._converted: dict[int, Image.Image] = {}
        self._array: UInt8Array | None
        if isinstance(image, Image.Image):
            self._array, self.levels, self.size_wh = None, {1: image}, image.size
        else:
            self._array, self.levels, self.size_wh = image, {}, (image.shape[1], image.shape[0])

    @property
    def stored(self) -> UInt8Array:
        """The image in the colours of its file, (H, W, 3) uint8."""
        return np.asarray(self.levels[1]) if self._array is None else self._array

    @property
    def pixels(self) -> UInt8Array:
        """The image as an array (H, W, 3) uint8 sRGB."""
        return self.stored if self.to_srgb is None else np.asarray(self.level(1))

    def level(self, factor: int) -> Image.Image:
        """Return the level whose pixels are means of ``factor`` x ``factor`` pixels of the image, in sRGB."""
        levels = self.levels
        if factor not in levels:
            if 1 not in levels:
                levels[1] = Image.fromarray(self.stored)
            nearest = max(each for each in levels if factor % each == 0)
            if nearest != factor:
                levels[factor] = levels[nearest].reduce(factor // nearest)
        if self.to_srgb is None:
            return levels[factor]
        if factor not in self._converted:
            self._converted[factor] = self.to_srgb(levels[factor])
        return self._converted[factor]

    def part(self, factor: int, box: Sequence[int]) -> Image.Image:
        """Return the pixels left, top, right and bottom of a level without making the whole level."""
        self.level(1)
        edges = [min(edge * factor, side) for edge, side in zip(box, self.size_wh * 2, strict=True)]
        part = self.levels[1].reduce(factor, (edges[0], edges[1], edges[2], edges[3]))
        return part if self.to_srgb is None else self.to_srgb(part)
