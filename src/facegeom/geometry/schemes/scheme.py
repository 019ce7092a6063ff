"""What a point scheme is: the meaning of each index, its mirror image, how the points are joined."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Scheme:
    """An order of K points on a face. Right and left are the person's own.

    Attributes:
        name: key in ``SCHEMES``.
        count: K.
        mirror: (K,) intp, read-only: index of each point's image when the picture is mirrored.
        lines: pairs of indices to join in a drawing.
        regions: indices by part of the face; together every index once.
        eye_corners: outer corners of the right and the left eye, None where the scheme has none. Their
            distance is the inter-ocular distance.
        pupils: indices whose means are the right and the left pupil, None where the scheme has none.
    """

    name: str
    count: int
    mirror: npt.NDArray[np.intp]
    lines: tuple[tuple[int, int], ...]
    regions: dict[str, tuple[int, ...]]
    eye_corners: tuple[int, int] | None = None
    pupils: tuple[tuple[int, ...], tuple[int, ...]] | None = None


def build(
    name: str,
    regions: Mapping[str, Iterable[int]],
    pairs: Iterable[tuple[int, int]],
    paths: Iterable[Sequence[int]],
    eye_corners: tuple[int, int] | None = None,
    pupils: tuple[tuple[int, ...], tuple[int, ...]] | None = None,
) -> Scheme:
    """Build a scheme from pairs of mirrored points and the paths to draw.

    Args:
        name: key in ``SCHEMES``.
        regions: indices by part of the face; they decide the count.
        pairs: a right point and its left image; points in no pair lie in the middle.
        paths: indices joined one after the other.
        eye_corners: see :class:`Scheme`.
        pupils: see :class:`Scheme`.
    """
    indices = {region: tuple(members) for region, members in regions.items()}
    mirror = np.arange(sum(map(len, indices.values())), dtype=np.intp)
    for right, left in pairs:
        mirror[right], mirror[left] = left, right
    mirror.setflags(write=False)
    lines = tuple(line for path in paths for line in pairwise(path))
    return Scheme(name, len(mirror), mirror, lines, indices, eye_corners, pupils)


def closed(path: Iterable[int]) -> tuple[int, ...]:
    """Return the path with its first index appended."""
    indices = tuple(path)
    return (*indices, indices[0])
