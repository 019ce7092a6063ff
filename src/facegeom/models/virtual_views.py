"""Virtual views: crops as a camera sees them that looks straight at the face.

A wide lens stretches what lies away from its axis, by 1/cos² along the radius and 1/cos across it, and the
face network has learned faces as seen straight ahead. Where the lens is known, such crops are taken through a
virtual camera of the same focal length that is turned to the face: a homography of the pixels.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_to_line_of_sight
from facegeom.image.pyramid import Pyramid, UInt8Array
from facegeom.image.rotated_crop import crop_projected

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]

LARGEST_ANGLE_DEG = 10.0
"""Crops farther from the optical axis are taken through a virtual camera."""


@dataclass(frozen=True)
class VirtualViews:
    """Virtual cameras for some of the crops of one image.

    Attributes:
        rows: (R,) indices of these crops.
        image_from_unit: (R, 3, 3) homographies from crop units of the view to pixels of the image.
    """

    rows: IntArray
    image_from_unit: FloatArray

    def crop(self, image: Pyramid, size_px: int, reducing_gap: float) -> UInt8Array:
        """Cut the views (R, size, size, 3)."""
        unit_from_crop = np.array(
            [[1 / size_px, 0, 0.5 / size_px - 0.5], [0, 1 / size_px, 0.5 / size_px - 0.5], [0, 0, 1]]
        )
        return crop_projected(image, self.image_from_unit @ unit_from_crop, size_px, reducing_gap)

    def to_crop_units(self, points: FloatArray, crop_xyxy: FloatArray) -> FloatArray:
        """Map points in units of the views to units of the upright crops.

        Args:
            points: (R, P, 2 or more); what follows x and y stays.
            crop_xyxy: (R, 4) the upright crops, pixels.
        """
        homogeneous = np.concatenate([points[..., :2], np.ones_like(points[..., :1])], axis=-1)
        seen = homogeneous @ np.swapaxes(self.image_from_unit, -1, -2)
        low, high = crop_xyxy[:, None, :2], crop_xyxy[:, None, 2:]
        units = (seen[..., :2] / seen[..., 2:] - (low + high) / 2) / (high - low)
        return np.concatenate([units, points[..., 2:]], axis=-1)


def virtual_views(crop_xyxy: FloatArray, camera: Camera | None) -> VirtualViews | None:
    """Make virtual cameras for the crops (K, 4) away from the axis; None where there are none.

    A view covers as much area as its crop, so that depths and expected errors keep their units.

    Args:
        crop_xyxy: (K, 4) squares, pixels.
        camera: of the image; None if the lens is not known.
    """
    if camera is None or not len(crop_xyxy):
        return None
    centre = ((crop_xyxy[:, :2] + crop_xyxy[:, 2:]) / 2).astype(np.float64)
    line = camera.back_project(centre, np.ones(len(centre)))
    cosine = 1 / np.linalg.norm(line, axis=-1)
    rows = np.flatnonzero(cosine < np.cos(np.deg2rad(LARGEST_ANGLE_DEG)))
    if not len(rows):
        return None
    side = (crop_xyxy[rows, 2] - crop_xyxy[rows, 0]) * cosine[rows] ** 1.5 / camera.focal_px
    scale = np.stack([side, side, np.ones_like(side)], axis=-1)
    x, y = camera.centre_px
    projection = np.array([[camera.focal_px, 0, x], [0, camera.focal_px, y], [0, 0, 1]])
    return VirtualViews(rows, projection @ (rotation_to_line_of_sight(line[rows]) * scale[:, None, :]))
