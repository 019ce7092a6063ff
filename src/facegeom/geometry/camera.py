"""A pinhole camera without distortion: x right, y down, z away; millimetres in, pixels out."""

from dataclasses import dataclass
from functools import cached_property
from math import radians, tan

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError, shown

FloatArray = npt.NDArray[np.floating]

DEFAULT_FOV_DEG = 50.0  # across the longer side; a phone's main camera has about 65, a portrait lens 25
MIN_FOV_DEG, MAX_FOV_DEG = 1, 160
"""Angles of view that are accepted. The widest lenses without distortion have about 130°; near 180° a face of
usual size would lie in the lens, or behind it."""

CONVENTIONS: dict[str, tuple[tuple[int, int, int], float]] = {
    "opencv": ((1, 1, 1), 1.0),
    "opengl": ((1, -1, -1), 1.0),
    "arkit": ((1, -1, -1), 0.001),
    "unity": ((1, -1, 1), 0.001),
}
"""Signs of other programs' axes in those of the camera and the head, and a millimetre in their unit."""

_VIEWER_AXES = np.array([1, -1, -1], np.float32)  # half a turn about x, so triangles keep their winding


@dataclass(frozen=True)
class Camera:
    """Pinhole camera of a photo.

    Attributes:
        width: of the photo, pixels.
        height: of the photo, pixels.
        fov_deg: angle of view across the longer side, degrees, in (0, 180). Distances along z scale with
            1 / tan(fov/2); sizes across the picture do not depend on it.
    """

    width: int
    height: int
    fov_deg: float = DEFAULT_FOV_DEG

    @cached_property
    def focal_px(self) -> float:
        """Focal length in pixels, the same for x and y."""
        return max(self.width, self.height) / 2 / tan(radians(self.fov_deg) / 2)

    @cached_property
    def centre_px(self) -> FloatArray:
        """Principal point (2,): the centre of the image, pixel centres at integers."""
        return np.array([(self.width - 1) / 2, (self.height - 1) / 2])

    def project(self, points_mm: FloatArray) -> FloatArray:
        """Project points (..., 3) of the camera frame to pixels (..., 2); z must be positive."""
        return np.asarray(points_mm[..., :2] / points_mm[..., 2:] * self.focal_px + self.centre_px)

    def back_project(self, points_px: FloatArray, depth_mm: FloatArray) -> FloatArray:
        """Return the points (..., 3), millimetres, seen at pixels (..., 2) at depth z (...,)."""
        depth = depth_mm[..., None]
        return np.concatenate([(points_px - self.centre_px) / self.focal_px * depth, depth], axis=-1)


def pinhole_of_mesh(mesh_px: FloatArray, mesh_mm: FloatArray) -> tuple[float, FloatArray]:
    """Return focal length and principal point (2,), pixels, of the camera that projects a mesh to its pixels.

    Args:
        mesh_px: (478, 3) x, y pixels of the photo.
        mesh_mm: (478, 3) the same points in the camera frame, millimetres.
    """
    ray = (mesh_mm[:, :2] / mesh_mm[:, 2:]).astype(np.float64)
    pixels = mesh_px[:, :2].astype(np.float64)
    ray_0, pixels_0 = ray - ray.mean(axis=0), pixels - pixels.mean(axis=0)
    focal = float((ray_0 * pixels_0).sum() / (ray_0**2).sum())
    return focal, pixels.mean(axis=0) - focal * ray.mean(axis=0)


def to_viewer_frame(points_mm: FloatArray) -> npt.NDArray[np.float32]:
    """Turn points (..., 3) of the camera frame into the frame of mesh viewers: y up, z towards the camera."""
    return np.asarray(points_mm * _VIEWER_AXES, np.float32)


def pose_matrix(
    convention: str, camera_rotation: FloatArray, translation_mm: FloatArray
) -> npt.NDArray[np.float64]:
    """Return poses (..., 4, 4), head frame to camera frame, in the axes and unit of :data:`CONVENTIONS`.

    Args:
        convention: "opencv", "opengl", "arkit" or "unity".
        camera_rotation: (..., 3, 3) head frame to camera frame.
        translation_mm: (..., 3) the heads' origins in the camera frame.

    Raises:
        InputError: an unknown convention.
    """
    if not (isinstance(convention, str) and convention in CONVENTIONS):
        raise InputError(f"convention: expected one of {', '.join(CONVENTIONS)}, got {shown(convention)}")
    signs, unit = np.array(CONVENTIONS[convention][0], np.float64), CONVENTIONS[convention][1]
    matrix = np.zeros((*translation_mm.shape[:-1], 4, 4))
    matrix[..., :3, :3] = signs[:, None] * camera_rotation * signs
    matrix[..., :3, 3], matrix[..., 3, 3] = translation_mm * signs * unit, 1
    return matrix
