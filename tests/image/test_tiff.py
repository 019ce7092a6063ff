"""TIFF files that Pillow reads as they are stored or calls damaged: inverted grey, deep pixels, raw files."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.errors import ImageError
from facegeom.image import reading, tiff

BITS, COMPRESSION, PHOTOMETRIC, MAKE, SAMPLES, FORMAT = 258, 259, 262, 271, 277, 339
SUB_IFDS, DNG_VERSION = 330, 50706
SHORT, LONG, BYTES = 3, 4, 7


def build_tiff(
    data: bytes,
    size_wh: tuple[int, int],
    tags: dict[int, tuple[int, tuple[int, ...] | bytes]],
    order: str = "<",
) -> bytes:
    """Return a TIFF file of one strip; tags are type and values, which may replace those of 8-bit grey."""
    entries: dict[int, tuple[int, tuple[int, ...] | bytes]] = {
        256: (LONG, (size_wh[0],)),
        257: (LONG, (size_wh[1],)),
        BITS: (SHORT, (8,)),
        COMPRESSION: (SHORT, (1,)),
        PHOTOMETRIC: (SHORT, (1,)),
        273: (LONG, (8,)),
        SAMPLES: (SHORT, (1,)),
        278: (LONG, (size_wh[1],)),
        279: (LONG, (len(data),)),
        **tags,
    }
    body, table = data + bytes(-len(data) % 2), b""
    for tag, (kind, values) in sorted(entries.items()):
        form = {SHORT: "H", LONG: "L"}.get(kind)
        packed = bytes(values) if form is None else struct.pack(f"{order}{len(values)}{form}", *values)
        if len(packed) > 4:
            body, packed = body + packed, struct.pack(order + "L", 8 + len(body))
        table += struct.pack(order + "HHL", tag, kind, len(values)) + packed.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    start = struct.pack(order + "L", 8 + len(body))
    return magic + start + body + struct.pack(order + "H", len(entries)) + table + bytes(4)


def grey_tiff(
    grey: np.ndarray, photometric: int, order: str = "<", packed: bool = False, bits: int | None = None
) -> bytes:
    """Return a TIFF file of grey values (H, W) as they are to be stored."""
    data = grey.astype(grey.dtype.newbyteorder(order)).tobytes()
    kind = {"u": 1, "i": 2, "f": 3}[grey.dtype.kind]
    tags = {
        BITS: (SHORT, (bits or grey.itemsize * 8,)),
        COMPRESSION: (SHORT, (8 if packed else 1,)),
        PHOTOMETRIC: (SHORT, (photometric,)),
        FORMAT: (SHORT, (kind,)),
    }
    data = zlib.compress(data) if packed else data
    return build_tiff(data, (grey.shape[1], grey.shape[0]), {**tags, 279: (LONG, (len(data),))}, order)


LEVELS = np.array([[0, 50, 100], [200, 254, 255]])
"""The grey levels that the reading must give, of 255."""


@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize(
    ("white", "dtype", "packed", "order"),
    [
        (255, np.uint8, False, "<"),
        (255, np.uint8, False, ">"),
        (255, np.uint8, True, "<"),
        (255, np.uint8, True, ">"),
        (65535, np.uint16, False, "<"),
        (65535, np.uint16, False, ">"),
        (65535, np.uint16, True, "<"),
        (65535, np.uint16, True, ">"),
        (1, np.float32, False, "<"),
        (1, np.float32, False, ">"),
        (1, np.float32, True, "<"),
    ],
)
def test_grey_is_read_alike_whatever_its_zero(
    white: int, dtype: type, packed: bool, order: str, white_is_zero: bool
) -> None:
    stored = LEVELS * (white / 255)
    stored = white - stored if white_is_zero else stored
    data = grey_tiff(stored.astype(dtype), 0 if white_is_zero else 1, order, packed)
    np.testing.assert_array_equal(reading.read(data)[..., 0], LEVELS)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_one_bit(white_is_zero: bool, order: str) -> None:
    tags = {BITS: (SHORT, (1,)), PHOTOMETRIC: (SHORT, (0 if white_is_zero else 1,))}
    bits = 0b01010000 if white_is_zero else 0b10100000
    image = reading.read(build_tiff(bytes([bits]), (4, 1), tags, order))
    np.testing.assert_array_equal(image[0, :, 0], [255, 0, 255, 0])


@pytest.mark.parametrize("white_is_zero", [False, True])
def test_twelve_bits_are_scaled_by_their_own_white(white_is_zero: bool) -> None:
    """Two values in three bytes, the first in the upper bits."""
    first, second = (0, 4095) if not white_is_zero else (4095, 0)
    data = bytes([first >> 4, (first & 15) << 4 | second >> 8, second & 255])
    tags = {BITS: (SHORT, (12,)), PHOTOMETRIC: (SHORT, (0 if white_is_zero else 1,))}
    np.testing.assert_array_equal(reading.read(build_tiff(data, (2, 1), tags))[0, :, 0], [0, 255])


def test_an_opened_image_of_pillow_is_inverted_too() -> None:
    data = grey_tiff((65535 - LEVELS * 257).astype(np.uint16), 0)
    np.testing.assert_array_equal(reading.read(Image.open(BytesIO(data)))[..., 0], LEVELS)


def test_the_file_of_a_path_is_read_as_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "grey.tif"
    path.write_bytes(grey_tiff((65535 - LEVELS * 257).astype(np.uint16), 0, ">"))
    np.testing.assert_array_equal(reading.read(path)[..., 0], LEVELS)


def rgb_tiff(dtype: type, order: str = "<") -> bytes:
    kind = {"u": 1, "i": 2, "f": 3}[np.dtype(dtype).kind]
    data = np.ones((2, 2, 3), np.dtype(dtype).newbyteorder(order)).tobytes()
    bits = np.dtype(dtype).itemsize * 8
    return build_tiff(
        data,
        (2, 2),
        {
            BITS: (SHORT, (bits,) * 3),
            PHOTOMETRIC: (SHORT, (2,)),
            SAMPLES: (SHORT, (3,)),
            FORMAT: (SHORT, (kind,) * 3),
        },
        order,
    )


COLOUR_FILTER = {PHOTOMETRIC: (SHORT, (32803,)), SAMPLES: (SHORT, (1,)), BITS: (SHORT, (16,))}
MAKER = (2, b"NIKON CORPORATION\0")

UNSUPPORTED = [
    ("RGB of floats", rgb_tiff(np.float32), "TIFF of 3 x 32 bits (floats)"),
    ("RGB of floats, big-endian", rgb_tiff(np.float32, ">"), "TIFF of 3 x 32 bits (floats)"),
    ("RGB of 32 bits", rgb_tiff(np.uint32), "TIFF of 3 x 32 bits (integers)"),
    ("RGB of halves", rgb_tiff(np.float16), "TIFF of 3 x 16 bits (floats)"),
    ("doubles", grey_tiff(np.ones((2, 2)), 1), "TIFF of 1 x 64 bits (floats)"),
    ("unsigned 32 bits", grey_tiff(np.full((2, 2), 2**31 + 5, np.uint32), 1), "32-bit or signed grey"),
    ("signed 16 bits", grey_tiff(np.full((2, 2), -5, np.int16), 1), "32-bit or signed grey"),
    ("32 bits, white at zero", grey_tiff(np.full((2, 2), 5, np.uint32), 0), "TIFF of 1 x 32 bits (integers)"),
    (
        "compressed floats, big-endian",
        grey_tiff(np.ones((2, 2), np.float32), 1, ">", True),
        "compressed big-endian TIFF of 1 x 32 bits (floats)",
    ),
    ("unknown compression", build_tiff(b"....", (2, 2), {259: (SHORT, (34932,))}), "compression 34932"),
    ("BigTIFF, big-endian", b"MM\0+" + bytes(40), "BigTIFF"),
    ("DNG", build_tiff(b"....", (2, 2), {DNG_VERSION: (1, b"\1\4\0\0")}), "RAW (DNG)"),
    ("NEF", build_tiff(b"....", (2, 2), {**COLOUR_FILTER, MAKE: MAKER}), "RAW (NEF)"),
    ("unnamed maker", build_tiff(b"....", (2, 2), COLOUR_FILTER), "RAW (TIFF)"),
    ("CR2", b"II*\0\x10\0\0\0CR\2\0\0\0\0\0" + bytes(20), "RAW (CR2)"),
]


@pytest.mark.parametrize(
    ("data", "kind"), [row[1:] for row in UNSUPPORTED], ids=[row[0] for row in UNSUPPORTED]
)
def test_whole_files_of_other_kinds_are_not_called_damaged(data: bytes, kind: str) -> None:
    for read in (reading.read, reading.header_size_wh) if "grey" not in kind else (reading.read,):
        with pytest.raises(ImageError, match="is not supported; convert it to JPEG or PNG") as caught:
            read(data)
        assert kind in str(caught.value) and "damaged" not in str(caught.value)


def test_the_preview_of_a_raw_file_is_not_taken_for_the_photo() -> None:
    """The first directory shows a small preview, a directory below it the values of the sensor."""
    maker = {MAKE: (2, b"SONY\0\0")}
    below = struct.pack("<H", 1) + struct.pack("<HHLL", PHOTOMETRIC, SHORT, 1, 32803) + bytes(4)
    start = len(build_tiff(bytes(12), (4, 3), {SUB_IFDS: (LONG, (0,)), **maker}))
    raw = build_tiff(bytes(12), (4, 3), {SUB_IFDS: (LONG, (start,)), **maker}) + below
    with pytest.raises(ImageError, match=r"RAW \(ARW\) is not supported"):
        reading.read(raw)
    own = int.from_bytes(raw[4:8], "little")
    loop = build_tiff(bytes(12), (4, 3), {SUB_IFDS: (LONG, (own,)), **maker})
    assert reading.read(loop).shape == (3, 4, 3)


HOSTILE = [
    ("strips", build_tiff(b"....", (2, 2), {273: (LONG, (8,) * 100_001)}), "at most 100,000 strips or tiles"),
    ("tags", b"II*\0\x08\0\0\0" + struct.pack("<H", 60_000) + bytes(720_000), "60000 tags"),
]


def test_overlapping_tags_are_refused_before_they_fill_the_memory() -> None:
    """Each of 1500 tags claims the same 190 kB, which Pillow would copy for each."""
    count, data = 1500, bytes(200_000)
    entries = [(tag, LONG, 1, 2) for tag in (256, 257)] + [(BITS, SHORT, 1, 8), (PHOTOMETRIC, SHORT, 1, 1)]
    entries += [(273, LONG, 1, 8), (279, LONG, 1, 4)]
    entries += [(40_000 + index, BYTES, 190_000, 20_000) for index in range(count)]
    table = b"".join(struct.pack("<HHLL", *entry) for entry in sorted(entries))
    head = b"II*\0" + struct.pack("<LH", 8, len(entries))
    with pytest.raises(ImageError, match="tags that overlap"):
        reading.read(head + table + bytes(4) + data)


def test_a_small_picture_in_a_vast_tile_is_refused() -> None:
    tiles = {322: (LONG, (16384,)), 323: (LONG, (16384,)), 324: (LONG, (8,)), 325: (LONG, (4,))}
    with pytest.raises(ImageError, match="tiles no larger than the picture of 64 x 64, got 16384 x 16384"):
        reading.read(build_tiff(b"....", (64, 64), tiles))


@pytest.mark.parametrize(("data", "message"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_absurd_directories_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        reading.read(data)


def test_exif_that_is_larger_than_jpeg_allows_is_looked_at_first() -> None:
    table = b"".join(struct.pack("<HHLL", 1000 + i, BYTES, 60_000, 8000) for i in range(500))
    hostile = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 500) + table + bytes(90_000)
    assert not tiff.is_bounded(hostile) and not tiff.is_bounded(b"") and not tiff.is_bounded(b"Exif\0\0II*\0")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x927C] = bytes(90_000)
    assert tiff.is_bounded(exif.tobytes())
    stream = BytesIO()
    Image.new("RGB", (6, 4)).save(stream, "PNG", exif=exif.tobytes())
    assert reading.read(stream.getvalue()).shape == (6, 4, 3)
    stream = BytesIO()
    Image.new("RGB", (6, 4)).save(stream, "PNG", exif=hostile)
    assert reading.read(stream.getvalue()).shape == (4, 6, 3)
