"""A found depth map against known depth: errors along the line of sight, face by face."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facegeom.depth.depth_map import DepthMap
from facegeom.geometry.camera import pinhole
from facegeom.geometry.transforms import apply, invert
from facegeom.results import Face, Faces
from facegeom_lab.bench.depth_truth import KnownDepth

FloatArray = npt.NDArray[np.floating]

NOSE_TIP = 4
LEAST_COVER = 0.3
"""A found face that covers less of the known one is another face."""


@dataclass(frozen=True)
class FaceError:
    """Of one face, millimetres of a head of average size but for the last.

    Attributes:
        aligned_mm: mean absolute error after the means are laid over each other.
        nose_mm: mean absolute error when both are counted from their nose tips.
        cover: share of the known face's pixels that the found map covers.
        own_mm: as ``aligned_mm``, in millimetres of the head itself.
    """

    aligned_mm: float
    nose_mm: float
    cover: float
    own_mm: float


def compare(faces: Faces, truth: KnownDepth) -> FaceError | None:
    """The error of the face that covers the known one best; None where none does."""
    told = [(*sampled(face, truth.pixels_xy), face) for face in faces]
    told = [each for each in told if each[1].mean() >= LEAST_COVER]
    if not told:
        return None
    along, covered, face = max(told, key=lambda each: each[1].mean())
    behind = along - nose_along(face)
    nose = float(np.abs(behind - truth.behind_mm)[covered].mean())
    own = float(_aligned(behind[covered], truth.behind_mm[covered] * truth.enlarged))
    aligned = float(_aligned(behind[covered], truth.behind_mm[covered]))
    return FaceError(aligned, nose, float(covered.mean()), own)


def _aligned(told: FloatArray, truth: FloatArray) -> float:
    error = told - truth
    return float(np.abs(error - error.mean()).mean())


def sampled(face: Face, pixels_xy: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """The found depth along the line of sight (K,) at pixels of the photo (K, 2), and where there is one."""
    depth = _map(face)
    place = apply(invert(depth.image_from_depth), pixels_xy)
    column, row = np.rint(place).astype(int).T
    height, width = depth.z_mm.shape
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    z = np.where(inside, depth.z_mm[row.clip(0, height - 1), column.clip(0, width - 1)], 0)
    return z * _share(face, pixels_xy), z > 0


def nose_along(face: Face) -> float:
    """The found distance of the nose tip along the line of sight: the map's at the mesh's nose tip."""
    depth = _map(face)
    column, row = apply(invert(depth.image_from_depth), face.mesh_px[None, NOSE_TIP, :2])[0]
    rows, columns = np.nonzero(depth.mask)
    nearest = int(np.argmin((rows - row) ** 2 + (columns - column) ** 2))
    pixel = depth.pixels_xy()[rows[nearest], columns[nearest]]
    return float(depth.z_mm[rows[nearest], columns[nearest]] * _share(face, pixel[None])[0])


def _share(face: Face, pixels_xy: FloatArray) -> FloatArray:
    """(K,) distance along the line of sight for each millimetre of z."""
    focal_px, centre_px = pinhole(face.mesh_px, face.mesh_mm)
    unit = face.translation_mm.astype(np.float64) / np.linalg.norm(face.translation_mm)
    return np.asarray((pixels_xy - centre_px) / focal_px @ unit[:2] + unit[2])


def _map(face: Face) -> DepthMap:
    if face.depth is None:
        raise ValueError("the benchmark's analyzer gives every face a depth map")
    return face.depth
