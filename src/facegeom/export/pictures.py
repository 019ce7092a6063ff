"""Pictures as bytes of a file."""

from io import BytesIO
from typing import TYPE_CHECKING, Any

from facegeom.errors import OutputError

if TYPE_CHECKING:
    from PIL.Image import Image

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


def encode(picture: "Image", ending: str) -> bytes:
    """The file's bytes of an RGB picture.

    Args:
        picture: RGB.
        ending: of :data:`FORMATS`.

    Raises:
        OutputError: the format cannot hold the picture, which may be too large for it.
    """
    kind, settings = FORMATS[ending]
    stream = BytesIO()
    try:
        picture.save(stream, kind, **settings)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot store a picture as {kind}: {error}") from error
    return stream.getvalue()
