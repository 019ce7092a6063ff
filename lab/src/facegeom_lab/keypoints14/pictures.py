"""Pictures of a folder as squares of one size, read when they are needed."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from facegeom.image import reading


class Squares:
    """Pictures stretched to squares; as many as the memory allows are kept once they were read.

    Args:
        paths: of the pictures.
        side: of the squares, pixels.
        cached_mb: memory for those that are kept, 2**20 bytes each.
    """

    def __init__(self, paths: Sequence[Path], side: int, cached_mb: int = 0) -> None:
        self.paths, self.side = paths, side
        self._room = cached_mb * 2**20 // (3 * side**2)
        self._kept: dict[int, tuple[np.ndarray, tuple[int, int]]] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, tuple[int, int]]:
        """The square (S, S, 3) uint8 RGB, and width and height of the picture it was made from.

        Raises:
            ImageError: the picture cannot be read.
        """
        if index in self._kept:
            return self._kept[index]
        picture = reading.read(self.paths[index])
        square = reading.resize(picture, (self.side, self.side))
        answer = square, (picture.shape[1], picture.shape[0])
        if len(self._kept) < self._room:
            self._kept[index] = answer
        return answer


def channel_statistics(squares: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean (3,) and standard deviation (3,), at least 1, of each channel over all pixels, in [0, 255]."""
    count, total, squared = 0, np.zeros(3), np.zeros(3)
    for square in squares:
        values = square.reshape(-1, 3).astype(np.float64)
        count += len(values)
        total += values.sum(axis=0)
        squared += (values**2).sum(axis=0)
    mean = total / count
    return mean, np.maximum(np.sqrt(np.maximum(squared / count - mean**2, 0)), 1)
