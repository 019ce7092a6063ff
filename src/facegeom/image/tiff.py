"""TIFF files: checked before Pillow opens them, and the grey levels that Pillow leaves as they are stored."""

import struct
from io import BytesIO
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.errors import ImageError
from facegeom.image.kinds import CONVERT, unsupported

MAX_TAGS = 2000
"""Tags of one directory; a photo has some dozens."""

MAX_PIECES = 100_000
"""Strips or tiles of one image."""

LARGEST_TILE = 4096**2
"""Pixels of a tile, of which a small picture may be a corner."""

_BITS, _COMPRESSION, _PHOTOMETRIC, _MAKE, _STRIPS, _TILES = 258, 259, 262, 271, 273, 324
_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_SUB_IFDS, _SAMPLE_FORMAT, _EXIF, _DNG_VERSION, _SAMPLES = 330, 339, 34665, 50706, 277

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}

_WHITE_IS_ZERO = 0
_COLOUR_FILTER, _LINEAR_RAW = 32803, 34892
"""Values of ``PhotometricInterpretation``: inverted grey, and two of cameras' raw files."""

_RAW_OF_MAKER = {b"NIKON": "NEF", b"SONY": "ARW", b"PENTAX": "PEF", b"SAMSUNG": "SRW", b"Canon": "CR2"}
_SAMPLE_KINDS = {2: "signed integers", 3: "floats", 5: "complex integers", 6: "complex floats"}


class _Tag(NamedTuple):
    """A tag of a directory: its type, how many values, and where they are in the file."""

    type: int
    number: int
    start: int

    @property
    def size(self) -> int:
        return _TYPE_BYTES.get(self.type, 1) * self.number


class _Directory:
    """The tags of the directory that starts there in a file, by default of the first.

    Raises:
        ValueError: too many tags, or tags that are together larger than the file.
        struct.error: the file ends before the directory.
    """

    def __init__(self, stream: IO[bytes], start: int | None = None) -> None:
        stream.seek(0)
        head = stream.read(16)
        self.stream = stream
        self.order = "<" if head[:2] == b"II" else ">"
        big = 43 in head[2:4]
        if start is None:
            (start,) = struct.unpack(self.order + ("Q" if big else "L"), head[8:16] if big else head[4:8])
        stream.seek(start)
        width, count = (20, "Q") if big else (12, "H")
        (number,) = struct.unpack(self.order + count, stream.read(struct.calcsize(count)))
        if number > MAX_TAGS:
            raise ValueError(f"a directory of {number} tags")
        first, table = stream.tell(), stream.read(number * width)
        form = struct.Struct(self.order + ("HHQ8s" if big else "HHL4s"))
        inline, offset = (8, "Q") if big else (4, "L")
        self.tags: dict[int, _Tag] = {}
        for index in range(len(table) // width):
            tag, kind, count_of, value = form.unpack_from(table, index * width)
            entry = _Tag(kind, count_of, first + (index + 1) * width - inline)
            if entry.size > inline:
                entry = entry._replace(start=struct.unpack(self.order + offset, value)[0])
            self.tags.setdefault(tag, entry)
        length = stream.seek(0, 2)
        if sum(tag.size for tag in self.tags.values() if tag.size <= length) > 4 * length + 65536:
            raise ValueError("tags that overlap")

    def numbers(self, tag: int, default: int = 0) -> tuple[int, ...]:
        """Return the first values of an integer tag, (default,) where it is missing."""
        entry = self.tags.get(tag)
        if entry is None or entry.type not in _INTEGERS or not entry.number:
            return (default,)
        form = f"{self.order}{min(entry.number, 16)}{_INTEGERS[entry.type]}"
        self.stream.seek(entry.start)
        return struct.unpack(form, self.stream.read(struct.calcsize(form)))


def open_tiff(stream: IO[bytes], name: str) -> Image.Image:
    """Open a TIFF file without decoding its pixels.

    Raises:
        ImageError: raw data of a camera, of which only the small preview would be read; pixels of a kind
            that Pillow does not read; absurdly many strips or tiles.
    """
    from PIL.TiffImagePlugin import COMPRESSION_INFO, TiffImageFile

    stream.seek(0)
    if stream.read(4) == b"MM\x00+":
        raise unsupported(name, "BigTIFF in big-endian order")
    directory = _Directory(stream)
    if raw := _raw_kind(directory):
        raise unsupported(name, f"RAW ({raw})")
    pieces = max([0, *(directory.tags[tag].number for tag in (_STRIPS, _TILES) if tag in directory.tags)])
    if pieces > MAX_PIECES:
        raise ImageError(
            f"{name}: expected at most {MAX_PIECES:,} strips or tiles, got {pieces:,}; {CONVERT}"
        )
    sides = [directory.numbers(tag, 0)[0] for tag in (_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT)]
    if sides[2] * sides[3] > max(LARGEST_TILE, sides[0] * sides[1]):
        raise ImageError(
            f"{name}: expected tiles no larger than the picture of {sides[0]} x {sides[1]}, got"
            f" {sides[2]} x {sides[3]}; {CONVERT}"
        )
    compression = directory.numbers(_COMPRESSION, 1)[0]
    if compression not in COMPRESSION_INFO:
        raise unsupported(name, f"TIFF with compression {compression}")
    inverted = _is_inverted(directory)
    stream.seek(0)
    try:
        image = TiffImageFile(_as_black_is_zero(directory) if inverted else stream, "")
    except SyntaxError as error:
        if "pixel mode" not in str(error):
            raise
        raise unsupported(name, f"TIFF of {_pixel_kind(directory)}") from error
    codec, raw_mode = image.tile[0][0], str(image.tile[0][3])
    if codec == "libtiff" and ("BF'" in raw_mode or "BS'" in raw_mode):  # Pillow would mix up the bytes
        raise unsupported(name, f"compressed big-endian TIFF of {_pixel_kind(directory)}")
    if inverted:
        image.tag_v2[_PHOTOMETRIC] = _WHITE_IS_ZERO
    return image


def wide_grey(image: Image.Image, name: str) -> npt.NDArray[np.generic]:
    """Return grey (H, W) of more than 8 bits, black at 0: uint16, or floats as they are stored.

    Pillow inverts grey whose white is zero (``PhotometricInterpretation``) only up to 8 bits, and leaves
    12 bits in the lower part of 16.
    """
    grey: npt.NDArray[Any] = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    if grey.dtype.kind == "f":
        return 1 - grey if inverted else grey
    low, high = int(grey.min()), int(grey.max())
    if low < 0 or high > 65535:
        if image.format is None:
            raise ImageError(f"{name}: expected 16-bit grey, got values from {low} to {high}; scale them")
        raise unsupported(name, f"{image.format} of 32-bit or signed grey")
    if tags.get(_BITS) == (12,):
        grey = (grey.astype(np.uint32) * 65535 + 2047) // 4095
    grey = grey.astype(np.uint16)
    return 65535 - grey if inverted else grey


def is_bounded(exif: bytes) -> bool:
    """Return whether the directories of an EXIF block are few tags that together fit into the block."""
    stream = BytesIO(exif.removeprefix(b"Exif\x00\x00"))
    try:
        inner = _Directory(stream).numbers(_EXIF)[0]
        return inner == 0 or bool(_Directory(stream, inner))
    except (ValueError, struct.error):
        return False


def _raw_kind(directory: _Directory) -> str | None:
    """Return the name of a camera's raw format, None for ordinary TIFF."""
    if _DNG_VERSION in directory.tags:
        return "DNG"
    directories = [directory]
    for start in directory.numbers(_SUB_IFDS):
        try:
            directories += [_Directory(directory.stream, start)] if start else []
        except (ValueError, struct.error):
            continue
    if any(each.numbers(_PHOTOMETRIC)[0] in (_COLOUR_FILTER, _LINEAR_RAW) for each in directories):
        maker = b""
        if _MAKE in directory.tags:
            directory.stream.seek(directory.tags[_MAKE].start)
            maker = directory.stream.read(8)
        return next((raw for prefix, raw in _RAW_OF_MAKER.items() if maker.startswith(prefix)), "TIFF")
    directory.stream.seek(8)
    return "CR2" if directory.stream.read(2) == b"CR" else None


def _is_inverted(directory: _Directory) -> bool:
    """Return whether this is grey of 12 or 16 bits with white at zero."""
    stored = [directory.numbers(tag, 1) for tag in (_PHOTOMETRIC, _BITS, _SAMPLE_FORMAT, _SAMPLES)]
    return stored[0] == (_WHITE_IS_ZERO,) and stored[1] in ((12,), (16,)) and stored[2:] == [(1,), (1,)]


def _as_black_is_zero(directory: _Directory) -> IO[bytes]:
    """Return the file with black at zero, since Pillow opens fewer kinds of the other."""
    directory.stream.seek(0)
    data, entry = bytearray(directory.stream.read()), directory.tags[_PHOTOMETRIC]
    struct.pack_into(directory.order + _INTEGERS[entry.type], data, entry.start, 1)
    return BytesIO(data)


def _pixel_kind(directory: _Directory) -> str:
    bits = directory.numbers(_BITS, 1)
    samples = max(directory.numbers(_SAMPLES, 1)[0], len(bits))
    kind = _SAMPLE_KINDS.get(directory.numbers(_SAMPLE_FORMAT, 1)[0], "integers")
    return f"{samples} x {bits[0]} bits ({kind})"
