"""Squares of photos through a network: the crops of all photos share its batches."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from facegeom.image.crop import Picture, cut
from facegeom.models.engine import Engine

FloatArray: TypeAlias = npt.NDArray[np.floating]

BATCH = 32


class Rows(Protocol):
    """Arrays with one shared leading axis, of which a part can be taken."""

    def __getitem__(self: "Answer", chosen: slice, /) -> "Answer": ...


Answer = TypeVar("Answer", bound=Rows)
Scalar = TypeVar("Scalar", bound=np.generic)


def read_squares(
    engine: Engine,
    pictures: Sequence[Picture],
    squares_xyxy: Sequence[FloatArray],
    size_px: int,
    reducing_gap: float,
) -> list[FloatArray]:
    """A network's outputs for the squares (K, 4) of each photo, photo after photo; at least one square.

    Args:
        engine: of the network.
        pictures: RGB.
        squares_xyxy: of each picture, pixels.
        size_px: side of the crops that the network takes.
        reducing_gap: see :func:`facegeom.image.crop.cut`.
    """
    crops = joined(
        [cut(photo, part, size_px, reducing_gap) for photo, part in zip(pictures, squares_xyxy, strict=True)]
    )
    parts = [engine(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
    return [joined(column) for column in zip(*parts, strict=True)]


def joined(parts: Sequence[npt.NDArray[Scalar]]) -> npt.NDArray[Scalar]:
    """One array of several; a single one as it is."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def per_photo(whole: Answer, squares_xyxy: Sequence[FloatArray]) -> list[Answer]:
    """What was said of all squares, cut apart by the photos that they come from."""
    ends = np.cumsum([len(part) for part in squares_xyxy]).tolist()
    return [whole[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
