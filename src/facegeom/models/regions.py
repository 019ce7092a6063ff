"""Region networks: a second, closer look at the eyes and at the mouth, as in Attention Mesh.

Grishchenko et al., "Attention Mesh: High-fidelity face mesh prediction in real-time", 2020. From a region's
own crop and its points as the face network sees them, its network predicts where they are. Expected errors
stay the face network's: they tell good points from bad ones better than those learned here did.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_6d, upright_axes
from facegeom.geometry.schemes import IBUG68_MIRROR, IBUG68_REGIONS, MESH478_EYE_ENDS, SCHEMES
from facegeom.geometry.transforms import apply, box_to_square, invert
from facegeom.image.pyramid import Pyramid
from facegeom.image.rotated_crop import crop_affine
from facegeom.models.engine import Engine
from facegeom.models.face import FacePredictions

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]

CROP_PX = 64

FEATURES = 3 * 544
"""Features of both eyes and the mouth."""

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
        length = np.linalg.norm(ends[..., 0, :] - ends[..., 1, :], axis=-1).max(axis=-1)
        side = np.maximum(length, 1e-6) * self.scale
        axes = upright_axes(rotation)[:, None] * side[..., None, None]
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
    spans=MESH478_EYE_ENDS[:1],
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


class RegionNets:
    """The networks of all regions with their pre- and post-processing.

    Args:
        engines: of the regions' networks, in the order of :data:`REGIONS`.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = tuple(engines)

    def __call__(
        self, images: Sequence[Pyramid], predictions: Sequence[FacePredictions]
    ) -> tuple[list[FacePredictions], list[FloatArray]]:
        """Look at the regions of each image's faces.

        Returns:
            The faces with their points replaced; features (K, 1632) of what is seen of right eye, left eye,
            mirrored, and mouth.
        """
        faces = reduce(FacePredictions.joined, predictions)
        if not len(faces.score):
            return list(predictions), [np.zeros((0, FEATURES), np.float32) for _ in predictions]
        ends = [0, *accumulate(len(each.score) for each in predictions)]
        low, high = faces.crop_xyxy[:, None, :2], faces.crop_xyxy[:, None, 2:]
        size, centre = high - low, (low + high) / 2
        rotation = rotation_from_6d(faces.rotation6d)
        frames = np.concatenate([each.frames(faces.mesh, rotation) for each in REGIONS], axis=1)
        in_image = frames * size[..., None]  # before, in units of the face's crop
        in_image[..., 2] += centre
        maps, from_frames = in_image @ _UNIT_FROM_CROP, invert(frames)
        crops = [
            crop_affine(image, maps[start:end].reshape(-1, 2, 3), CROP_PX)
            for image, (start, end) in zip(images, pairwise(ends), strict=True)
        ]
        pixels = np.concatenate(crops).reshape(*frames.shape[:2], CROP_PX, CROP_PX, 3)
        better_mesh, better_landmarks = faces.mesh.copy(), faces.landmarks.copy()
        features, last = [], 0
        for region, engine in zip(REGIONS, self.engines, strict=True):
            mesh, landmarks = region.mesh_indices, region.ibug68_indices
            sides = slice(last, last := last + len(mesh))
            seen = np.concatenate([faces.mesh[:, mesh, :2], faces.landmarks[:, landmarks]], axis=2)
            first = apply(from_frames[:, sides], seen).astype(np.float32)
            found, seen = engine.batched(
                pixels[:, sides].reshape(-1, *pixels.shape[2:]), first=first.reshape(-1, *first.shape[2:])
            )
            features.append(seen.reshape(len(first), -1))
            found = apply(frames[:, sides], found.reshape(first.shape))
            count = mesh.shape[1]
            better_mesh[:, mesh, :2] = found[:, :, :count]
            better_landmarks[:, landmarks] = found[:, :, count:]
        better = replace(faces, mesh=better_mesh, landmarks=better_landmarks)
        all_seen = np.concatenate(features, axis=1)
        parts = [slice(start, end) for start, end in pairwise(ends)]
        return [better[part] for part in parts], [all_seen[part] for part in parts]
