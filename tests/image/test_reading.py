"""Reading of images: tables of bad and of good sources, with exact pixels expected."""

import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from facegeom.errors import FacegeomError, ImageError, InputError
from facegeom.image import reading

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
KINDS = ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000"] + ["AVIF"] * features.check("avif")
TWO_BY_TWO = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def png_header(width: int, height: int) -> bytes:
    """Return a PNG of a size in its header and without pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 10) + b"IDAT"


PNG = encoded(Image.fromarray(noise()))

BAD_FILES = [
    ("empty", b"", "0 bytes"),
    ("text", b"this is no picture, only words", "known format"),
    ("one byte", b"P", "known format"),
    ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "known format"),
    ("postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "known format"),
    ("signature only", b"\x89PNG\r\n\x1a\n", "damaged"),
    ("header only", png_header(10, 10), "damaged"),
    ("truncated png", PNG[: len(PNG) // 2], "damaged"),
    ("bomb", png_header(20_000, 20_000), "at most 100,000,000 pixels"),
    ("bomb below the limit of Pillow's warning times two", png_header(11_000, 10_000), "at most"),
    ("a billion pixels", png_header(30_000, 30_000), "got 30000 x 30000; make it smaller"),
    ("one column", png_header(1, 99_000_000), "sides of at most 1,000,000 pixels, got 1 x 99000000"),
    ("one row", png_header(1_000_001, 1), "sides of at most 1,000,000 pixels"),
    ("no width", png_header(0, 10), "pixel|damaged"),
]


@pytest.mark.parametrize(
    ("data", "message"), [row[1:] for row in BAD_FILES], ids=[row[0] for row in BAD_FILES]
)
def test_bad_file_raises_one_clear_error_without_warnings(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    for source in (path, str(path), data, bytearray(data), memoryview(data)):
        with warnings.catch_warnings(), pytest.raises(ImageError, match=message):
            warnings.simplefilter("error")
            reading.read(source)


def test_bad_file_is_named_in_the_error(tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"nonsense")
    with pytest.raises(ImageError, match=r"holiday\.jpg"):
        reading.read(path)


def test_bad_path_raises(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        reading.read(tmp_path / "missing.jpg")
    with pytest.raises(ImageError, match="a folder"):
        reading.read(tmp_path)
    with pytest.raises(ImageError, match="but '' is an empty text"):
        reading.read("")
    with pytest.raises(ImageError):
        reading.read("x" * 5000)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="not a regular file"):
        reading.read(tmp_path / "pipe.jpg")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", KINDS)
def test_truncated_file_raises_or_loses_nothing(kind: str) -> None:
    data = encoded(Image.fromarray(noise()), kind)
    whole = reading.read(data)
    raised = 0
    for fraction in np.linspace(0.01, 0.999, 60):
        try:
            part = reading.read(data[: int(len(data) * fraction)])
        except ImageError:
            raised += 1
        else:  # only what follows the pixels was cut
            np.testing.assert_array_equal(part, whole)
    assert raised >= 50


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_file_raises_nothing_but_image_error(kind: str) -> None:
    data = np.frombuffer(encoded(Image.fromarray(noise()), kind), np.uint8)
    random = np.random.default_rng(1)
    for _ in range(60):
        damaged = data.copy()
        damaged[random.integers(0, min(len(data), 300), 4)] = random.integers(0, 256, 4)
        try:
            image = reading.read(damaged.tobytes())
        except ImageError:
            continue
        assert image.dtype == np.uint8 and image.ndim == 3


BAD_ARRAYS = [
    ("zero height", np.zeros((0, 5, 3), np.uint8), "at least 1 x 1"),
    ("zero width", np.zeros((5, 0), np.uint8), "at least 1 x 1"),
    ("no channels", np.zeros((5, 5, 0), np.uint8), "shape"),
    ("NaN", np.full((2, 2, 3), np.nan), "finite"),
    ("infinite", np.full((2, 2, 3), np.inf, np.float32), "finite"),
    ("above one", np.full((2, 2), 1.01), r"\[0, 1\]"),
    ("below zero", np.full((2, 2), -0.01), r"\[0, 1\]"),
    ("int64", np.zeros((2, 2, 3), np.int64), "int64"),
    ("bool", np.zeros((2, 2, 3), bool), "bool"),
    ("complex", np.zeros((2, 2, 3), complex), "complex128"),
    ("text", np.array([["a"]]), "got <U1"),
    ("1-dimensional", np.zeros(5, np.uint8), r"\(5,\)"),
    ("0-dimensional", np.array(3, np.uint8), r"\(\)"),
    ("4-dimensional", np.zeros((1, 5, 5, 3), np.uint8), r"\(1, 5, 5, 3\)"),
    ("two channels", np.zeros((5, 5, 2), np.uint8), r"\(5, 5, 2\)"),
    ("channels first", np.zeros((3, 50, 60), np.uint8), r"\(3, 50, 60\)"),
    ("too large", np.broadcast_to(np.uint8(0), (10_001, 10_000, 3)), "at most"),
]


@pytest.mark.parametrize(
    ("array", "message"), [row[1:] for row in BAD_ARRAYS], ids=[row[0] for row in BAD_ARRAYS]
)
def test_bad_array_raises(array: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        reading.read(array)


@pytest.mark.parametrize("source", [None, 3, [[0, 1]], {"file": "a.jpg"}])
def test_wrong_type_raises_input_error(source: object) -> None:
    with pytest.raises(InputError, match=type(source).__name__) as caught:
        reading.read(source)  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, FacegeomError)


def test_large_pillow_image_raises_before_loading() -> None:
    image = Image.new("1", (10_001, 10_000))
    with pytest.raises(ImageError, match="at most"):
        reading.read(image)


def palette() -> Image.Image:
    return Image.fromarray(TWO_BY_TWO).quantize(4)


def palette_with_transparency() -> bytes:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putdata([0, 1])
    return encoded(image, transparency=1)


def animation() -> bytes:
    frames = [Image.new("RGB", (3, 2), colour) for colour in (RED, GREEN, BLUE)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)


def pillow(values: object, dtype: str = "uint8") -> Image.Image:
    return Image.fromarray(np.array(values, dtype))


GOOD = [
    ("rgb", Image.fromarray(TWO_BY_TWO), TWO_BY_TWO),
    ("png bytes", encoded(Image.fromarray(TWO_BY_TWO)), TWO_BY_TWO),
    ("bmp bytes", encoded(Image.fromarray(TWO_BY_TWO), "BMP"), TWO_BY_TWO),
    ("tiff bytes", encoded(Image.fromarray(TWO_BY_TWO), "TIFF"), TWO_BY_TWO),
    ("webp bytes", encoded(Image.fromarray(TWO_BY_TWO), "WEBP", lossless=True), TWO_BY_TWO),
    ("ppm bytes", encoded(Image.fromarray(TWO_BY_TWO), "PPM"), TWO_BY_TWO),
    ("palette", encoded(palette()), TWO_BY_TWO),
    ("palette with a transparent entry", palette_with_transparency(), [[RED, WHITE]]),
    ("animated gif", animation(), [[RED] * 3] * 2),
    (
        "grey",
        encoded(pillow([[0, 100], [200, 255]])),
        [[[v] * 3 for v in row] for row in [[0, 100], [200, 255]]],
    ),
    ("1-bit", encoded(pillow([[0, 255]]).convert("1")), [[(0, 0, 0), WHITE]]),
    ("grey with alpha", encoded(pillow([[[100, 0], [100, 255]]])), [[WHITE, (100, 100, 100)]]),
    ("alpha", encoded(pillow([[[0, 0, 0, 0], [255, 0, 0, 128]]])), [[WHITE, (255, 127, 127)]]),
    ("16-bit grey png", encoded(pillow([[0, 25700, 65535]], "uint16")), [[[0] * 3, [100] * 3, [255] * 3]]),
    (
        "16-bit grey tiff",
        encoded(pillow([[0, 25700, 65535]], "uint16"), "TIFF"),
        [[[0] * 3, [100] * 3, WHITE]],
    ),
    ("32-bit grey tiff of 16 bits", encoded(pillow([[257, 65535]], "int32"), "TIFF"), [[[1] * 3, WHITE]]),
    ("float tiff", encoded(pillow([[0, 0.2, 1]], "float32"), "TIFF"), [[[0] * 3, [51] * 3, WHITE]]),
    ("cmyk", Image.new("CMYK", (1, 1), (0, 255, 255, 0)), [[RED]]),
    ("cmyk tiff", encoded(Image.new("CMYK", (1, 1), (255, 255, 0, 0)), "TIFF"), [[BLUE]]),
    ("1 x 1", encoded(Image.new("RGB", (1, 1), GREEN)), [[GREEN]]),
    ("20000 x 10", encoded(Image.new("RGB", (20_000, 10), BLUE)), np.full((10, 20_000, 3), BLUE)),
    ("uint8 array", TWO_BY_TWO, TWO_BY_TWO),
    ("uint8 array, mirrored view", TWO_BY_TWO[:, ::-1], [[GREEN, RED], [WHITE, BLUE]]),
    ("grey array", np.array([[7]], np.uint8), [[[7, 7, 7]]]),
    ("grey array, one channel", np.array([[[7]]], np.uint8), [[[7, 7, 7]]]),
    ("alpha array", np.array([[[0, 0, 0, 0], [255, 0, 0, 128]]], np.uint8), [[WHITE, (255, 127, 127)]]),
    ("uint16 array", np.array([[[0, 25700, 65535]]], np.uint16), [[(0, 100, 255)]]),
    ("big-endian uint16 array", np.array([[[0, 25700, 65535]]], ">u2"), [[(0, 100, 255)]]),
    ("float64 array", np.array([[[0, 0.2, 1]]]), [[(0, 51, 255)]]),
    ("float16 array", np.array([[[0, 0.5, 1]]], np.float16), [[(0, 128, 255)]]),
]


@pytest.mark.parametrize(("source", "expected"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
def test_good_source_gives_exact_pixels(source: reading.Source, expected: object) -> None:
    image = reading.read(source)
    assert image.dtype == np.uint8 and image.flags.c_contiguous
    np.testing.assert_array_equal(image, expected)


def test_cmyk_jpeg_is_close_to_its_colour() -> None:
    image = reading.read(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95))
    assert np.abs(image.astype(int) - RED).max() <= 4


def test_16_bit_is_rounded_to_the_nearest() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = reading.read(values)
    np.testing.assert_array_equal(image[..., 0], np.rint(values / 257))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8] = RED
    upright[8:, 16:] = BLUE
    stored = {  # the image as a camera stores it, by the definition of the tag
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **options)
    tolerance = 3 if kind == "JPEG" else 0
    for source in (data, Image.open(BytesIO(data))):
        np.testing.assert_allclose(reading.read(source).astype(int), upright, atol=tolerance)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
def test_damaged_exif_leaves_the_orientation() -> None:
    data = encoded(Image.fromarray(TWO_BY_TWO), exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    np.testing.assert_array_equal(reading.read(data), TWO_BY_TWO)


def test_ready_array_is_not_copied() -> None:
    array = noise()
    assert reading.read(array) is array or np.shares_memory(reading.read(array), array)


def test_source_is_not_changed() -> None:
    image = Image.fromarray(np.zeros((4, 4, 4), np.uint8))
    reading.read(image)
    assert image.mode == "RGBA" and image.size == (4, 4)


def test_pillow_settings_are_not_changed() -> None:
    from PIL import ImageFile

    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    with pytest.raises(ImageError):
        reading.read(png_header(20_000, 20_000))
    reading.read(PNG)
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


def test_limit_does_not_depend_on_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reading.read(PNG).shape == (40, 60, 3)


def test_reading_from_many_threads() -> None:
    data = encoded(Image.fromarray(noise()), "PNG")
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(reading.read, [data] * 64))
    assert all(np.array_equal(image, noise()) for image in images)


@pytest.mark.parametrize("kind", KINDS)
def test_size_by_the_header(kind: str) -> None:
    data = encoded(Image.fromarray(noise()), kind)
    assert reading.header_size_wh(data) == (60, 40)
    with pytest.raises(ImageError):
        reading.header_size_wh(data[:5])
