"""Point schemes: what each index means, which index mirrors which, how points are joined in a drawing."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from facegeom.geometry.schemes import markups
from facegeom.geometry.schemes.markups import (
    IBUG68_EYE_CORNERS,
    IBUG68_REGIONS,
    MESH478_EYE_CORNERS,
    MESH478_IRISES,
)
from facegeom.geometry.schemes.scheme import Scheme

__all__ = [
    "IBUG68_EYE_CORNERS",
    "IBUG68_MIRROR",
    "IBUG68_REGIONS",
    "MESH478_EYE_CORNERS",
    "MESH478_IRISES",
    "SCHEMES",
    "Scheme",
    "facepoints14_from_68",
    "five_from_68",
]

_BUILDERS: tuple[Callable[[], Scheme], ...] = (
    *(markups.celeba5, markups.facepoints14, markups.aflw19, markups.aflw21, markups.cofw29),
    *(markups.ibug68, markups.wflw98, markups.lapa106, markups.mesh478),
)


class _Schemes(Mapping[str, Scheme]):
    """Schemes by name, each built when it is first asked for: the mesh's needs a file."""

    def __init__(self, builders: tuple[Callable[[], Scheme], ...]) -> None:
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


SCHEMES: Mapping[str, Scheme] = _Schemes(_BUILDERS)
"""celeba5, facepoints14, aflw19, aflw21, cofw29, ibug68, wflw98, lapa106, mesh478."""

IBUG68_MIRROR = SCHEMES["ibug68"].mirror
"""(68,) index of each point's mirror image."""

FloatArray = npt.NDArray[np.floating]

_EYES = (IBUG68_REGIONS["eye_right"], IBUG68_REGIONS["eye_left"])
_FIVE = (*_EYES, (30,), (48,), (54,))
_FOURTEEN = (
    *((17,), (21,), (22,), (26,)),
    *((36,), _EYES[0], (39,), (42,), _EYES[1], (45,)),
    *((30,), (48,), (57,), (54,)),
)


def five_from_68(landmarks68: FloatArray) -> FloatArray:
    """Return eye centres (person's right first), nose tip, mouth corners, (..., 5, D), from (..., 68, D)."""
    return _means(landmarks68, _FIVE)


def facepoints14_from_68(landmarks68: FloatArray) -> FloatArray:
    """Return the points (..., 14, D) of the scheme ``facepoints14`` from (..., 68, D).

    They are brow ends, eye corners with the mean of each eye's contour between them, nose tip, mouth
    corners with the middle of the lower lip's lower edge between them.
    """
    return _means(landmarks68, _FOURTEEN)


def _means(points: FloatArray, picks: tuple[tuple[int, ...], ...]) -> FloatArray:
    return np.stack([points[..., list(pick), :].mean(axis=-2) for pick in picks], axis=-2)
