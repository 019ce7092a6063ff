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
    """

    mesh_mm: FloatArray
    translation_mm: FloatArray


def fit_canonical_head(mesh_px: FloatArray) -> Similarity:
    """Fit the canonical head, millimetres, to meshes (..., 478, 3) by a similarity.

    Its rotation is the head's direction as the image shows it, its scale pixels per millimetre for a head of
    average size, its translation the head's origin.
    """
    return procrustes(_canonical_head(), mesh_px.astype(np.float64))


def in_canonical_frame(mesh_mm: FloatArray) -> FloatArray:
    """Return meshes (..., 478, 3) in the frame and size of the canonical head that fits them best."""
    return fit_canonical_head(mesh_mm).undo(mesh_mm).astype(np.float32)


@cache
def _canonical_head() -> FloatArray:
    return canonical_mm().astype(np.float64)


def place(mesh_px: FloatArray, camera: Camera) -> Placement:
    """Place heads of average size in the camera frame.

    A camera stretches what it sees away from its axis. So each mesh is first seen by a virtual camera of the
    same focal length that looks straight at the head: a homography of the pixels. There the similarity from
    the canonical head to the mesh gives pixels per millimetre, and with the focal length a distance along the
    line of sight; the mesh's z gives depth along that line. x and y follow from the pixels, so that
    ``camera.project(mesh_mm)`` is ``mesh_px[..., :2]``.

    Args:
        mesh_px: (N, 478, 3) x, y pixels, z on the same scale.
        camera: of the photo.
    """
    centre = mesh_px[..., :2].mean(axis=-2)
    rays = camera.back_project(mesh_px[..., :2], np.ones(mesh_px.shape[:-1]))
    line = camera.back_project(centre, np.ones(len(mesh_px)))
    sight = rotation_to_line_of_sight(line)
    seen = rays @ sight  # in the virtual camera's frame
    ahead = np.maximum(seen[..., 2:], 0.01)  # of a face no point lies a right angle off the line
    cosine = 1 / np.linalg.norm(line, axis=-1)
    pixels = seen[..., :2] / ahead * camera.focal_px
    flat = np.concatenate([pixels, mesh_px[..., 2:] * cosine[:, None, None] ** 1.5], axis=-1)
    fit = procrustes(_canonical_head(), flat)
    distance = camera.focal_px / fit.scale
    behind = (flat[..., 2] - fit.translation[:, None, 2]) / fit.scale[:, None]
    depth = np.maximum(distance[:, None] + behind, 1.0)[..., None]
    origin = np.concatenate([fit.translation[:, :2] / fit.scale[:, None], distance[:, None]], axis=-1)
    return Placement(rays * (depth / ahead), (sight @ origin[..., None])[..., 0])
