"""From the mesh in pixels to millimetres in front of the camera."""

import numpy as np
import numpy.typing as npt

from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import Similarity, procrustes, towards
from facegeom.geometry.topology import canonical_mm

FloatArray = npt.NDArray[np.floating]


def average_head(mesh_px: FloatArray) -> Similarity:
    """The similarity that lays the canonical head, millimetres, on meshes (..., 478, 3).

    Its rotation is the head's direction as the picture shows it, its scale pixels per millimetre of a head of
    average size, its translation the head's origin.
    """
    return procrustes(canonical_mm().astype(np.float64), mesh_px.astype(np.float64))


def place(mesh_px: FloatArray, camera: Camera) -> tuple[FloatArray, FloatArray]:
    """Place heads of average size in the camera frame.

    The similarity that carries the canonical head onto the mesh gives pixels per millimetre; with the
    focal length that is a distance. The mesh's z runs along the line of sight to the head, which is turned
    into the camera frame to get depth; x and y follow from the pixels, so that ``camera.project(mesh_mm)``
    is ``mesh_px[..., :2]``.

    Args:
        mesh_px: (N, 478, 3) x, y pixels, z on the same scale.
        camera: of the photo.

    Returns:
        mesh_mm (N, 478, 3) and the heads' origins translation_mm (N, 3), camera frame.
    """
    fit = average_head(mesh_px)
    distance = camera.focal_px / fit.scale
    translation = camera.back_project(fit.translation[:, :2], distance)
    offset_mm = (mesh_px - fit.translation[:, None]) / fit.scale[:, None, None]
    behind = (offset_mm @ towards(translation)[:, 2, :, None])[..., 0]
    depth = np.maximum(distance[:, None] + behind, 1.0)
    return camera.back_project(mesh_px[..., :2], depth), translation
