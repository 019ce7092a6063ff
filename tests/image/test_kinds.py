"""Files that are no photo or of a kind that is not read: called by their names; empty alpha; bombs."""

import struct
import sys
import time
import zlib
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageFile

from facegeom.errors import ImageError
from facegeom.image import decoding, reading
from facegeom.image.reading import FaceSize


def iso(major: bytes, *compatible: bytes) -> bytes:
    """Return the start of an ISO media file of these brands."""
    brands = major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + b"\0\0\0\x08free" + bytes(40)


PICTURES = [
    ("HEIC", iso(b"heic", b"mif1", b"heic")),
    ("HEIC", iso(b"mif1", b"mif1", b"heic", b"miaf")),
    ("HEIC", iso(b"heix", b"mif1")),
    ("HEIC", iso(b"msf1", b"hevc")),
    ("HEIC", iso(b"heim")),
    ("HEIC", iso(b"hevc")),
    ("HEIC", iso(b"mif1", b"mif1", b"miaf")),
    ("JPEG XL", b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(20)),
    ("JPEG XL", b"\xff\x0a" + bytes(20)),
    ("JPEG XR", b"II\xbc\x01" + bytes(20)),
    ("PSD (Photoshop)", b"8BPS\0\1" + bytes(20)),
    ("XCF (GIMP)", b"gimp xcf v011\0"),
    ("RAW (RAF)", b"FUJIFILMCCD-RAW 0201FF383501"),
    ("RAW (ORF)", b"IIRO\x08\0\0\0" + bytes(20)),
    ("RAW (RW2)", b"IIU\0\x18\0\0\0" + bytes(20)),
    ("RAW (CR3)", iso(b"crx ", b"crx ", b"isom")),
    ("ICO (icon)", b"\0\0\1\0\1\0" + bytes(20)),
    ("DDS (texture)", b"DDS " + bytes(20)),
    ("QOI", b"qoif" + bytes(20)),
    ("OpenEXR", b"\x76\x2f\x31\x01" + bytes(20)),
    ("Radiance HDR", b"#?RADIANCE\n"),
    ("DICOM", bytes(128) + b"DICM" + bytes(20)),
]

OTHERS = [
    ("SVG", b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ("SVG", b"\xef\xbb\xbf<svg:svg>"),
    ("HTML (a web page)", b"<!DOCTYPE html><html><head><title>404</title>"),
    ("HTML (a web page)", b"\n\n  <HTML lang='de'>"),
    ("text", b"Access denied"),
    ("text", "Zugriff verweigert: \u00fcber\n".encode() * 40),
    ("text", "words".encode("utf-16")),
    ("text", b'{"error": "not found"}'),
    ("text", b"photo.jpg"),
    ("a PDF document", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
    ("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
    ("a ZIP archive", b"PK\x03\x04\x14\0" + bytes(20)),
    ("a RAR archive", b"Rar!\x1a\x07\0"),
    ("a 7z archive", b"7z\xbc\xaf\x27\x1c"),
    ("a gzip file", b"\x1f\x8b\x08\0" + bytes(20)),
    ("a tar archive", bytes(257) + b"ustar" + bytes(250)),
    ("a video (MP4)", iso(b"isom", b"isom", b"avc1", b"mp41")),
    ("a video (MP4)", iso(b"mp42")),
    ("a video (MOV)", iso(b"qt  ", b"qt  ")),
    ("a video (MOV)", struct.pack(">I", 8) + b"moov" + bytes(20)),
    ("a video (MKV or WebM)", b"\x1aE\xdf\xa3" + bytes(20)),
    ("a video (AVI)", b"RIFF\0\0\0\0AVI LIST"),
    ("sound (WAV)", b"RIFF\0\0\0\0WAVEfmt "),
    ("sound (MP3)", b"ID3\x04" + bytes(20)),
    ("a NumPy file", b"\x93NUMPY\1\0" + bytes(20)),
    ("a Parquet file", b"PAR1" + bytes(20)),
]


@pytest.mark.parametrize(("kind", "data"), PICTURES)
def test_pictures_of_other_kinds(kind: str, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "HEIF_MODULE", None)
    for read in (reading.read, reading.header_size_wh):
        with pytest.raises(ImageError) as caught:
            read(data)
        text = str(caught.value)
        assert f"{kind} is not supported" in text and "convert it to JPEG or PNG" in text
        assert "damaged" not in text


@pytest.mark.parametrize(("kind", "data"), OTHERS)
def test_files_that_are_no_picture(kind: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(ImageError) as caught:
            reading.read(source)
        text = str(caught.value)
        assert f"not a picture in a known format but {kind}, which is not supported" in text
        assert "convert it to JPEG or PNG" in text and "damaged" not in text


def test_noise_is_of_no_known_kind() -> None:
    with pytest.raises(ImageError, match=r"not a picture in a known format \(JPEG, PNG, .*\); convert it"):
        reading.read(bytes(range(3, 256)) * 4)


def test_avif_without_its_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()
    monkeypatch.setitem(Image.OPEN, "AVIF", (None, lambda _: "image file could not be identified"))
    for data in (iso(b"avif", b"mif1"), iso(b"mif1", b"avif", b"miaf")):
        with pytest.raises(ImageError, match="AVIF is not supported; convert it to JPEG or PNG"):
            reading.read(data)


def test_avif_of_the_general_brand_is_read() -> None:
    stream = BytesIO()
    Image.new("RGB", (6, 4), (200, 10, 10)).save(stream, "AVIF")
    data = stream.getvalue()
    assert reading.read(data.replace(b"ftypavif", b"ftypmif1", 1)).shape == (4, 6, 3)


class _HeifImageFile(ImageFile.ImageFile):
    """Stands for the opener of pillow-heif: upright already, though its EXIF and XMP say otherwise."""

    format = "HEIF"

    def _open(self) -> None:
        self._size, self._mode, self.tile = (40, 30), "RGB", []
        self.info["xmp"] = b'tiff:Orientation="6"'
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        self.info["exif"] = exif.tobytes()

    def load(self) -> None:
        self.im = Image.new("RGB", (40, 30), (9, 8, 7)).im

    def draft(self, *_: object) -> None:
        raise AssertionError("a thumbnail of HEIC is not wanted")


def test_heic_is_opened_by_the_optional_package_and_turned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("heif_stand_in")
    module.HeifImageFile = _HeifImageFile  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "heif_stand_in", module)
    monkeypatch.setattr(decoding, "HEIF_MODULE", "heif_stand_in")
    decoded = reading.decode(iso(b"heic", b"mif1"), FaceSize(8.0))
    assert decoded.pixels.shape == (30, 40, 3) and decoded.full_wh == (40, 30) and decoded.factor == 1
    assert reading.header_size_wh(iso(b"mif1", b"heic")) == (40, 30)
    assert "HEIF" not in Image.OPEN


def test_a_broken_installation_of_the_optional_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "HEIF_MODULE", "facegeom_no_such_module")
    with pytest.raises(ImageError, match=r'without pillow-heif; pip install "facegeom\[heic\]"'):
        reading.read(iso(b"heic"))


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_real_heic(orientation: int) -> None:
    """Its own rotation is applied once."""
    upright = np.zeros((64, 96, 3), np.uint8)
    upright[:32, :32] = 255
    turns = {1: 0, 6: 1, 8: -1}[orientation]
    exif, stream = Image.Exif(), BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(upright, turns)))
    pillow_heif.from_pillow(stored).save(stream, quality=90, exif=exif.tobytes())
    decoded = reading.decode(stream.getvalue(), FaceSize(4.0))
    assert decoded.full_wh == (96, 64)
    np.testing.assert_allclose(decoded.pixels[8:24, 8:24], 255, atol=9)
    np.testing.assert_allclose(decoded.pixels[40:, 40:], 0, atol=9)


def bitmap(alpha: int, masks: bool = True) -> bytes:
    """Return a BMP file of 2 x 1 pixels, red and blue, with 32 bits and perhaps a mask of alpha."""
    pixels = bytes([0, 0, 255, alpha, 255, 0, 0, alpha])
    header = struct.pack("<IiiHHIIiiII", 108 if masks else 40, 2, 1, 1, 32, 3 if masks else 0, 8, 0, 0, 0, 0)
    if masks:
        header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + bytes(52)
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + pixels


RED_BLUE = [[(255, 0, 0), (0, 0, 255)]]


@pytest.mark.parametrize("data", [bitmap(0), bitmap(255), bitmap(0, masks=False), bitmap(77, masks=False)])
def test_an_empty_alpha_of_a_bitmap_is_ignored(data: bytes) -> None:
    np.testing.assert_array_equal(reading.read(data), RED_BLUE)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "array"])
def test_an_empty_alpha_of_other_sources(kind: str) -> None:
    rgba = np.dstack([np.array(RED_BLUE, np.uint8), np.zeros((1, 2), np.uint8)])
    stream = BytesIO()
    if kind != "array":
        Image.fromarray(rgba).save(stream, kind)
    np.testing.assert_array_equal(reading.read(stream.getvalue() or rgba), RED_BLUE)
    grey = Image.fromarray(np.array([[[7, 0], [9, 0]]], np.uint8))
    np.testing.assert_array_equal(reading.read(grey)[0, :, 0], [7, 9])


def test_an_alpha_that_shows_something_is_composited() -> None:
    rgba = np.dstack([np.array(RED_BLUE, np.uint8), np.array([[0, 255]], np.uint8)])
    for source in (rgba, Image.fromarray(rgba)):
        np.testing.assert_array_equal(reading.read(source), [[(255, 255, 255), (0, 0, 255)]])


@pytest.mark.parametrize("highest", [1, 15, 254, 255, 1023, 4095, 65535])
@pytest.mark.parametrize("magic", [b"P2", b"P3", b"P5", b"P6"])
def test_bitmaps_of_any_range(magic: bytes, highest: int) -> None:
    bands = 3 if magic in (b"P3", b"P6") else 1
    values = [0, highest] * bands
    if magic in (b"P2", b"P3"):
        content = b" ".join(str(value).encode() for value in values)
    else:
        content = struct.pack(f">{2 * bands}{'B' if highest < 256 else 'H'}", *values)
    image = reading.read(b"%s\n# made\n2 1\n%d\n%s" % (magic, highest, content))
    expected = np.reshape([0, 255] * bands, (2, bands)) if bands == 3 else [[0] * 3, [255] * 3]
    np.testing.assert_array_equal(image[0], expected)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks)


def gif(canvas: tuple[int, int], frame: tuple[int, int], extra: bytes = b"") -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0, 0, 0) + extra
    return head + b"\x2c" + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\0\x3b"


def webp(width: int, height: int) -> bytes:
    chunks = b"VP8X" + struct.pack("<II", 10, 2) + (width - 1).to_bytes(3, "little")
    chunks += (height - 1).to_bytes(3, "little") + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


PIXELS = chunk(b"IDAT", zlib.compress(bytes(4 * 13)))
LARGE = zlib.compress(bytes(200_000_000), 9)

BOMBS = {
    "profile": lambda: png(chunk(b"iCCP", b"a\0\0" + LARGE), PIXELS, chunk(b"IEND", b"")),
    "text": lambda: png(chunk(b"zTXt", b"a\0\0" + LARGE), PIXELS, chunk(b"IEND", b"")),
    "text at the end": lambda: png(PIXELS, chunk(b"iTXt", b"a\0\1\0\0\0" + LARGE)),
    "many texts": lambda: png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 20))) * 2000, PIXELS),
    "many chunks": lambda: png(chunk(b"teST", b"") * 800_000, PIXELS),
    "many empty pixels": lambda: png(chunk(b"IDAT", b"") * 800_000, PIXELS),
    "canvas of GIF": lambda: gif((65535, 65535), (1, 1)),
    "frame of GIF": lambda: gif((1, 1), (65535, 65535)),
    "comments of GIF": lambda: gif((1, 1), (1, 1), b"\x21\xfe" + b"\x01a" * 5_000_000 + b"\0"),
    "canvas of WebP": lambda: webp(1 << 24, 255),
    "packed BMP": lambda: (
        b"BM"
        + struct.pack("<IHHI", 99, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 100_000_000, 1, 1, 8, 1, 0, 0, 0, 0, 0)
        + bytes(1024)
    ),
    "comment of PPM": lambda: b"P6\n#" + b"a" * 10_000_000,
    "digits": lambda: b"P3 2000 2000 255\n" + b"1 2 3 " * 1_000_000,
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_soon(name: str) -> None:
    data = BOMBS[name]()
    start = time.thread_time()
    with pytest.raises(ImageError):
        reading.read(data)
    assert time.thread_time() - start < 2
