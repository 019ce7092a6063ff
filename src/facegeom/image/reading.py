"""Any readable source to an upright RGB array, within limits.

Pillow decodes. Its module-wide settings are neither relied on for the limits nor changed, so that reading
is safe from many threads and beside other users of Pillow.
"""

import os
import re
from io import BytesIO, TextIOBase
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.errors import FacegeomError, ImageError, InputError
from facegeom.image.decoding import (
    HEIF_MODULE,
    check_size,
    decode_image,
    decode_stream,
    failure,
    open_image,
    to_uint8,
)
from facegeom.image.decoding import Decoded as Decoded
from facegeom.image.decoding import FaceSize as FaceSize

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Source: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | IO[bytes]
    | Image.Image
    | npt.NDArray[np.generic]
)

MAX_PIXELS = 100_000_000
"""Largest image that is decoded, pixels."""

_ENDINGS_OF_PHOTOS = "jpg jpeg jpe jfif mpo png gif bmp dib tif tiff webp pbm pgm ppm pnm jp2 j2k avif"
_ENDINGS_OF_HEIC = "heic heif hif" if HEIF_MODULE else ""
ENDINGS = frozenset(f".{ending}" for ending in f"{_ENDINGS_OF_PHOTOS} {_ENDINGS_OF_HEIC}".split())
"""Lower-case file endings that a search of a folder picks up. A file named directly may end in anything."""

_URL = re.compile(r"[a-z][a-z0-9+.-]+:/|data:", re.IGNORECASE)


def read(source: Source) -> UInt8Array:
    """Read an image as a person sees it: (H, W, 3) uint8 RGB, C-contiguous.

    Files and Pillow images: EXIF orientation is applied, of an animated file the first frame is taken,
    colours are converted to sRGB by an embedded profile, transparent pixels are composited over white, 16-bit
    grey is scaled by 1/257. Arrays: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16 (scaled
    by 1/257), or floats in [0, 1]. An alpha channel that is 0 everywhere is ignored. An array of the returned
    form is returned as it is, not copied; other results may be read-only.

    Args:
        source: path, encoded bytes, binary file (read from its position, left open), Pillow image or array.

    Raises:
        ImageError: the image cannot be read or used, or has more than ``MAX_PIXELS`` pixels; the size is
            checked before decoding.
        InputError: the source is of another type.
    """
    return decode(source).pixels


def decode(source: Source, min_face: FaceSize | None = None, face_px: float = 1.0) -> Decoded:
    """Decode an image as :func:`read`, with its full size and what EXIF says; opens a file once.

    A JPEG file is decoded at a half, a quarter or an eighth of its size as long as a face of ``min_face``
    keeps ``face_px`` pixels: the decoder leaves out fine detail, which takes a fraction of the time.

    Args:
        source: as for :func:`read`.
        min_face: the smallest face that matters; None decodes at full size.
        face_px: pixels that such a face needs.

    Raises:
        ImageError, InputError: as :func:`read`.
    """
    try:
        if isinstance(source, np.ndarray):
            pixels = _from_array(np.asarray(source))
            return Decoded(pixels, (pixels.shape[1], pixels.shape[0]))
        if isinstance(source, Image.Image):
            decoded = decode_image(source, "the Pillow image", None, 1.0, MAX_PIXELS)
            # a copy, since of an animation the same image shows the next frame
            return decoded._replace(image=source.copy()) if decoded.image is source else decoded
        if isinstance(source, (str, os.PathLike)):
            return _decode_file(source, min_face, face_px)
        encoded = _encoded(source)
        return decode_stream(BytesIO(encoded), f"the {len(encoded)} bytes", min_face, face_px, MAX_PIXELS)
    except FacegeomError:
        raise
    except Exception as error:  # anything may come from damaged files, and from a lack of memory
        raise failure(_name(source), error) from error


def check_many(sources: Any) -> None:
    """Check that the argument of a batch is several photos.

    Raises:
        InputError: it is one photo.
    """
    if isinstance(sources, np.ndarray):
        one = "one array" if sources.ndim < 4 and sources.dtype.kind in "buif" else None
    elif isinstance(sources, (str, os.PathLike)):
        one = "one path"
    elif isinstance(sources, (bytes, bytearray, memoryview)):
        one = "the bytes of one photo"
    elif isinstance(sources, Image.Image):
        one = "one image"
    elif hasattr(sources, "read"):
        one = "one file"
    else:
        is_sequence = hasattr(sources, "__iter__") or hasattr(sources, "__getitem__")
        one = None if is_sequence else f"one {type(sources).__name__}"
    if one is not None:
        raise InputError(f"batch takes several photos, got {one}; use [photo]")


def header_size_wh(encoded: bytes) -> tuple[int, int]:
    """Read width and height from an image's header, before EXIF turns it; no pixels are decoded.

    Args:
        encoded: bytes of an image file.

    Raises:
        ImageError: they are no image, or damaged.
    """
    name = f"the {len(encoded)} bytes"
    try:
        with open_image(BytesIO(encoded), name) as image:
            return image.width, image.height
    except FacegeomError:
        raise
    except Exception as error:
        raise failure(name, error) from error


def _name(source: Source) -> str:
    """Return what error messages call a source."""
    if isinstance(source, (str, os.PathLike)):
        return repr(os.fspath(source))
    if isinstance(source, np.ndarray):
        return "the array"
    if isinstance(source, Image.Image):
        return "the Pillow image"
    return f"the {len(source)} bytes" if isinstance(source, (bytes, bytearray)) else "the picture"


def _encoded(source: Any) -> bytes:
    """Return the bytes of a file that came as bytes or as an open file.

    Raises:
        ImageError: the file cannot be read.
        InputError: the source is of another type.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    got = type(source).__name__
    if isinstance(source, (list, tuple, set)):
        got += "; batch takes several photos"
    elif source is None:
        got += "; was the photo loaded? (cv2.imread returns None for what it cannot read)"
    elif hasattr(source, "read"):
        try:
            content = b"" if isinstance(source, TextIOBase) else source.read()
        except Exception as error:
            raise ImageError(f"cannot read the open file: {error or got}; open it anew") from error
        if isinstance(source, TextIOBase) or isinstance(content, str):
            raise InputError(f'expected a file opened as binary, got text ({got}); open it with mode "rb"')
        if isinstance(content, (bytes, bytearray, memoryview)):
            if not content:
                raise ImageError(
                    "expected a picture, got nothing (0 bytes) after the file's position; seek(0)?"
                )
            return bytes(content)
        got += f" whose read() returns {type(content).__name__}"
    raise InputError(
        "expected a path, bytes, an open binary file, a Pillow image or a numpy array as the picture, "
        f"got {got}"
    )


def _decode_file(source: str | os.PathLike[str], min_face: FaceSize | None, face_px: float) -> Decoded:
    try:
        path = Path(source)
    except TypeError as error:
        raise InputError(f"expected a path of type str, got {os.fspath(source)!r}") from error
    try:
        if not path.is_file():
            if _URL.match(str(source)) and not path.exists():
                raise ImageError(
                    f"expected a local file or its bytes, but {str(source)[:200]!r} is a URL; "
                    "download it first (`facegeom batch` reads URLs)"
                )
            what = (
                "a folder" if path.is_dir() else "no such file" if not path.exists() else "not a regular file"
            )
            what = what if str(source) else "an empty text"
            raise ImageError(f"expected a picture file, but {str(source)!r} is {what}")
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"cannot read {str(path)!r}: {reason}; check the path") from error
    with stream:
        return decode_stream(stream, repr(str(path)), min_face, face_px, MAX_PIXELS)


def _from_array(array: npt.NDArray[np.generic]) -> UInt8Array:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        hint = ""
        if array.ndim == 4:
            hint = "; batch takes several photos"
        elif array.ndim == 3 and array.shape[0] in (1, 3, 4):
            hint = "; put the channels last"
        expected = "the shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        raise ImageError(f"the array: expected {expected}, got {array.shape}{hint}")
    check_size(array.shape[1], array.shape[0], "the array", MAX_PIXELS)
    pixels = to_uint8(array, "the array", True).reshape(*array.shape[:2], -1)
    channels = pixels.shape[2]
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels if channels == 3 else _over_white(pixels))


def _over_white(rgba: UInt8Array) -> UInt8Array:
    """Composite RGBA (H, W, 4) over white, rounded to the nearest: RGB (H, W, 3)."""
    alpha = rgba[..., 3:].astype(np.uint32)
    if not alpha.any():
        return rgba[..., :3]
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
