"""Point schemes: what each index means, which index mirrors which, how points are joined in a drawing."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError, shown
from facegeom.geometry import topology

FloatArray = npt.NDArray[np.floating]

IBUG68_REGIONS: dict[str, tuple[int, ...]] = {
    "jaw": tuple(range(0, 17)),
    "brow_right": tuple(range(17, 22)),
    "brow_left": tuple(range(22, 27)),
    "nose_bridge": tuple(range(27, 31)),
    "nose_base": tuple(range(31, 36)),
    "eye_right": tuple(range(36, 42)),
    "eye_left": tuple(range(42, 48)),
    "lips_outer": tuple(range(48, 60)),
    "lips_inner": tuple(range(60, 68)),
}
"""Right and left are the person's own."""

IBUG68_EYE_CORNERS = (36, 45)
"""The outer corners; their distance is the inter-ocular distance of the 68-point error."""

MESH478_EYE_CORNERS = (33, 263)
"""Outer eye corners of the 478-point mesh; their distance scales the mesh's error."""

MESH478_EYE_ENDS = ((33, 133), (263, 362))
"""Outer and inner corner of the person's right and left eye in the mesh."""

MESH478_LIDS = (((160, 144), (159, 145), (158, 153)), ((387, 373), (386, 374), (385, 380)))
"""Upper and lower lid of the right and the left eye at three places in the middle."""

MESH478_IRISES = (range(468, 473), range(473, 478))
"""Centre and four rim points of the person's right and left iris."""

ARKIT52 = (
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    *("cheekPuff", "cheekSquintLeft", "cheekSquintRight"),
    *("eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft"),
    *("eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight"),
    *("eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight"),
    *("jawForward", "jawLeft", "jawOpen", "jawRight"),
    *("mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight"),
    *("mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft"),
    *("mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper"),
    *("mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft"),
    *("mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight"),
    "tongueOut",
)
"""Names of the expression coefficients, as ARKit has them; left and right are the person's own."""

_OUTLINES: dict[str, tuple[int, ...]] = {
    "oval": (
        *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
        *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
    ),
    "brow_right": (46, 53, 52, 65, 55, 107, 66, 105, 63, 70),
    "brow_left": (276, 283, 282, 295, 285, 336, 296, 334, 293, 300),
    "eye_right": (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    "eye_left": (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
    "lips_outer": (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
    "lips_inner": (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
}


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


LIPS_PAIRS = [(0, 6), (1, 5), (2, 4), (11, 7), (10, 8), (12, 16), (13, 15), (19, 17)]
"""Mirrored pairs of the 20 points of the lips, counted from the right corner of the mouth."""


def lips_pairs(first: int) -> list[tuple[int, int]]:
    """Return the mirrored pairs of the lips whose right corner has the index ``first``."""
    return [(first + right, first + left) for right, left in LIPS_PAIRS]


def ibug68() -> Scheme:
    """Build 300W's markup (Sagonas et al., 2013), that of Multi-PIE."""
    open_paths = ("jaw", "brow_right", "brow_left", "nose_bridge", "nose_base")
    return build(
        "ibug68",
        IBUG68_REGIONS,
        [
            *zip(range(0, 8), range(16, 8, -1), strict=True),
            *zip(range(17, 22), range(26, 21, -1), strict=True),
            *((31, 35), (32, 34)),
            *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
            *lips_pairs(48),
        ],
        [indices if name in open_paths else closed(indices) for name, indices in IBUG68_REGIONS.items()],
        eye_corners=IBUG68_EYE_CORNERS,
        pupils=(IBUG68_REGIONS["eye_right"], IBUG68_REGIONS["eye_left"]),
    )


def mesh478() -> Scheme:
    """Build the dense mesh; regions are outlines, irises, and ``skin`` for all other points."""
    right, left = MESH478_IRISES
    named = {**_OUTLINES, "iris_right": tuple(right), "iris_left": tuple(left)}
    taken = {index for indices in named.values() for index in indices}
    named["skin"] = tuple(index for index in range(478) if index not in taken)
    pairs = [(index, int(image)) for index, image in enumerate(topology.mirror()) if index < image]
    edges = [(int(first), int(second)) for first, second in topology.edges()]
    rims = [closed(iris[1:]) for iris in MESH478_IRISES]
    pupils = ((right[0],), (left[0],))
    return build("mesh478", named, pairs, [*edges, *rims], MESH478_EYE_CORNERS, pupils)


class Schemes(Mapping[str, Scheme]):
    """Schemes by name, each built when it is first asked for: the mesh's needs a file."""

    def __init__(self, *builders: Callable[[], Scheme]) -> None:
        self._builders = {builder.__name__: builder for builder in builders}
        self._built: dict[str, Scheme] = {}

    def __getitem__(self, name: str) -> Scheme:
        if name not in self._built:
            self._built[name] = self._builders[name]()
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        return name in self._builders

    def __iter__(self) -> Iterator[str]:
        return iter(self._builders)

    def __len__(self) -> int:
        return len(self._builders)


SCHEMES: Mapping[str, Scheme] = Schemes(ibug68, mesh478)
"""ibug68 and mesh478, the points of every face."""

IBUG68_MIRROR = SCHEMES["ibug68"].mirror
"""(68,) index of each point's mirror image."""

_FIVE = (IBUG68_REGIONS["eye_right"], IBUG68_REGIONS["eye_left"], (30,), (48,), (54,))


def five_from_68(landmarks68: FloatArray) -> FloatArray:
    """Return eye centres (person's right first), nose tip, mouth corners, (..., 5, D), from (..., 68, D)."""
    return means_of(landmarks68, _FIVE)


def means_of(points: FloatArray, picks: tuple[tuple[int, ...], ...]) -> FloatArray:
    """Return the means (..., K, D) of K groups of points (..., P, D)."""
    return np.stack([points[..., list(pick), :].mean(axis=-2) for pick in picks], axis=-2)


def _each(first: int, end: int) -> tuple[tuple[int, ...], ...]:
    return tuple((index,) for index in range(first, end))


DERIVED: dict[str, tuple[str, tuple[tuple[int, ...], ...]]] = {
    "five": ("ibug68", _FIVE),
    "eyes": ("ibug68", _FIVE[:2]),
    "inner51": ("ibug68", _each(17, 68)),
    "mouth20": ("ibug68", _each(48, 68)),
    "mesh468": ("mesh478", _each(0, 468)),
    "irises": ("mesh478", _each(468, 478)),
}
"""Schemes whose points are means of others: their source, and the groups of its points."""


def convert(scheme: str, landmarks68: FloatArray, mesh478: FloatArray) -> npt.NDArray[np.float32]:
    """Return the points (..., K, D) of a scheme from points (..., 68, D) and (..., 478, D).

    Raises:
        InputError: the scheme is none of "ibug68", "mesh478" and :data:`DERIVED`.
    """
    sources = {"ibug68": landmarks68, "mesh478": mesh478}
    known = (*sources, *DERIVED)
    if not (isinstance(scheme, str) and scheme in known):
        raise InputError(f"scheme: expected one of {', '.join(known)}, got {shown(scheme)}")
    source, groups = DERIVED.get(scheme, (scheme, None))
    points = sources[source]
    return np.asarray(points if groups is None else means_of(points, groups), np.float32)
