"""Pictures in: any readable source to an RGB array, upright, within limits; and resizing.

Pillow decodes. Its module-wide settings are neither relied on for the limits nor changed, so that reading
is safe from many threads and beside other users of Pillow.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.errors import ImageError, InputError
from facegeom.image import exif
from facegeom.image.exif import DECODER_ERRORS

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Source: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | npt.NDArray[np.generic]
)

_Answer = TypeVar("_Answer")

MAX_PIXELS = 100_000_000
"""Largest picture that is decoded, pixels."""

_ENDINGS_OF_PHOTOS = "jpg jpeg jpe jfif mpo png gif bmp dib tif tiff webp pbm pgm ppm pnm jp2 j2k avif"
ENDINGS = frozenset(f".{ending}" for ending in _ENDINGS_OF_PHOTOS.split())
"""Lower-case file endings that a search of a folder picks up. A file named directly may end in anything."""

# Photos only: Pillow's other readers start programs (EPS) or take files without a signature (TGA).
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "JPEG2000", "AVIF")


def read(source: Source) -> UInt8Array:
    """The picture as a person sees it: uint8 (H, W, 3), RGB, C-contiguous.

    Files and Pillow images: EXIF orientation is applied, of an animated file the first frame is taken,
    transparent parts are laid over white, 16-bit grey is scaled by 1/257. Colour profiles are ignored.
    Arrays: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16 (scaled by 1/257), or floats
    in [0, 1]. An array that already has the answer's form is returned as it is, not copied; other answers
    may be read-only.

    Args:
        source: path, encoded bytes, Pillow image or array.

    Raises:
        ImageError: the picture cannot be read or used, or has more than ``MAX_PIXELS`` pixels; the size is
            checked before decoding.
        InputError: the source is of another type.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_pillow(source, "the Pillow image")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_stream(BytesIO(source), f"the {len(source)} bytes")
    if isinstance(source, (str, os.PathLike)):
        return _with_file(Path(source), _from_stream)
    raise InputError(
        f"expected a path, bytes, a Pillow image or a numpy array as the picture, got {type(source).__name__}"
    )


def read_reduced(source: Source, coarsest: Callable[[int, int], float]) -> tuple[UInt8Array, tuple[int, int]]:
    """As :func:`read`, but a large JPEG file is decoded at a half, a quarter or an eighth of its size.

    The decoder leaves out the fine detail, which takes a fraction of the time. Edges stay edges: pixel i of
    a picture of width V shows (i + 0.5) · W/V - 0.5 of the whole one of width W.

    Args:
        source: as for :func:`read`.
        coarsest: of a width and a height, how many pixels may become one along each side at most.

    Returns:
        The picture, and width and height of the whole one, both upright.

    Raises:
        ImageError, InputError: as :func:`read`.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _reduced_stream(BytesIO(source), f"the {len(source)} bytes", coarsest)
    if isinstance(source, (str, os.PathLike)):
        return _with_file(Path(source), lambda stream, name: _reduced_stream(stream, name, coarsest))
    pixels = read(source)
    return pixels, (pixels.shape[1], pixels.shape[0])


def _reduced_stream(
    stream: IO[bytes], name: str, coarsest: Callable[[int, int], float]
) -> tuple[UInt8Array, tuple[int, int]]:
    with _decoding(name), _open(stream, _head(stream, name), name) as image:
        _check_size(image.width, image.height, name)
        whole = image.size
        factor = max(step for step in (1, 2, 4, 8) if step == 1 or step <= coarsest(*whole))
        if factor > 1:  # only JPEG's reader takes the hint
            image.draft(None, (max(1, whole[0] // factor), max(1, whole[1] // factor)))
        size = image.size
        pixels = _from_pillow(image, name)
    turned = pixels.shape[:2] == size and size[0] != size[1]
    return pixels, (whole[1], whole[0]) if turned else whole


def size_wh(encoded: bytes) -> tuple[int, int]:
    """Width and height that a picture has in its file, before EXIF turns it; its pixels are not decoded.

    Args:
        encoded: bytes of a picture's file.

    Raises:
        ImageError: they are no picture, or damaged.
    """
    name, stream = f"the {len(encoded)} bytes", BytesIO(encoded)
    with _decoding(name), _open(stream, _head(stream, name), name) as image:
        return image.width, image.height


def fov_deg(source: Source) -> float | None:
    """Angle of view across the picture's longer side by its EXIF, degrees in [1, 179]; nothing is decoded.

    None when the EXIF does not say, and for arrays. See :func:`facegeom.image.exif.fov_deg`.

    Args:
        source: as for :func:`read`.

    Raises:
        ImageError: a file or bytes are no picture.
    """
    if isinstance(source, Image.Image):
        return exif.fov_deg(source)
    if isinstance(source, (str, os.PathLike)):
        return _with_file(Path(source), _fov_of_stream)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _fov_of_stream(BytesIO(source), f"the {len(source)} bytes")
    return None


def _fov_of_stream(stream: IO[bytes], name: str) -> float | None:
    with _decoding(name), _open(stream, _head(stream, name), name) as image:
        return exif.fov_deg(image)


def _with_file(path: Path, use: Callable[[IO[bytes], str], _Answer]) -> _Answer:
    try:
        if not path.is_file():
            what = (
                "a folder" if path.is_dir() else "no such file" if not path.exists() else "not a regular file"
            )
            raise ImageError(f"expected a picture file, but {str(path)!r} is {what}")
        with path.open("rb") as stream:
            return use(stream, repr(str(path)))
    except OSError as error:
        raise ImageError(f"cannot read {str(path)!r}: {error.strerror or error}; check the path") from error


def _from_stream(stream: IO[bytes], name: str) -> UInt8Array:
    with _decoding(name), _open(stream, _head(stream, name), name) as image:
        return _from_pillow(image, name)


def _head(stream: IO[bytes], name: str) -> bytes:
    head = stream.read(16)
    if not head:
        raise ImageError(f"{name}: expected a picture, got nothing (0 bytes)")
    return head


def _open(stream: IO[bytes], head: bytes, name: str) -> Image.Image:
    """The picture's header is read, its pixels are not.

    ``Image.open`` does the same, but warns and refuses by the sizes in Pillow's module-wide setting and
    tries every format it knows; the limit here is ours, and so is the list.
    """
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


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder throws at a damaged file into an ImageError."""
    try:
        yield
    except ImageError:
        raise
    except DECODER_ERRORS as error:
        raise ImageError(
            f"{name}: the picture is damaged or cut short ({error}); get a whole copy"
        ) from error


def _from_pillow(image: Image.Image, name: str) -> UInt8Array:
    _check_size(image.width, image.height, name)
    with _decoding(name):
        image.load()
        turn = exif.upright(image)
        flat = _to_rgb(image, name)
        return np.asarray(flat if turn is None else flat.transpose(turn))


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
    """Grey (H, W) of more than 8 bits: uint16 for whole numbers, else the floats as they are."""
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
    """RGB (H, W, 3) of RGBA (H, W, 4) laid over white, rounded to the nearest."""
    alpha = rgba[..., 3:].astype(np.uint32)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def resize(
    image: UInt8Array, size_wh: tuple[int, int], box_xyxy: tuple[float, float, float, float] | None = None
) -> UInt8Array:
    """Resize a picture, or a box of it, with antialiased bilinear interpolation.

    Edges meet edges: for width W resized to V, the centre of pixel i of the answer shows
    (i + 0.5) · W/V - 0.5 of the picture; with a box, left + (i + 0.5) · (right - left)/V.

    Args:
        image: (H, W, 3) or (H, W), uint8.
        size_wh: width and height of the answer, pixels, at least 1.
        box_xyxy: edges of the part to take, pixels, within [-0.5, W - 0.5] and [-0.5, H - 0.5]; by default
            the whole picture.

    Returns:
        (height, width, 3) or (height, width), uint8.

    Raises:
        InputError: a size below 1, or a box that is empty or leaves the picture.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = box_xyxy or (-0.5, -0.5, width - 0.5, height - 0.5)
    if min(size_wh) < 1:
        raise InputError(f"expected a size of at least 1 x 1, got {size_wh}")
    if not (-0.5 <= left < right <= width - 0.5 and -0.5 <= top < bottom <= height - 0.5):
        raise InputError(f"expected a box inside the {width} x {height} picture, got {box_xyxy}")
    edges = (left + 0.5, top + 0.5, right + 0.5, bottom + 0.5)  # Pillow counts from the picture's corner
    return np.asarray(Image.fromarray(image).resize(size_wh, Image.Resampling.BILINEAR, box=edges))
