"""Virtual views: crops as a camera sees them that looks straight at the face and is rolled with it.

A wide lens stretches what lies away from its axis, by 1/cos² along the radius and 1/cos across it, and the
face network has learned faces as seen straight ahead. Where the lens is known, such crops are taken through a
virtual camera of the same focal length that is turned to the face: a homography of the pixels. The network
has learned upright faces, too: where the roll of a face is known, its crop is rotated by it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_line_of_sight
from facegeom.image.crop import OUTSIDE
from facegeom.image.pyramid import Pyramid, UInt8Array
from facegeom.image.rotated_crop import crop_projected

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.intp]

LARGEST_ANGLE_DEG = 10.0
"""Crops farther from the optical axis are taken through a virtual camera."""

LARGEST_SLOPE = 0.8
"""Larger crops at the side of a very wide photo stay as they are: a corner of the view would lie beside the
camera or behind it, where this is 1 or more."""


@dataclass(frozen=True)
class VirtualViews:
    """Virtual cameras for some of the crops of one image.

    Attributes:
        rows: (R,) indices of these crops.
        image_from_unit: (R, 3, 3) homographies from crop units of the view to pixels of the image.
        roll_deg: (R,) roll of the virtual cameras, degrees clockwise.
    """

    rows: IntArray
    image_from_unit: FloatArray
    roll_deg: FloatArray

    def crop(self, image: Pyramid, size_px: int, reducing_gap: float, outside: int = OUTSIDE) -> UInt8Array:
        """Cut the views (R, size, size, 3)."""
        unit_from_crop = np.array(
            [[1 / size_px, 0, 0.5 / size_px - 0.5], [0, 1 / size_px, 0.5 / size_px - 0.5], [0, 0, 1]]
        )
        return crop_projected(image, self.image_from_unit @ unit_from_crop, size_px, reducing_gap, outside)

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


def virtual_views(
    crop_xyxy: FloatArray, camera: Camera | None, roll_deg: FloatArray | None = None
) -> VirtualViews | None:
    """Make virtual cameras for the crops (K, 4) away from the axis, or rolled; None where there are none.

    A view covers as much area as its crop, so that depths and expected errors keep their units.

    Args:
        crop_xyxy: (K, 4) squares, pixels.
        camera: of the image; None if the lens is not known.
        roll_deg: (K,) roll of the faces, degrees clockwise; None for upright faces.
    """
    if not len(crop_xyxy) or (camera is None and roll_deg is None):
        return None
    roll = np.zeros(len(crop_xyxy)) if roll_deg is None else np.asarray(roll_deg, np.float64)
    centre = ((crop_xyxy[:, :2] + crop_xyxy[:, 2:]) / 2).astype(np.float64)
    side = (crop_xyxy[:, 2] - crop_xyxy[:, 0]).astype(np.float64)
    away = np.zeros(len(crop_xyxy), bool)
    if camera is not None:
        line = camera.back_project(centre, np.ones(len(centre)))
        cosine = 1 / np.linalg.norm(line, axis=-1)
        away = cosine < np.cos(np.deg2rad(LARGEST_ANGLE_DEG))
        away &= np.sqrt((1 - cosine**2) * cosine / 2) * side < LARGEST_SLOPE * camera.focal_px
    rows = np.flatnonzero(away | (roll != 0))
    if not len(rows):
        return None
    image_from_unit = np.zeros((len(rows), 3, 3))
    image_from_unit[:, [0, 1], [0, 1]] = side[rows, None]
    image_from_unit[:, :2, 2] = centre[rows]
    image_from_unit[:, 2, 2] = 1
    if camera is not None and away.any():
        seen = away[rows]
        far = rows[seen]
        wide = side[far] * cosine[far] ** 1.5 / camera.focal_px
        scale = np.stack([wide, wide, np.ones_like(wide)], axis=-1)
        x, y = camera.centre_px
        projection = np.array([[camera.focal_px, 0, x], [0, camera.focal_px, y], [0, 0, 1]])
        sight = rotation_to_line_of_sight(line[far])
        image_from_unit[seen] = projection @ (sight * scale[:, None, :])
    if roll_deg is not None:
        image_from_unit = image_from_unit @ rotation_from_angles(0, 0, roll[rows])
    return VirtualViews(rows, image_from_unit, roll[rows])
