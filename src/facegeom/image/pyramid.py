"""A picture and smaller copies of it, which the stages share."""

from PIL import Image


class Levels:
    """A picture and its copies at 1/2, 1/3, … of the size, each made once, when it is asked for.

    The detector looks from afar; the crops are then cut in less time from what it left.

    Args:
        whole: the picture.
    """

    def __init__(self, whole: Image.Image) -> None:
        self.whole = whole
        self._copies = {1: whole}

    @classmethod
    def of(cls, picture: "Image.Image | Levels") -> "Levels":
        """The same, or a picture without copies yet."""
        return picture if isinstance(picture, Levels) else cls(picture)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole picture."""
        return self.whole.size

    def at(self, factor: int) -> Image.Image:
        """The copy of which a pixel is the mean of ``factor`` x ``factor`` of the picture's."""
        if factor not in self._copies:
            nearest = max(each for each in self._copies if factor % each == 0)
            self._copies[factor] = self._copies[nearest].reduce(factor // nearest)
        return self._copies[factor]

    def smallest(self, most: float) -> tuple[Image.Image, int]:
        """Of the copies that were made the one of the largest factor up to ``most``, and this factor."""
        factor = max(each for each in self._copies if each <= max(1, most))
        return self._copies[factor], factor
