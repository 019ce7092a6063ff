"""From the mesh in pixels to millimetres in front of the camera."""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import Similarity, procrustes, rotation_to_line_of_sight
from facegeom.geometry.topology import canonical_mm

FloatArray = npt.NDArray[np.floating]


class Placement(NamedTuple):
    """Heads in the camera frame.

    Attributes:
        mesh_mm: (N, 478, 3) millimetres.
        translation_mm: (N, 3) the origins of the head frames, midway between the eyes' centres.
        sight: (N, 3, 3) rotations from the optical axis to the lines of sight to the heads.
    """

    mesh_mm: FloatArray
    translation_mm: FloatArray
    sight: FloatArray


def fit_canonical_head(mesh_px: FloatArray) -> Similarity:
    """Fit the canonical head, millimetres, to meshes (..., 478, 3) by a similarity.

    Its rotation is the head's direction as the image shows it, its scale pixels per millimetre for a head of
    average size, its translation the head's origin.
    """
    return procrustes(_canonical_head(), mesh_px.astype(np.float64))


@cache
def _canonical_head() -> FloatArray:
    return canonical_mm().astype(np.float64)


def place(mesh_px: FloatArray, camera: Camera) -> Placement:
    """Place heads of average size in the camera frame.

    The similarity from the canonical head to the mesh gives pixels per millimetre; with the focal length that
    is a distance. The mesh's z runs along the line of sight to the head and is rotated into the camera frame
    to get depth; x and y follow from the pixels, so that ``camera.project(mesh_mm)`` is ``mesh_px[..., :2]``.

    Args:
        mesh_px: (N, 478, 3) x, y pixels, z on the same scale.
        camera: of the photo.
    """
    fit = fit_canonical_head(mesh_px)
    distance = camera.focal_px / fit.scale
    translation = camera.back_project(fit.translation[:, :2], distance)
    sight = rotation_to_line_of_sight(translation)
    offset_mm = (mesh_px - fit.translation[:, None]) / fit.scale[:, None, None]
    behind = (offset_mm @ sight[:, 2, :, None])[..., 0]
    depth = np.maximum(distance[:, None] + behind, 1.0)
    return Placement(camera.back_project(mesh_px[..., :2], depth), translation, sight)
