"""Encoded images to upright pixels: choose Pillow's reader, refuse what would harm, decode."""

import re
import struct
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from facegeom.errors import ImageError
from facegeom.image import kinds, tiff
from facegeom.image.colour import converter
from facegeom.image.exif import read_exif
from facegeom.image.jpeg import EOI, FRAMES, JPEG_LS, PROGRESSIVE, SOI, SOS, Segment, complete_jpeg
from facegeom.image.pyramid import Pyramid, ToSrgb, UInt8Array

_Factory: TypeAlias = Callable[[IO[bytes], str], Image.Image]

# Photos only: Pillow's other readers start programs (EPS) or take files without a signature (TGA).
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "JPEG2000", "AVIF")

MAX_BYTES = 1 << 30
"""Largest file; those of TIFF may be larger, they are not read whole."""

MAX_TEXT_BYTES = 1 << 22
"""Largest PBM, PGM or PPM file that is written in digits, which Pillow decodes slowly."""

MAX_SCANS, MAX_SCANNED_PIXELS = 100, 2_000_000_000
"""Scans of a JPEG file, and pixels of all scans; a progressive one has about 10, each of the whole image."""

MAX_SIDE = 1_000_000
"""Longest side, pixels: an image of one column takes a hundred times the memory of its pixels."""

MAX_SEGMENTS, MAX_JUNK = 10_000, 1 << 20
"""Segments of a JPEG file, and bytes between two of them."""

MAX_RLE_PIXELS = 16_000_000
"""Pixels of a run-length encoded BMP file, which Pillow decodes slowly."""

HEIF_MODULE = next((module for module in ("pillow_heif", "pi_heif") if find_spec(module)), None)
"""The optional package that reads HEIC; the second is its form without encoders."""

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_READ_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA))
"""Kinds of JPEG that Pillow reads, by their markers."""

_UNSUPPORTED = re.compile(
    "unsupported|not supported|cannot handle|not available|unknown .*mode", re.IGNORECASE
)


class FaceSize(NamedTuple):
    """A size of faces: pixels of the photo, or a fraction of its longer side, whichever is larger."""

    px: float
    fraction: float = 0.0

    def in_photo(self, width: int, height: int) -> float:
        """Return the size in pixels for a photo of width and height."""
        return max(self.px, self.fraction * max(width, height))


class Decoded(NamedTuple):
    """A decoded image.

    Pixel i of the decoded image shows (i + 0.5) · factor - 0.5 + offset of the whole one.

    Attributes:
        image: RGB, upright, in the colour space of the file, possibly reduced: one of Pillow's, or an array
            (H, W, 3) uint8, C-contiguous.
        full_wh: width and height of the whole image, upright.
        fov_deg: angle of view across the longer side by EXIF, degrees; None where EXIF does not say.
        factor: pixels of the whole image for one decoded pixel: 1, 2, 4 or 8.
        offset_xy: not 0 where the decoder's last cell is cut and EXIF carries it to the left or upper edge.
        to_srgb: converts images of this colour space to sRGB; None where it is sRGB.
    """

    image: UInt8Array | Image.Image
    full_wh: tuple[int, int]
    fov_deg: float | None = None
    factor: int = 1
    offset_xy: tuple[float, float] = (0.0, 0.0)
    to_srgb: ToSrgb | None = None

    @property
    def pixels(self) -> UInt8Array:
        """The image in sRGB, (H, W, 3) uint8, C-contiguous, possibly read-only."""
        return Pyramid(self.image, self.to_srgb).pixels


def decode_stream(
    stream: IO[bytes], name: str, min_face: FaceSize | None, face_px: float, max_pixels: int
) -> Decoded:
    """Decode an image file; see :func:`facegeom.image.reading.decode`.

    Raises:
        ImageError: an unsupported kind of file, or one that would exhaust time or memory.
        Exception: whatever Pillow raises for a damaged file; see :func:`failure`.
    """
    try:
        with open_image(stream, name) as image:
            return decode_image(image, name, min_face, face_px, max_pixels)
    except OSError:
        stream.seek(0)
        if stream.read(3) != b"\xff\xd8\xff":
            raise
        stream.seek(0)
        data = stream.read(MAX_BYTES)
        completed = complete_jpeg(data, _segments(data))
        if completed is None:
            raise
    with open_image(BytesIO(completed), name) as image:
        return decode_image(image, name, min_face, face_px, max_pixels)


def open_image(stream: IO[bytes], name: str) -> Image.Image:
    """Read the header of an encoded image, not its pixels; errors are those of :func:`decode_stream`.

    ``Image.open`` does the same, but warns and refuses by the sizes in Pillow's module-wide setting and
    tries every format it knows; limits and list here are ours.
    """
    head = stream.read(kinds.HEAD_BYTES)
    if not head:
        raise ImageError(f"{name}: expected a picture, got nothing (0 bytes)")
    stream.seek(0)
    if head[4:8] == b"ftyp" and kinds.iso_kind(head) == "HEIC":
        return _open_heif(stream, name)
    for register in (Image.preinit, Image.init):  # the few common formats load faster than all of them
        register()
        for kind in FORMATS:
            factory, accept = Image.OPEN.get(kind, (None, None))
            if factory is not None and accept is not None and accept(head[:16] + bytes(16)) is True:
                return _open_as(kind, factory, stream, name)
    raise kinds.unknown_kind(name, head, FORMATS)


def failure(name: str, error: Exception) -> ImageError:
    """Return the error for what a decoder raised."""
    if isinstance(error, MemoryError):
        return ImageError(f"{name}: not enough memory for this photo; make it smaller")
    text = str(error) or type(error).__name__
    if isinstance(error, Image.DecompressionBombError):
        return ImageError(f"{name}: expected a picture of fewer pixels ({text}); make it smaller")
    if "closed image" in text:
        return ImageError(f"{name}: expected an open picture, got one that was closed; open it again")
    if _UNSUPPORTED.search(text):
        return ImageError(
            f"{name}: this kind of picture is not supported ({text}); convert it to JPEG or PNG"
        )
    return ImageError(f"{name}: the picture is damaged or cut short ({text}); get a whole copy")


def decode_image(
    image: Image.Image, name: str, min_face: FaceSize | None, face_px: float, max_pixels: int
) -> Decoded:
    """Decode an opened image; see :func:`decode_stream`."""
    check_size(image.width, image.height, name, max_pixels)
    full_wh, factor = image.size, 1
    if min_face is not None and image.format in ("JPEG", "MPO"):
        largest = min_face.in_photo(*full_wh) / face_px
        factor = max(step for step in (1, 2, 4, 8) if step == 1 or step <= largest)
        if factor > 1:
            image.draft(None, (max(1, full_wh[0] // factor), max(1, full_wh[1] // factor)))
            factor = image.decoderconfig[0]  # type: ignore[attr-defined]  # less for the smallest images
    image.load()
    if factor == 1:
        full_wh = image.size  # before its version 11.1 Pillow turns a TIFF file by its EXIF here
    flat, to_srgb = _to_rgb(image, name)
    transpose, fov_deg = read_exif(image, full_wh)
    if transpose is not None:
        flat = flat.transpose(transpose)
    swapped, flipped = False, (False, False)
    if transpose is not None:
        cells = Image.fromarray(np.array([[0, 1], [2, 3]], np.uint8)).transpose(transpose)
        (corner, right), (below, _) = np.asarray(cells).tolist()
        swapped, flipped = abs(right - corner) == 2, (right < corner, below < corner)
    if swapped:
        full_wh = full_wh[::-1]
    offset_x, offset_y = (
        float(whole - part * factor) if flip else 0.0
        for whole, part, flip in zip(full_wh, flat.size, flipped, strict=True)
    )
    return Decoded(flat, full_wh, fov_deg, factor, (offset_x, offset_y), to_srgb)


def check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    """Check that an image has at least one pixel, not too many, and no absurdly long side."""
    size = f"{width} x {height}"
    if width < 1 or height < 1:
        raise ImageError(f"{name}: expected at least 1 x 1 pixel, got {size} (width x height)")
    if width * height > max_pixels:
        raise ImageError(f"{name}: expected at most {max_pixels:,} pixels, got {size}; make it smaller")
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{name}: expected sides of at most {MAX_SIDE:,} pixels, got {size}; cut it")


def to_uint8(array: npt.NDArray[np.generic], name: str, in_memory: bool) -> UInt8Array:
    """Scale 16 bits or floats to 8 bits; values in memory that look like 8 bits already are refused."""
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:  # of either byte order
        if in_memory and 0 < (highest := int(array.max())) <= 255:
            raise ImageError(
                f"{name}: expected 16 bits, got no value above {highest}; pass 8 bits as uint8 (mode L)"
            )
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind != "f":
        raise ImageError(f"{name}: expected uint8, uint16, or floats in [0, 1], got {array.dtype}")
    low, high = array.min(), array.max()  # NaN passes through both
    if not (low >= 0 and high <= 1):
        raise ImageError(
            f"{name}: expected finite floats in [0, 1], got values from {low} to {high}; scale them"
        )
    return np.rint(array.astype(np.float32, copy=False) * 255).astype(np.uint8)


def _to_rgb(image: Image.Image, name: str) -> tuple[Image.Image, ToSrgb | None]:
    """Return the image as opaque RGB, and what is left to do to its colours."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):  # Pillow's own conversion would clip 16 bits to 8
        image = Image.fromarray(to_uint8(tiff.wide_grey(image, name), name, image.format is None))
    if image.has_transparency_data:
        return _over_white(image, profile), None
    to_srgb = converter(image.mode, profile) if profile or image.mode == "LAB" else None
    if image.mode == "RGB":
        return image, to_srgb
    return image.convert("RGB") if to_srgb is None else to_srgb(image), None


def _over_white(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Composite an image over white in sRGB; alpha that is 0 everywhere was left empty, and counts as 255."""
    grey = image.mode in ("LA", "La")
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    to_srgb = converter("L" if grey else "RGB", profile)
    if to_srgb is not None:
        alpha, rgba = rgba.getchannel("A"), to_srgb(rgba.convert("L" if grey else "RGB"))
        rgba.putalpha(alpha)
    if rgba.getbbox() is None:
        return rgba.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


class _LimitedReads(BytesIO):
    """A file whose reads are counted, since readers in Python walk through parts of a few bytes each."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.left = 100_000 + len(data) // 100

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise ValueError("too many parts")
        return super().read(size)


def _open_as(kind: str, factory: _Factory, stream: IO[bytes], name: str) -> Image.Image:
    if kind == "TIFF":
        return tiff.open_tiff(stream, name)
    data = stream.read(MAX_BYTES + 1)
    most = MAX_TEXT_BYTES if data[:2] in (b"P1", b"P2", b"P3") else MAX_BYTES
    if len(data) > most:
        raise ImageError(f"{name}: expected at most {most >> 20} MiB of {kind}; {kinds.CONVERT}")
    if kind == "JPEG":
        _check_jpeg(data, name)
        return factory(BytesIO(data), "")
    limited = _LimitedReads(data)
    image = factory(limited, "")
    if kind == "PPM" and isinstance(image, ImageFile.ImageFile) and image.tile[0][0] == "ppm":
        return _scaled_pnm(image, data)
    if kind == "BMP":
        limited.left = len(data)  # runs of a pixel are read one by one
    packed = kind == "BMP" and image.info.get("compression") in (1, 2)
    if packed and image.width * image.height > MAX_RLE_PIXELS:
        raise kinds.unsupported(name, f"run-length encoded BMP of {image.width} x {image.height} pixels")
    return image


def _scaled_pnm(image: Any, data: bytes) -> Image.Image:
    """Return PGM or PPM of another range than 8 bits in 8 bits; Pillow reads their samples in Python."""
    _, _, start, (_, highest) = image.tile[0]
    shape = (image.height, image.width) if image.mode in ("L", "I") else (image.height, image.width, 3)
    samples = np.frombuffer(data, "u1" if highest < 256 else ">u2", int(np.prod(shape)), start)
    scaled = (np.minimum(samples, highest).astype(np.uint32) * 255 + highest // 2) // highest
    return Image.fromarray(scaled.astype(np.uint8).reshape(shape))


def _open_heif(stream: IO[bytes], name: str) -> Image.Image:
    """Open HEIC by pillow-heif, which is not registered in Pillow; it turns the image upright itself."""
    try:
        if HEIF_MODULE is not None:
            image: Image.Image = import_module(HEIF_MODULE).HeifImageFile(stream, "")
            return image
    except ImportError:
        pass
    raise ImageError(
        f"{name}: HEIC is not supported without pillow-heif; "
        'pip install "facegeom[heic]" (in a checkout: pip install ".[heic]"), or convert it to JPEG or PNG'
    )


def _segments(data: bytes, last: int = EOI, scans: int = MAX_SEGMENTS) -> list[Segment]:
    """Return the segments of a JPEG file, in their order, up to the first of a kind, or to so many scans.

    Raises:
        ValueError: absurdly many, or absurdly much between those before the first scan.
    """
    found: list[Segment] = []
    position, scanned = 2, 0
    while match := _MARKER.search(data, position):
        marker, start = data[match.end() - 1], match.end()
        if len(found) == MAX_SEGMENTS or (not scanned and start - position > MAX_JUNK):
            raise ValueError("nonsense in place of its segments")
        if marker in (SOI, EOI):
            position = start
        else:
            position = start + max(2, int.from_bytes(data[start : start + 2], "big"))
        found.append(Segment(marker, start + 2, position))
        scanned += marker == SOS
        if marker in (last, EOI) or scanned == scans:
            break
    return found


def _check_jpeg(data: bytes, name: str) -> None:
    """Refuse kinds of JPEG that are not read, and files whose segments or scans would take for ever."""
    segments = _segments(data, SOS)
    frame, components, pixels = 0, 0, 1
    for marker, start, _ in segments:
        if marker == JPEG_LS:
            raise kinds.unsupported(name, "JPEG-LS")
        if marker in FRAMES and start + 6 <= len(data):
            frame, (bits, height, width, components) = marker, struct.unpack_from(">BHHB", data, start)
            pixels = max(1, width * height)
            if frame not in _READ_FRAMES:
                raise kinds.unsupported(name, "lossless or hierarchical JPEG")
            if bits != 8 or components not in (1, 3, 4):
                raise kinds.unsupported(name, f"JPEG of {components} x {bits} bits")
    if not segments or segments[-1].marker != SOS:
        raise ValueError("no scan")
    alone = data[segments[-1].start : segments[-1].start + 1] == bytes([components])
    if frame not in PROGRESSIVE and alone:
        return  # one scan has it all
    most = min(MAX_SCANS, max(1, MAX_SCANNED_PIXELS // pixels))
    scans = data.count(b"\xff\xda")  # or fewer, by chance it also stands in what follows the image
    if scans > most and sum(each.marker == SOS for each in _segments(data, scans=most + 1)) > most:
        raise ImageError(
            f"{name}: expected at most {most} scans of a JPEG, got more; save it as ordinary JPEG"
        )
