"""Depth by the two networks: quantised depth from RGB, then millimetres from grey and that prediction.

Also the choice between them and the mesh, ``FaceAnalyzer(depth=...)``.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.depth.depth_map import SIZE_PX, DepthMap
from facegeom.depth.mesh_depth import mesh_depths
from facegeom.errors import InputError, shown
from facegeom.geometry.camera import pinhole_of_mesh
from facegeom.image.photo import Photo
from facegeom.image.rotated_crop import crop_rotated
from facegeom.models import weights
from facegeom.models.engine import Engine

FloatArray: TypeAlias = npt.NDArray[np.floating]

DEFAULT = "mesh"
"""Source of depth unless one is named: "mesh" or "network"."""

GREY = np.array((0.299, 0.587, 0.114), np.float32)
FACE = 0.5
"""Least probability of a face for a pixel to be trusted."""


class PlacedMeshes(NamedTuple):
    """Meshes of the N faces of one photo.

    Attributes:
        mesh_px: (N, 478, 3) pixels of the photo, z on the same scale.
        mesh_mm: (N, 478, 3) camera frame, millimetres.
        translation_mm: (N, 3) the heads' origins in the camera frame.
    """

    mesh_px: FloatArray
    mesh_mm: FloatArray
    translation_mm: FloatArray


class DepthSource(Protocol):
    """Makes depth maps for the faces of photos."""

    def __call__(self, photos: Sequence[Photo], meshes: Sequence[PlacedMeshes]) -> list[tuple[DepthMap, ...]]:
        """Return a depth map for each face of each photo."""
        ...


def depth_source(wanted: bool | str, device: str = "cpu", threads: int | None = None) -> DepthSource | None:
    """Make the source that ``FaceAnalyzer(depth=...)`` names; None for no depth.

    Raises:
        InputError: neither a bool nor "mesh" or "network".
        WeightsError: "network", and a weight file is missing.
    """
    if wanted is False:
        return None
    name = DEFAULT if wanted is True else wanted if isinstance(wanted, str) else None
    if name == "mesh":
        return MeshDepth()
    if name == "network":
        return NetworkDepth(*(Engine(weights.path(stage), device, threads) for stage in ("depth1", "depth2")))
    raise InputError(f"depth: expected True, False, 'mesh' or 'network', got {shown(wanted)}")


class MeshDepth:
    """Depth by the z-buffered mesh; the pixels are not used."""

    def __call__(self, photos: Sequence[Photo], meshes: Sequence[PlacedMeshes]) -> list[tuple[DepthMap, ...]]:
        """Return a depth map for each face of each photo."""
        return [tuple(mesh_depths(each.mesh_px, each.mesh_mm)) for each in meshes]


class NetworkDepth:
    """Both networks with their crops and the way back into the camera frame.

    Args:
        first: engine of stage I.
        second: engine of stage II.
    """

    def __init__(self, first: Engine, second: Engine) -> None:
        self.first, self.second = first, second

    def __call__(self, photos: Sequence[Photo], meshes: Sequence[PlacedMeshes]) -> list[tuple[DepthMap, ...]]:
        """Return a depth map for each face of each photo; all photos' faces share the networks' calls."""
        if not any(len(each.mesh_px) for each in meshes):
            return [() for _ in meshes]
        by_mesh = [mesh_depths(each.mesh_px, each.mesh_mm) for each in meshes]
        crops = [
            crop_rotated(
                photo.pyramid,
                photo.to_decoded(np.array([depth.image_from_depth for depth in depths]).reshape(-1, 2, 3)),
                SIZE_PX,
            )
            for photo, depths in zip(photos, by_mesh, strict=True)
        ]
        behind, probability = self.predict(np.concatenate(crops))
        rows = iter(zip(behind, probability, strict=True))
        return [
            tuple(
                align_to_mesh(*next(rows), depth, *(part[index] for part in placed))
                for index, depth in enumerate(depths)
            )
            for depths, placed in zip(by_mesh, meshes, strict=True)
        ]

    def predict(self, crops: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
        """Predict millimetres behind the nose tip and probabilities of a face.

        Args:
            crops: (N, 160, 160, 3) uint8 RGB, N > 0.

        Returns:
            Two arrays (N, 80, 80).
        """
        coarse, probability = self.first.batched(crops, outputs=2)  # the classes' logits are a megabyte each
        return self.second.batched(np.stack([crops @ GREY, coarse], axis=-1))[0], probability


def align_to_mesh(
    behind_mm: FloatArray,
    probability: FloatArray,
    mesh_depth: DepthMap,
    mesh_px: FloatArray,
    mesh_mm: FloatArray,
    translation_mm: FloatArray,
) -> DepthMap:
    """Carry a network's prediction into the camera frame, where the mesh of the same face is.

    The prediction runs along the line of sight to the head from the nose tip; it is moved along that line
    until its median difference from the mesh is 0. The face is where the mesh is.

    Args:
        behind_mm: (80, 80) millimetres behind the nose tip.
        probability: (80, 80) of a face, in [0, 1].
        mesh_depth: depth map of the mesh.
        mesh_px: (478, 3) pixels of the photo.
        mesh_mm: (478, 3) camera frame.
        translation_mm: (3,) the head's origin in the camera frame.
    """
    sight = translation_mm.astype(np.float64)
    unit = sight / np.linalg.norm(sight)
    focal_px, centre_px = pinhole_of_mesh(mesh_px, mesh_mm)
    ray = (mesh_depth.pixels_xy() - centre_px) / focal_px
    along_sight = np.asarray(ray @ unit[:2] + unit[2])  # distance along the line of sight for 1 mm of z
    behind, trusted = _double(behind_mm), mesh_depth.mask & (_double(probability) > FACE)
    where = trusted if trusted.any() else mesh_depth.mask
    if not where.any():
        return mesh_depth
    start = np.median((mesh_depth.z_mm * along_sight - behind)[where])
    z_mm = np.where(mesh_depth.mask, (start + behind) / along_sight, 0)
    return DepthMap(z_mm, mesh_depth.image_from_depth)


def _double(values: FloatArray) -> FloatArray:
    """Resize (80, 80) to (160, 160), bilinear."""
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BILINEAR))
