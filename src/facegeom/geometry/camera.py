"""A pinhole camera without distortion: x right, y down, z away; millimetres in, pixels out."""

from dataclasses import dataclass
from math import radians, tan

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

DEFAULT_FOV_DEG = 50.0  # across the longer side; a phone's main camera has about 65, a portrait lens 25


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

    @property
    def focal_px(self) -> float:
        """Focal length in pixels, the same for x and y."""
        return max(self.width, self.height) / 2 / tan(radians(self.fov_deg) / 2)

    @property
    def centre_px(self) -> FloatArray:
        """(2,) the principal point: the middle of the picture, pixel centres at integers."""
        return np.array([(self.width - 1) / 2, (self.height - 1) / 2])

    def project(self, points_mm: FloatArray) -> FloatArray:
        """Pixels (..., 2) of points (..., 3) in the camera frame; z must be positive."""
        return np.asarray(points_mm[..., :2] / points_mm[..., 2:] * self.focal_px + self.centre_px)

    def back_project(self, points_px: FloatArray, depth_mm: FloatArray) -> FloatArray:
        """Points (..., 3) in millimetres at depth z (...,) that are seen at pixels (..., 2)."""
        depth = depth_mm[..., None]
        return np.concatenate([(points_px - self.centre_px) / self.focal_px * depth, depth], axis=-1)


def pinhole(mesh_px: FloatArray, mesh_mm: FloatArray) -> tuple[float, FloatArray]:
    """Focal length and principal point (2,), pixels, of the camera that sees a mesh (478, 3) there."""
    ray = (mesh_mm[:, :2] / mesh_mm[:, 2:]).astype(np.float64)
    pixels = mesh_px[:, :2].astype(np.float64)
    ray_0, pixels_0 = ray - ray.mean(axis=0), pixels - pixels.mean(axis=0)
    focal = float((ray_0 * pixels_0).sum() / (ray_0**2).sum())
    return focal, pixels.mean(axis=0) - focal * ray.mean(axis=0)
