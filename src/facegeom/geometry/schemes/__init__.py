"""Point schemes: what each index means, which index mirrors which, how points are joined in a drawing."""

from collections.abc import Callable, Iterator, Mapping

from facegeom.geometry.schemes import contours, mesh, sparse
from facegeom.geometry.schemes.contours import IBUG68_EYE_CORNERS, IBUG68_REGIONS
from facegeom.geometry.schemes.convert import facepoints14_from_68, five_from_68
from facegeom.geometry.schemes.mesh import MESH478_EYE_CORNERS, MESH478_IRISES
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
    *(sparse.celeba5, sparse.facepoints14, sparse.aflw19, sparse.aflw21, sparse.cofw29),
    *(contours.ibug68, contours.wflw98, contours.lapa106, mesh.mesh478),
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
