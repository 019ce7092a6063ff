"""Where the depth maps of an analyzer come from."""

from collections.abc import Sequence
from typing import Protocol

from facegeom.depth import DEFAULT
from facegeom.depth.depth_map import DepthMap
from facegeom.depth.mesh_depth import mesh_depths
from facegeom.depth.two_stage import DepthPredictor
from facegeom.errors import InputError
from facegeom.image.crop import Picture
from facegeom.models import weights
from facegeom.models.engine import Engine
from facegeom.results import Faces


class DepthSource(Protocol):
    """What gives depth maps to the faces of photos."""

    def __call__(self, pictures: Sequence[Picture], faces: Sequence[Faces]) -> list[tuple[DepthMap, ...]]: ...


class MeshDepth:
    """The z-buffered mesh: no network, the photo is not looked at."""

    def __call__(self, pictures: Sequence[Picture], faces: Sequence[Faces]) -> list[tuple[DepthMap, ...]]:
        return [tuple(mesh_depths(each.mesh_px, each.mesh_mm)) for each in faces]


def depth_source(wanted: bool | str, device: str = "cpu", threads: int | None = None) -> DepthSource | None:
    """What ``FaceAnalyzer(depth=...)`` asks for; None for no depth.

    Raises:
        InputError: neither a bool nor "mesh" or "network".
        WeightsError: "network", and a weight file is missing.
    """
    if wanted is False:
        return None
    name = DEFAULT if wanted is True else wanted
    if name == "mesh":
        return MeshDepth()
    if name == "network":
        return DepthPredictor(
            *(Engine(weights.path(stage), device, threads) for stage in ("depth1", "depth2"))
        )
    raise InputError(f"depth: expected True, False, 'mesh' or 'network', got {wanted!r}")
