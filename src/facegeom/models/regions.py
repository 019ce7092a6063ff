"""Region networks: a second, closer look at the eyes and at the mouth, as in Attention Mesh.

Grishchenko et al., "Attention Mesh: High-fidelity face mesh prediction in real-time", 2020. From a region's
own crop and its points as the face network sees them, its network predicts where they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_6d
from facegeom.geometry.schemes import IBUG68_MIRROR, IBUG68_REGIONS, SCHEMES
from facegeom.geometry.transforms import apply, box_to_square, invert
from facegeom.image.pyramid import Pyramid
from facegeom.image.rotated_crop import crop_affine
from facegeom.models.engine import Engine
from facegeom.models.face import FacePredictions

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]

CROP_PX = 64

RINGS = 2
"""Rings of mesh points around a region's outlines that move with them."""


@dataclass(frozen=True)
class Region:
    """A part of the face with a network of its own.

    Attributes:
        name: of the network.
        outlines: of the part, and of the mesh points that the network places with two rings around them.
        others: further outlines that it places.
        ibug68: regions of the 68 points that it places.
        spans: pairs of mesh points; the longest distance between two, in 3D, is the size of the part.
        scale: side of the crop in sizes of the part.
        paired: the part is the person's right one; the left one is seen mirrored.
    """

    name: str
    outlines: tuple[str, ...]
    others: tuple[str, ...]
    ibug68: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    scale: float
    paired: bool

    @cached_property
    def mesh_indices(self) -> IntArray:
        """Indices (S, K) of the mesh points, one row for the part and one for its mirror image, if any."""
        regions = SCHEMES["mesh478"].regions
        found = [point for name in self.outlines for point in regions[name]]
        edges = topology.edges()
        for _ in range(RINGS):
            touching = edges[np.isin(edges, found).any(axis=1)]
            found += sorted(set(touching.ravel().tolist()) - set(found))
        return self._sides(
            [*found, *(point for name in self.others for point in regions[name])], topology.mirror()
        )

    @cached_property
    def ibug68_indices(self) -> IntArray:
        """Indices (S, L) among the 68 points."""
        return self._sides([point for name in self.ibug68 for point in IBUG68_REGIONS[name]], IBUG68_MIRROR)

    @cached_property
    def span_indices(self) -> IntArray:
        """Indices (S, P, 2) of the ends of the spans."""
        return np.stack(
            [self._sides(ends, topology.mirror()) for ends in zip(*self.spans, strict=True)], axis=-1
        )

    def frames(self, mesh: FloatArray, rotation: FloatArray) -> FloatArray:
        """Return the maps (N, S, 2, 3) from units of the crops, upright on the face, to the unit of the mesh.

        Args:
            mesh: (N, 478, 3).
            rotation: (N, 3, 3) of the heads, as in :class:`facegeom.models.face.FaceGeometry`.
        """
        ends = mesh[:, self.span_indices].astype(np.float64)  # (N, S, P, 2, 3)
        side = np.linalg.norm(ends[..., 0, :] - ends[..., 1, :], axis=-1).max(axis=-1) * self.scale
        down = rotation[:, :2, 1] / np.maximum(
            np.linalg.norm(rotation[:, :2, 1], axis=-1, keepdims=True), 1e-6
        )
        right = np.stack([down[:, 1], -down[:, 0]], axis=-1)
        axes = np.stack([right, down], axis=-1)[:, None] * side[..., None, None]
        axes[:, 1:, :, 0] *= -1
        return np.concatenate([axes, ends[..., :2].mean(axis=(2, 3))[..., None]], axis=-1)

    def _sides(self, indices: Sequence[int], mirror: IntArray) -> IntArray:
        right = np.array(indices, np.intp)
        return np.stack([right, mirror[right]]) if self.paired else right[None]


EYES = Region(
    name="eyes",
    outlines=("eye_right",),
    others=("iris_right",),
    ibug68=("eye_right",),
    spans=((33, 133),),
    scale=2.0,
    paired=True,
)
MOUTH = Region(
    name="mouth",
    outlines=("lips_outer", "lips_inner"),
    others=(),
    ibug68=("lips_outer", "lips_inner"),
    spans=((61, 291), (0, 17)),
    scale=1.9,
    paired=False,
)
REGIONS = (EYES, MOUTH)

_UNIT_FROM_CROP = np.vstack([box_to_square(np.array([0, 0, CROP_PX, CROP_PX]) - 0.5, 1), (0, 0, 1)])


class RegionNet:
    """The network of a region with its pre- and post-processing.

    Args:
        region: the part of the face.
        engine: of the region's network.
    """

    def __init__(self, region: Region, engine: Engine) -> None:
        self.region, self.engine = region, engine

    def __call__(
        self, images: Sequence[Pyramid], predictions: Sequence[FacePredictions]
    ) -> list[FacePredictions]:
        """Look at the region of each image's faces and return the faces with its points replaced."""
        frames = [self._frames_in_image(each) for each in predictions]
        if not any(len(part) for part in frames):
            return list(predictions)
        crops = [
            crop_affine(image, (part @ _UNIT_FROM_CROP).reshape(-1, 2, 3), CROP_PX)
            for image, part in zip(images, frames, strict=True)
            if len(part)
        ]
        pixels = crops[0] if len(crops) == 1 else np.concatenate(crops)
        first = [self._first(each, part) for each, part in zip(predictions, frames, strict=True)]
        points, scale = self.engine.batched(pixels, first=np.concatenate(first))
        ends = accumulate((part.shape[0] * part.shape[1] for part in frames), initial=0)
        return [
            self._replaced(each, part, points[start:end], scale[start:end]) if len(part) else each
            for each, part, (start, end) in zip(predictions, frames, pairwise(ends), strict=True)
        ]

    def _frames_in_image(self, faces: FacePredictions) -> FloatArray:
        """Return the maps (N, S, 2, 3) from units of the region's crops to pixels of the image."""
        frames = self.region.frames(faces.mesh, rotation_from_6d(faces.rotation6d))
        low, high = faces.crop_xyxy[:, None, :2], faces.crop_xyxy[:, None, 2:]
        frames *= (high - low)[..., None]
        frames[..., 2] += (low + high) / 2
        return frames

    def _first(self, faces: FacePredictions, frames: FloatArray) -> FloatArray:
        """Return the points (N·S, K + L, 2) as the face network sees them, in units of the region's crops."""
        low, high = faces.crop_xyxy[:, None, :2], faces.crop_xyxy[:, None, 2:]
        mesh, landmarks = (
            faces.mesh[:, self.region.mesh_indices, :2],
            faces.landmarks[:, self.region.ibug68_indices],
        )
        in_crop = np.concatenate([mesh, landmarks], axis=2)
        in_image = in_crop * (high - low)[:, None] + ((low + high) / 2)[:, None]
        return apply(invert(frames), in_image).reshape(-1, in_crop.shape[2], 2).astype(np.float32)

    def _replaced(
        self, faces: FacePredictions, frames: FloatArray, points: FloatArray, scale: FloatArray
    ) -> FacePredictions:
        """Write points (N·S, K + L, 2) and expected errors (N·S, K + L) in units of the region's crops."""
        low, high = faces.crop_xyxy[:, None, None, :2], faces.crop_xyxy[:, None, None, 2:]
        in_image = apply(frames, points.reshape(*frames.shape[:2], -1, 2))
        in_crop = (in_image - (low + high) / 2) / (high - low)
        side = np.linalg.norm(frames[..., 1], axis=-1, keepdims=True)
        error = scale.reshape(in_crop.shape[:-1]) * side / (high - low)[..., 0]
        mesh_indices, ibug68_indices = self.region.mesh_indices, self.region.ibug68_indices
        count = mesh_indices.shape[1]
        names = ("mesh", "mesh_scale", "landmarks", "landmarks_scale")
        columns = {name: getattr(faces, name).copy() for name in names}
        columns["mesh"][:, mesh_indices, :2] = in_crop[:, :, :count]
        columns["mesh_scale"][:, mesh_indices] = error[:, :, :count]
        columns["landmarks"][:, ibug68_indices] = in_crop[:, :, count:]
        columns["landmarks_scale"][:, ibug68_indices] = error[:, :, count:]
        return replace(faces, **columns)
