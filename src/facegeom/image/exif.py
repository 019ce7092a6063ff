"""What a photo's EXIF says: its orientation and its angle of view."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import atan, degrees, hypot, isfinite
from typing import Any, NamedTuple

from PIL import ExifTags, Image

from facegeom.geometry.camera import MAX_FOV_DEG, MIN_FOV_DEG
from facegeom.image.tiff import is_bounded

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to the operation that makes the image upright."""

FILM_DIAGONAL_MM = hypot(36, 24)
MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""``FocalPlaneResolutionUnit``: inch, centimetre, millimetre, micrometre."""

SAME_ASPECT = 0.02
"""Largest relative difference of the aspect ratio from the recorded one; beyond it the photo was cropped."""

_PLAIN_BYTES = 65536
"""Length up to which EXIF is read without a look at its directories; JPEG allows no more."""


class Exif(NamedTuple):
    """What is used of a photo's EXIF; None where it does not say.

    Attributes:
        transpose: operation that makes the image upright; None when it is.
        fov_deg: angle of view across the longer side, degrees in [1, 160].
    """

    transpose: Image.Transpose | None
    fov_deg: float | None


def read_exif(image: Image.Image, size_wh: tuple[int, int]) -> Exif:
    """Read orientation and angle of view; damaged EXIF counts as missing, since the pixels are sound.

    Args:
        image: an opened image.
        size_wh: its full size, before a reduced decoding and before EXIF turns it.
    """
    tags: Any = {}
    with suppress(Exception):
        if len(image.info.get("exif") or b"") <= _PLAIN_BYTES or is_bounded(image.info["exif"]):
            tags = image.getexif()
    transpose = fov_deg = None
    with suppress(Exception):
        if image.format != "HEIF":  # upright already
            transpose = _TRANSPOSE.get(int(tags.get(ExifTags.Base.Orientation, 1)))
    with suppress(Exception):
        fov_deg = _fov_deg(tags.get_ifd(ExifTags.IFD.Exif), size_wh)
    return Exif(transpose, fov_deg)


def _fov_deg(tags: Mapping[int, Any], size_wh: Sequence[float]) -> float | None:
    """Compute the angle of view from the focal length.

    The focal length for 35 mm film compares diagonals (CIPA DC-008, the EXIF standard); else the focal length
    and the sensor's resolution serve. A photo of another aspect ratio than the recorded one was cropped, so
    its angle is unknown; one that was only scaled keeps it.
    """
    recorded = [_positive(tags, tag) for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)]
    shape = recorded if min(recorded) > 0 else list(size_wh)
    if abs(max(shape) / min(shape) / (max(size_wh) / min(size_wh)) - 1) > SAME_ASPECT:
        return None
    angle = degrees(2 * atan(_longer_side_in_focal_lengths(shape, tags) / 2))
    return angle if MIN_FOV_DEG <= angle <= MAX_FOV_DEG else None


def _longer_side_in_focal_lengths(shape: Sequence[float], tags: Mapping[int, Any]) -> float:
    """Return 0 when the tags do not say."""
    if film_mm := _positive(tags, ExifTags.Base.FocalLengthIn35mmFilm):
        return max(shape) / hypot(*shape) * FILM_DIAGONAL_MM / film_mm
    unit_mm = MM_PER_UNIT.get(int(_positive(tags, ExifTags.Base.FocalPlaneResolutionUnit)) or 2, 0.0)
    resolution = _positive(tags, ExifTags.Base.FocalPlaneXResolution)
    focal_units = resolution * _positive(tags, ExifTags.Base.FocalLength)
    return max(shape) * unit_mm / focal_units if focal_units else 0.0


def _positive(tags: Mapping[int, Any], tag: int) -> float:
    """Return the tag as a positive number, 0 when it is none."""
    try:
        value = float(tags.get(tag, 0))
    except (TypeError, ValueError, ArithmeticError):
        return 0.0
    return value if isfinite(value) and value > 0 else 0.0
