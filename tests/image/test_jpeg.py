"""JPEG files: the end that may be missing, scans without end, kinds that are not read."""

import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from facegeom.errors import ImageError
from facegeom.image import decoding, reading
from facegeom.image.reading import FaceSize

END, SCAN = b"\xff\xd9", b"\xff\xda"


def photo(size: tuple[int, int] = (75, 53)) -> Image.Image:
    """Return soft waves with a little noise."""
    y, x = np.mgrid[: size[1], : size[0]] / 9
    waves = np.stack([127 + 90 * np.sin(x + y), 127 + 90 * np.cos(x - y), 127 + 90 * np.sin(x)], axis=2)
    return Image.fromarray((waves + np.random.default_rng(0).integers(0, 9, waves.shape)).astype(np.uint8))


def jpeg(image: Image.Image | None = None, **options: object) -> bytes:
    stream = BytesIO()
    (image or photo()).save(stream, "JPEG", **options)
    return stream.getvalue()


KINDS = {
    "baseline": jpeg(),
    "full chroma": jpeg(subsampling=0),
    "progressive": jpeg(progressive=True),
    "optimized": jpeg(optimize=True),
    "restarts": jpeg(restart_marker_blocks=2),
    "grey": jpeg(photo().convert("L")),
    "progressive grey": jpeg(photo().convert("L"), progressive=True),
    "inks": jpeg(photo().convert("CMYK")),
    "flat": jpeg(Image.new("RGB", (75, 53), (9, 99, 200))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_its_end_marker_is_whole(kind: str) -> None:
    data = KINDS[kind]
    assert data.endswith(END)
    for part in (data[:-2], data[:-1]):
        np.testing.assert_array_equal(reading.read(part), reading.read(data))
        assert reading.decode(part, FaceSize(4.0)).pixels.shape == (14, 19, 3)
        assert reading.header_size_wh(part) == (75, 53)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "flat"])
def test_a_file_cut_in_its_scans_is_an_error(kind: str) -> None:
    data = KINDS[kind]
    for cut in (4, 5, 8, 20, 100, len(data) // 3, len(data) // 2):
        for part in (data[:-cut], data[:-cut] + b"\xff"):
            with pytest.raises(ImageError, match="cut short"):
                reading.read(part)


def test_a_file_cut_between_its_scans_is_an_error() -> None:
    """Each part shows a whole photo, with less detail."""
    data, starts, place = KINDS["progressive"], [], 0
    while (place := data.find(SCAN, place + 1)) > 0:
        starts.append(place)
    assert len(starts) > 5
    for start in starts[1:]:
        tables = data.rfind(b"\xff\xc4", 0, start)
        for end in (start, tables):
            with pytest.raises(ImageError, match="cut short"):
                reading.read(data[:end])


def test_what_follows_the_end_is_no_matter() -> None:
    data = KINDS["baseline"]
    for tail in (b"\0" * 100, b"words", data, SCAN * 500):
        np.testing.assert_array_equal(reading.read(data + tail), reading.read(data))


def repeated(data: bytes, times: int) -> bytes:
    """Return a JPEG file whose last scan stands there so many times more."""
    last = data[data.rfind(SCAN) : -2]
    return data[:-2] + last * times + END


def test_a_bomb_of_scans_is_refused_before_decoding() -> None:
    image = Image.new("L", (3000, 3000), 9)
    bomb = repeated(jpeg(image, progressive=True), 4000)
    for read in (reading.read, reading.header_size_wh):
        start = time.thread_time()
        with pytest.raises(ImageError, match="at most 100 scans of a JPEG"):
            read(bomb)
        assert time.thread_time() - start < 2


def test_a_bomb_of_sequential_scans_is_refused_too() -> None:
    """A file that is not progressive may bring each component in a scan of its own."""
    data = jpeg(photo(), subsampling=0)
    start = data.index(SCAN)
    one = SCAN + bytes([0, 8, 1, data[start + 5], 0, 0, 63, 0])
    bomb = data[:start] + (one + data[start + 14 : -2]) * 200 + END
    with pytest.raises(ImageError, match="at most 100 scans"):
        reading.read(bomb)


def test_files_of_many_scans_are_read() -> None:
    data = KINDS["progressive"]
    np.testing.assert_array_equal(reading.read(repeated(data, 80)).shape, reading.read(data).shape)
    # what follows the image may hold the bytes of the marker by chance
    assert reading.read(data + SCAN * 500).shape == (53, 75, 3)


def test_a_large_photo_may_have_fewer_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_SCANNED_PIXELS", 75 * 53 * 30)
    assert reading.read(KINDS["progressive"]).shape == (53, 75, 3)
    with pytest.raises(ImageError, match="at most 30 scans"):
        reading.read(repeated(KINDS["progressive"], 30))


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff\xfe\0\2" * 3_000_000,
        b"\xff\xd8" + b"\xff" * 10_000_000,
        b"\xff\xd8\xff\xe0\0\2" + b"a" * 10_000_000,
        b"\xff\xd8\xff\0" + b"\xff\0" * 5_000_000,
        b"\xff\xd8\xff\xe0\0\2" + b"a" * 2_000_000 + KINDS["baseline"][2:],
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xda",
        b"\xff\xd8\xff\xc0\0\x0b",
    ],
    ids=["comments", "fill", "junk", "zeros", "junk before", "start only", "no scan", "no frame"],
)
def test_nonsense_in_place_of_segments_ends_soon(data: bytes) -> None:
    start = time.thread_time()
    with pytest.raises(ImageError, match="damaged"):
        reading.read(data)
    assert time.thread_time() - start < 2


def with_frame(marker: int, bits: int = 8, components: int = 3) -> bytes:
    """Return a JPEG file with another frame header."""
    data = bytearray(KINDS["baseline"])
    place = data.index(b"\xff\xc0")
    data[place + 1], data[place + 4], data[place + 9] = marker, bits, components
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (with_frame(0xC1, bits=12), "JPEG of 3 x 12 bits"),
        (with_frame(0xC0, components=2), "JPEG of 2 x 8 bits"),
        (with_frame(0xC5), "lossless or hierarchical JPEG"),
        (with_frame(0xF7), "JPEG-LS"),
    ],
)
def test_other_kinds_of_jpeg_are_called_unsupported(data: bytes, kind: str) -> None:
    for read in (reading.read, reading.header_size_wh):
        with pytest.raises(ImageError, match=f"{kind} is not supported; convert it to JPEG or PNG"):
            read(data)
