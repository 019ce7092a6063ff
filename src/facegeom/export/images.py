"""Images as bytes of a file."""

from io import BytesIO
from typing import Any

from PIL.Image import Image

from facegeom.errors import OutputError

_JPEG: tuple[str, dict[str, Any]] = ("JPEG", {"quality": 92, "subsampling": 0})
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), _JPEG),
    ".png": ("PNG", {}),
    ".webp": ("WEBP", {"quality": 92}),
    ".bmp": ("BMP", {}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
}
"""Pillow's format and settings by the ending of a file, in lower case."""


def encode(image: Image, ending: str) -> bytes:
    """Encode an RGB image as a file.

    Args:
        image: RGB.
        ending: key of :data:`FORMATS`.

    Raises:
        OutputError: the format cannot hold the image, which may be too large for it.
    """
    kind, settings = FORMATS[ending]
    stream = BytesIO()
    try:
        image.save(stream, kind, **settings)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot store a picture as {kind}: {error}") from error
    return stream.getvalue()
