"""An image and its downscaled levels, which the stages share."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

UInt8Array: TypeAlias = npt.NDArray[np.uint8]


class Pyramid:
    """An image and its levels at 1/2, 1/3, … of the size, each made once, on demand.

    The detector makes coarse levels; crops are then cut from them in less time.

    Args:
        image: (H, W, 3) uint8 RGB, or an RGB image of Pillow.

    Attributes:
        levels: the levels that were made, by downscale factor; 1 is the image itself.
        size_wh: width and height of the image, pixels.
    """

    levels: dict[int, Image.Image]
    size_wh: tuple[int, int]

    def __init__(self, image: UInt8Array | Image.Image) -> None:
        self._array: UInt8Array | None
        if isinstance(image, Image.Image):
            self._array, self.levels, self.size_wh = None, {1: image}, image.size
        else:
            self._array, self.levels, self.size_wh = image, {}, (image.shape[1], image.shape[0])

    @property
    def pixels(self) -> UInt8Array:
        """The image as an array (H, W, 3) uint8 RGB."""
        return np.asarray(self.levels[1]) if self._array is None else self._array

    def level(self, factor: int) -> Image.Image:
        """Return the level whose pixels are means of ``factor`` x ``factor`` pixels of the image."""
        levels = self.levels
        if factor not in levels:
            if 1 not in levels:
                levels[1] = Image.fromarray(self.pixels)
            nearest = max(each for each in levels if factor % each == 0)
            if nearest != factor:
                levels[factor] = levels[nearest].reduce(factor // nearest)
        return levels[factor]
