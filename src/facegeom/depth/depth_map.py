"""The depth map of one face, and the square of the photo that it covers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError, shown
from facegeom.geometry.placement import fit_canonical_head
from facegeom.geometry.rotation import upright_axes
from facegeom.geometry.transforms import apply

FloatArray = npt.NDArray[np.floating]

SIZE_PX = 160
"""Side of a depth map, pixels."""

LARGEST_PX = 255
"""Largest side: points of a surface have numbers of 16 bits in glTF."""

SIDE_MM = 208.0
"""Side of its square at the distance of a head of average size: 1.3 mm for each pixel."""


@dataclass(frozen=True, eq=False)
class DepthMap:
    """Depth of one face, upright: the head's vertical axis runs down the map.

    Attributes:
        z_mm: (S, S) float32, z in the camera frame, millimetres; 0 where no face is.
        image_from_depth: (2, 3) maps the depth map's pixels to the photo's, pixel centres at integers.

    Raises:
        InputError: another shape, or numbers that are not finite.
    """

    z_mm: npt.NDArray[np.float32]
    image_from_depth: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        try:
            z, matrix = np.array(self.z_mm, np.float32), np.array(self.image_from_depth, np.float64)
        except (TypeError, ValueError) as error:
            got = shown((self.z_mm, self.image_from_depth))
            raise InputError(f"expected depth and a map as numbers, got {got}") from error
        if z.shape != z.shape[:1] * 2 or not 1 <= z.size <= LARGEST_PX**2 or matrix.shape != (2, 3):
            raise InputError(
                f"expected depth (S, S) of at most {LARGEST_PX} pixels a side and a map (2, 3), got {z.shape}"
                f" and {matrix.shape}"
            )
        if not (np.isfinite(z).all() and np.isfinite(matrix).all()):
            raise InputError("expected finite depth, got NaN or infinity; 0 stands for no face")
        for name, array in (("z_mm", z), ("image_from_depth", matrix)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DepthMap):
            return NotImplemented
        return np.array_equal(self.z_mm, other.z_mm) and np.array_equal(
            self.image_from_depth, other.image_from_depth
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.z_mm, self.image_from_depth)  # by the constructor: arrays stay read-only

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Pixels (S, S) that show the face."""
        return self.z_mm > 0

    def pixels_xy(self) -> FloatArray:
        """Return the place (S, S, 2) of each pixel of the map in the photo."""
        row, column = np.indices(self.z_mm.shape)
        points = np.stack([column, row], axis=-1).reshape(-1, 2).astype(np.float64)
        return apply(self.image_from_depth, points).reshape(*self.z_mm.shape, 2)


def depth_squares(mesh_px: FloatArray, size_px: int = SIZE_PX, side_mm: float = SIDE_MM) -> FloatArray:
    """Return the maps (N, 2, 3) from pixels of a depth map of ``size_px`` to pixels of the photo.

    The square lies around the mesh, is rotated so that the head is upright, and is ``side_mm`` wide for a
    head of average size at any place: a pixel is as many millimetres in every map.

    Args:
        mesh_px: (N, 478, 3) x, y pixels of the photo, z on the same scale.
        size_px: side of the map, pixels.
        side_mm: side of the square, millimetres.
    """
    fit = fit_canonical_head(mesh_px)
    axes = upright_axes(fit.rotation)
    upright = mesh_px[..., :2] @ axes
    middle = (upright.min(axis=1) + upright.max(axis=1)) / 2
    step = (fit.scale * side_mm / size_px)[:, None, None] * axes
    corner = (axes @ middle[..., None])[..., 0] - step @ np.full(2, (size_px - 1) / 2)
    return np.concatenate([step, corner[..., None]], axis=-1)
