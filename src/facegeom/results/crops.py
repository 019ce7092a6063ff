"""Aligned crops of faces: what networks of other projects take."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.geometry import alignment, transforms
from facegeom.geometry.schemes import five_from_68
from facegeom.image.reading import UInt8Array
from facegeom.image.rotated_crop import crop_projected

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AlignedCrop:
    """A square crop of a photo in which a face has a standard place.

    Attributes:
        pixels: (size, size, 3) uint8 RGB, black beyond the photo.
        crop_from_photo: (2, 3) map from pixels of the photo to pixels of the crop, centres at integers:
            ``xy_crop = M[:, :2] @ xy_photo + M[:, 2]``.
        points_px: (5, 2) where eyes, nose tip and mouth corners lie in the crop.
        photo_from_crop: (2, 3) the inverse map.
    """

    pixels: UInt8Array
    crop_from_photo: Float64Array
    points_px: Float64Array
    photo_from_crop: Float64Array


def cut_aligned(
    photo: UInt8Array,
    landmarks_px: npt.NDArray[np.floating],
    box_xyxy: npt.NDArray[np.floating],
    size: int,
    template: alignment.Template,
) -> list[AlignedCrop]:
    """Cut the crops of N faces from their photo (H, W, 3); see :meth:`facegeom.Faces.aligned`."""
    maps = alignment.crop_from_photo(template, size, landmarks_px, box_xyxy)
    points = transforms.apply(maps, five_from_68(landmarks_px.astype(np.float64)))
    return [
        AlignedCrop(_cut(photo, inverse, size), matrix, five, inverse)
        for matrix, five, inverse in zip(maps, points, transforms.invert(maps), strict=True)
    ]


def _cut(photo: UInt8Array, photo_from_crop: Float64Array, size: int) -> UInt8Array:
    """Cut a crop at twice its size and average: sharper than one bilinear step, and as free of aliasing."""
    crop_from_fine = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])
    homography = np.vstack([photo_from_crop, (0, 0, 1)]) @ crop_from_fine
    fine = crop_projected(photo, homography[None], 2 * size, outside=0)[0]
    return np.asarray(Image.fromarray(fine).reduce(2))
