"""Any readable source to an upright RGB array, within limits; and resizing.

Pillow decodes. Its module-wide settings are neither relied on for the limits nor changed, so that reading
is safe from many threads and beside other users of Pillow.
"""

import os
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.errors import ImageError, InputError
from facegeom.image.exif import DECODER_ERRORS, read_exif

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Source: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | npt.NDArray[np.generic]
)

MAX_PIXELS = 100_000_000
"""Largest image that is decoded, pixels."""

_SWAPPING = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)
"""Operations that swap width and height."""

_ENDINGS_OF_PHOTOS = "jpg jpeg jpe jfif mpo png gif bmp dib tif tiff webp pbm pgm ppm pnm jp2 j2k avif"
ENDINGS = frozenset(f".{ending}" for ending in _ENDINGS_OF_PHOTOS.split())
"""Lower-case file endings that a search of a folder picks up. A file named directly may end in anything."""

# Photos only: Pillow's other readers start programs (EPS) or take files without a signature (TGA).
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "JPEG2000", "AVIF")


class FaceSize(NamedTuple):
    """A size of faces: pixels of the photo, or a fraction of its longer side, whichever is larger."""

    px: float
    fraction: float = 0.0

    def in_photo(self, width: int, height: int) -> float:
        """Return the size in pixels for a photo of width and height."""
        return max(self.px, self.fraction * max(width, height))


class Decoded(NamedTuple):
    """A decoded image.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright, C-contiguous; possibly reduced, possibly read-only.
        full_wh: width and height of the whole image, upright.
        fov_deg: angle of view across the longer side by EXIF, degrees; None where EXIF does not say.
    """

    pixels: UInt8Array
    full_wh: tuple[int, int]
    fov_deg: float | None = None


def read(source: Source) -> UInt8Array:
    """Read an image as a person sees it: (H, W, 3) uint8 RGB, C-contiguous.

    Files and Pillow images: EXIF orientation is applied, of an animated file the first frame is taken,
    transparent pixels are composited over white, 16-bit grey is scaled by 1/257. Colour profiles are ignored.
    Arrays: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16 (scaled by 1/257), or floats
    in [0, 1]. An array of the returned form is returned as it is, not copied; other results may be read-only.

    Args:
        source: path, encoded bytes, Pillow image or array.

    Raises:
        ImageError: the image cannot be read or used, or has more than ``MAX_PIXELS`` pixels; the size is
            checked before decoding.
        InputError: the source is of another type.
    """
    return decode(source).pixels


def decode(source: Source, min_face: FaceSize | None = None, face_px: float = 1.0) -> Decoded:
    """Decode an image as :func:`read`, with its full size and what EXIF says; opens a file once.

    A JPEG file is decoded at a half, a quarter or an eighth of its size as long as a face of ``min_face``
    keeps ``face_px`` pixels: the decoder leaves out fine detail, which takes a fraction of the time. Edges
    stay edges: pixel i of a reduced image of width V shows (i + 0.5) · W/V - 0.5 of the whole one of width W.

    Args:
        source: as for :func:`read`.
        min_face: the smallest face that matters; None decodes at full size.
        face_px: pixels that such a face needs.

    Raises:
        ImageError, InputError: as :func:`read`.
    """
    if isinstance(source, np.ndarray):
        pixels = _from_array(source)
        return Decoded(pixels, (pixels.shape[1], pixels.shape[0]))
    if isinstance(source, Image.Image):
        return _decode_image(source, "the Pillow image", None, 1.0)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode_stream(BytesIO(source), f"the {len(source)} bytes", min_face, face_px)
    if isinstance(source, (str, os.PathLike)):
        return _decode_file(Path(source), min_face, face_px)
    raise InputError(
        f"expected a path, bytes, a Pillow image or a numpy array as the picture, got {type(source).__name__}"
    )


def header_size_wh(encoded: bytes) -> tuple[int, int]:
    """Read width and height from an image's header, before EXIF turns it; no pixels are decoded.

    Args:
        encoded: bytes of an image file.

    Raises:
        ImageError: they are no image, or damaged.
    """
    name, stream = f"the {len(encoded)} bytes", BytesIO(encoded)
    try:
        with _open(stream, name) as image:
            return image.width, image.height
    except DECODER_ERRORS as error:
        raise _damaged(name, error) from error


def _decode_file(path: Path, min_face: FaceSize | None, face_px: float) -> Decoded:
    try:
        if not path.is_file():
            what = (
                "a folder" if path.is_dir() else "no such file" if not path.exists() else "not a regular file"
            )
            raise ImageError(f"expected a picture file, but {str(path)!r} is {what}")
        with path.open("rb") as stream:
            return _decode_stream(stream, repr(str(path)), min_face, face_px)
    except OSError as error:
        raise ImageError(f"cannot read {str(path)!r}: {error.strerror or error}; check the path") from error


def _decode_stream(stream: IO[bytes], name: str, min_face: FaceSize | None, face_px: float) -> Decoded:
    try:
        with _open(stream, name) as image:
            return _decode_image(image, name, min_face, face_px)
    except DECODER_ERRORS as error:
        raise _damaged(name, error) from error


def _decode_image(image: Image.Image, name: str, min_face: FaceSize | None, face_px: float) -> Decoded:
    _check_size(image.width, image.height, name)
    full_wh = image.size
    if min_face is not None:
        largest = min_face.in_photo(*full_wh) / face_px
        factor = max(step for step in (1, 2, 4, 8) if step == 1 or step <= largest)
        if factor > 1:  # only JPEG's reader takes the hint
            image.draft(None, (max(1, full_wh[0] // factor), max(1, full_wh[1] // factor)))
    try:
        image.load()
        flat = _to_rgb(image, name)
        transpose, fov_deg = read_exif(image, full_wh)
        pixels = np.asarray(flat if transpose is None else flat.transpose(transpose))
    except DECODER_ERRORS as error:
        raise _damaged(name, error) from error
    return Decoded(pixels, full_wh[::-1] if transpose in _SWAPPING else full_wh, fov_deg)


def _damaged(name: str, error: Exception) -> ImageError:
    return ImageError(f"{name}: the picture is damaged or cut short ({error}); get a whole copy")


def _open(stream: IO[bytes], name: str) -> Image.Image:
    """Read the image's header, not its pixels.

    ``Image.open`` does the same, but warns and refuses by the sizes in Pillow's module-wide setting and
    tries every format it knows; limit and list here are ours.
    """
    head = stream.read(16)
    if not head:
        raise ImageError(f"{name}: expected a picture, got nothing (0 bytes)")
    for register in (Image.preinit, Image.init):  # the few common formats load faster than all of them
        register()
        for kind in _FORMATS:
            factory, accept = Image.OPEN.get(kind, (None, None))
            if factory is not None and accept is not None and accept(head) is True:
                stream.seek(0)
                return factory(stream, "")
    raise ImageError(
        f"{name}: not a picture in a known format ({', '.join(_FORMATS)}); convert it to JPEG or PNG"
    )


def _check_size(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{name}: expected at least 1 x 1 pixel, got {width} x {height} (width x height)")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name}: expected at most {MAX_PIXELS:,} pixels, got {width} x {height}; make it smaller"
        )


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # Pillow's own conversion would clip 16 bits to 8
        return Image.fromarray(_from_array(_wide_grey(image), name))
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        white = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(white, opaque).convert("RGB")
    return image.convert("RGB")


def _wide_grey(image: Image.Image) -> npt.NDArray[np.generic]:
    """Return grey (H, W) of more than 8 bits: uint16 for integers, else the floats as they are."""
    grey = np.asarray(image)
    if grey.dtype.kind == "f":
        return grey
    if grey.min() < 0 or grey.max() > 65535:
        raise ValueError(f"expected 16-bit grey, got values from {grey.min()} to {grey.max()}")
    return grey.astype(np.uint16)


def _from_array(array: npt.NDArray[np.generic], name: str = "the array") -> UInt8Array:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(
            f"{name}: expected the shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {array.shape}"
        )
    _check_size(array.shape[1], array.shape[0], name)
    pixels = _to_uint8(array, name).reshape(*array.shape[:2], -1)
    channels = pixels.shape[2]
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels if channels == 3 else _over_white(pixels))


def _to_uint8(array: npt.NDArray[np.generic], name: str) -> UInt8Array:
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # of either byte order
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind != "f":
        raise ImageError(f"{name}: expected uint8, uint16, or floats in [0, 1], got {array.dtype}")
    values = array.astype(np.float32, copy=False)
    low, high = values.min(), values.max()  # NaN passes through both
    if not (low >= 0 and high <= 1):
        raise ImageError(
            f"{name}: expected finite floats in [0, 1], got values from {low} to {high}; scale them"
        )
    return np.rint(values * 255).astype(np.uint8)


def _over_white(rgba: UInt8Array) -> UInt8Array:
    """Composite RGBA (H, W, 4) over white, rounded to the nearest: RGB (H, W, 3)."""
    alpha = rgba[..., 3:].astype(np.uint32)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def resize(
    image: UInt8Array, size_wh: tuple[int, int], box_xyxy: tuple[float, float, float, float] | None = None
) -> UInt8Array:
    """Resize an image, or a box of it, with antialiased bilinear interpolation.

    Edges meet edges: for width W resized to V, the centre of pixel i of the result shows
    (i + 0.5) · W/V - 0.5 of the image; with a box, left + (i + 0.5) · (right - left)/V.

    Args:
        image: (H, W, 3) or (H, W), uint8.
        size_wh: width and height of the result, pixels, at least 1.
        box_xyxy: edges of the part to take, pixels, within [-0.5, W - 0.5] and [-0.5, H - 0.5]; by default
            the whole image.

    Returns:
        (height, width, 3) or (height, width), uint8.

    Raises:
        InputError: a size below 1, or a box that is empty or leaves the image.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = box_xyxy or (-0.5, -0.5, width - 0.5, height - 0.5)
    if min(size_wh) < 1:
        raise InputError(f"expected a size of at least 1 x 1, got {size_wh}")
    if not (-0.5 <= left < right <= width - 0.5 and -0.5 <= top < bottom <= height - 0.5):
        raise InputError(f"expected a box inside the {width} x {height} picture, got {box_xyxy}")
    edges = (left + 0.5, top + 0.5, right + 0.5, bottom + 0.5)  # Pillow counts from the image's corner
    return np.asarray(Image.fromarray(image).resize(size_wh, Image.Resampling.BILINEAR, box=edges))
