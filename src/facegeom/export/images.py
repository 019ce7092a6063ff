"""Images as bytes of a file."""

from io import BytesIO
from typing import Any

from PIL.Image import Image, Resampling

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

MAX_SIDE_PX = {"JPEG": 65_500, "WEBP": 16_383}
"""Longest side that a format can hold, pixels; others hold any photo."""


def encode(image: Image, ending: str) -> bytes:
    """Encode an RGB image as a file with an ending of :data:`FORMATS`.

    Raises:
        OutputError: the format cannot hold the image, which may be too large for it.
    """
    kind, settings = FORMATS[ending]
    longest = MAX_SIDE_PX.get(kind)
    if longest is not None and max(image.size) > longest:
        size = f"{image.width:,} x {image.height:,}"
        raise OutputError(f"expected at most {longest:,} pixels a side for {kind}, got {size}; take PNG")
    stream = BytesIO()
    try:
        image.save(stream, kind, **settings)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot store a picture as {kind}: {error}") from error
    return stream.getvalue()


def fitted(image: Image, ending: str) -> tuple[Image, str | None]:
    """Make an RGB image smaller if the format of a file with this ending cannot hold it.

    Returns:
        The image, and a sentence that says what was done; None where the image is as it was.
    """
    kind, _ = FORMATS[ending]
    longest = MAX_SIDE_PX.get(kind)
    if longest is None or max(image.size) <= longest:
        return image, None
    scale = longest / max(image.size)
    size_wh = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    note = (
        f"the picture of {image.width:,} x {image.height:,} pixels was made smaller, to"
        f" {size_wh[0]:,} x {size_wh[1]:,}: {kind} holds at most {longest:,} a side"
    )
    return image.resize(size_wh, Resampling.BILINEAR), note
