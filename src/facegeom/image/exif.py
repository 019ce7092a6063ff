"""What a photo's EXIF says: which way is up, and how wide the lens was."""

import struct
from collections.abc import Mapping, Sequence
from math import atan, degrees, hypot, isfinite
from typing import Any

from PIL import ExifTags, Image

DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    TypeError,
    EOFError,
    RuntimeError,
    struct.error,
    Image.DecompressionBombError,
)
"""What Pillow throws at damaged files."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to the turn that makes the picture upright."""

_FILM_DIAGONAL_MM = hypot(36, 24)
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""Of ``FocalPlaneResolutionUnit``: inch, centimetre, millimetre, micrometre."""

_PLAUSIBLE_DEG = (1.0, 179.0)
_SAME_SHAPE = 0.02
"""So much may the sides' ratio differ from the recorded one before the photo counts as cut."""


def upright(image: Image.Image) -> Image.Transpose | None:
    """The turn that makes a picture upright; None when it is, or when its EXIF is missing or damaged."""
    try:
        return _UPRIGHT.get(int(image.getexif().get(ExifTags.Base.Orientation, 1)))
    except DECODER_ERRORS:
        return None  # viewers show a picture with damaged EXIF unturned, and its pixels are sound


def fov_deg(image: Image.Image) -> float | None:
    """Angle of view across the longer side of a picture, degrees, or None when its EXIF does not say.

    From the focal length for 35 mm film, which by definition compares diagonals (CIPA DC-008, the EXIF
    standard); else from the focal length and the sensor's resolution. A picture whose shape is not the
    recorded one was cut, and nothing is known of its angle; one that was only made smaller keeps it.
    """
    try:
        tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
    except DECODER_ERRORS:
        return None
    recorded = [_number(tags, tag) for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)]
    shape = recorded if min(recorded) > 0 else list(image.size)
    if abs(_elongation(shape) / _elongation(image.size) - 1) > _SAME_SHAPE:
        return None
    angle = degrees(2 * atan(_longer_side_in_focal_lengths(shape, tags) / 2))
    return angle if _PLAUSIBLE_DEG[0] <= angle <= _PLAUSIBLE_DEG[1] else None


def _longer_side_in_focal_lengths(shape: Sequence[float], tags: Mapping[int, Any]) -> float:
    """0 when the tags do not say."""
    if film_mm := _number(tags, ExifTags.Base.FocalLengthIn35mmFilm):
        return max(shape) / hypot(*shape) * _FILM_DIAGONAL_MM / film_mm
    unit_mm = _MM_PER_UNIT.get(int(_number(tags, ExifTags.Base.FocalPlaneResolutionUnit)) or 2, 0.0)
    focal_units = _number(tags, ExifTags.Base.FocalPlaneXResolution) * _number(
        tags, ExifTags.Base.FocalLength
    )
    return max(shape) * unit_mm / focal_units if focal_units else 0.0


def _elongation(shape: Sequence[float]) -> float:
    return max(shape) / min(shape)


def _number(tags: Mapping[int, Any], tag: int) -> float:
    """The tag as a positive number, 0 when it is none."""
    try:
        value = float(tags.get(tag, 0))
    except (TypeError, ValueError, ArithmeticError):
        return 0.0
    return value if isfinite(value) and value > 0 else 0.0
