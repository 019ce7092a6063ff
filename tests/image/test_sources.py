"""Sources of every type: open files, URLs, arrays that look wrong, several photos; errors of decoders."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from facegeom.errors import ImageError, InputError
from facegeom.image import decoding, reading
from facegeom.image.photo import open_photo


def png(size: tuple[int, int] = (6, 4)) -> bytes:
    stream = BytesIO()
    Image.new("RGB", size, (10, 20, 30)).save(stream, "PNG")
    return stream.getvalue()


class TestOpenFiles:
    def test_a_binary_file_is_read_and_left_open(self, tmp_path: Path) -> None:
        (tmp_path / "photo.png").write_bytes(png())
        with (tmp_path / "photo.png").open("rb") as file:
            assert reading.read(file).shape == (4, 6, 3) and not file.closed

    def test_from_its_position(self) -> None:
        stream = BytesIO(b"before" + png())
        with pytest.raises(ImageError):
            reading.read(stream)
        stream.seek(6)
        assert reading.read(stream).shape == (4, 6, 3) and not stream.closed

    def test_at_its_end(self) -> None:
        stream = BytesIO(png())
        stream.read()
        with pytest.raises(ImageError, match=r"0 bytes.*seek\(0\)"):
            reading.read(stream)

    def test_a_pipe_that_cannot_seek(self) -> None:
        read_end, write_end = os.pipe()
        os.write(write_end, png())
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            assert reading.read(pipe).shape == (4, 6, 3)

    def test_a_photo_of_a_stream_has_no_name(self) -> None:
        assert open_photo(BytesIO(png())).file is None

    @pytest.mark.parametrize("make", [lambda: io.StringIO("words"), Path(__file__).open])
    def test_text(self, make: Callable[[], io.TextIOBase]) -> None:
        with make() as file, pytest.raises(InputError, match=r'binary, got text .* mode "rb"'):
            reading.read(file)  # type: ignore[arg-type]

    def test_closed(self) -> None:
        stream = BytesIO(png())
        stream.close()
        with pytest.raises(ImageError, match="cannot read the open file: I/O operation on closed file"):
            reading.read(stream)

    def test_opened_for_writing(self, tmp_path: Path) -> None:
        with (
            (tmp_path / "new").open("wb") as file,
            pytest.raises(ImageError, match="cannot read the open file"),
        ):
            reading.read(file)

    def test_what_only_looks_like_a_file(self) -> None:
        class Reader:
            def read(self) -> object:
                return ["no bytes"]

        with pytest.raises(InputError, match=r"got Reader whose read\(\) returns list"):
            reading.read(Reader())  # type: ignore[arg-type]

    def test_other_forms_of_bytes(self) -> None:
        data = png()
        for source in (bytearray(data), memoryview(data), memoryview(bytes(2 * len(data)))[::2]):
            if bytes(source) == data:
                assert reading.read(source).shape == (4, 6, 3)
        with pytest.raises(ImageError):
            reading.read(memoryview(b"ab" * 10)[::2])
        released = memoryview(data)
        released.release()
        with pytest.raises(ImageError):
            reading.read(released)


@pytest.mark.parametrize(
    "url", ["http://a.org/b.jpg", "https://a.org/b.jpg", "s3://bucket/b.jpg", "data:image/png;base64,AAAA"]
)
def test_urls_are_named(url: str) -> None:
    with pytest.raises(ImageError, match=r"a local file or its bytes, but .* is a URL.*facegeom batch"):
        reading.read(url)


def test_a_file_may_be_called_like_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("http:").mkdir()
    Path("http:/b.png").write_bytes(png())
    assert reading.read("http:/b.png").shape == (4, 6, 3)


@pytest.mark.parametrize("path", ["", "a\0b", "\ud800", Path()])
def test_paths_that_cannot_be(path: str | Path) -> None:
    with pytest.raises(ImageError):
        reading.read(path)


def test_a_path_of_bytes() -> None:
    class BytesPath:
        def __fspath__(self) -> bytes:
            return b"photo.jpg"

    with pytest.raises(InputError, match="a path of type str"):
        reading.read(BytesPath())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (None, "NoneType; was the photo loaded"),
        ([np.zeros((4, 4, 3), np.uint8)], "list; batch takes several photos"),
        (("a.jpg", "b.jpg"), "tuple; batch takes several photos"),
        (3.5, "got float"),
        (object(), "got object"),
    ],
)
def test_other_types(source: object, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        reading.read(source)  # type: ignore[arg-type]


ONE = [
    (np.zeros((4, 5, 3), np.uint8), "one array"),
    (np.zeros((4, 5), np.uint8), "one array"),
    ("a.jpg", "one path"),
    (Path("a.jpg"), "one path"),
    (b"bytes", "the bytes of one photo"),
    (bytearray(b"bytes"), "the bytes of one photo"),
    (Image.new("RGB", (4, 4)), "one image"),
    (BytesIO(b"bytes"), "one file"),
    (None, "one NoneType"),
    (7, "one int"),
]


@pytest.mark.parametrize(("source", "got"), ONE)
def test_one_photo_is_no_batch(source: object, got: str) -> None:
    with pytest.raises(InputError, match=rf"batch takes several photos, got {got}; use \[photo\]"):
        reading.check_many(source)


@pytest.mark.parametrize(
    "sources", [[], ["a.jpg"], (b"a", b"b"), {"a.jpg"}, iter(["a.jpg"]), np.zeros((2, 4, 5, 3), np.uint8)]
)
def test_several_photos(sources: object) -> None:
    reading.check_many(sources)


DARK = np.array([[0, 100, 255]])


@pytest.mark.parametrize(
    "source",
    [
        DARK.astype(np.uint16),
        DARK.astype(">u2"),
        np.stack([DARK] * 3, axis=-1).astype(np.uint16),
        Image.fromarray(DARK.astype(np.uint8)).convert("I"),
        Image.fromarray(DARK.astype(np.uint16)),
    ],
    ids=["uint16", "big-endian", "RGB", "mode I", "mode I;16"],
)
def test_8_bits_in_the_clothes_of_16_are_refused(source: reading.Source) -> None:
    with pytest.raises(ImageError, match="expected 16 bits, got no value above 255; pass 8 bits as uint8"):
        reading.read(source)


def test_16_bits_that_may_be_dark_are_read() -> None:
    assert not reading.read(np.zeros((2, 2), np.uint16)).any()
    stream = BytesIO()  # a file says itself that it has 16 bits
    Image.fromarray(DARK.astype(np.uint16)).save(stream, "PNG")
    np.testing.assert_array_equal(reading.read(stream.getvalue())[0, :, 0], [0, 0, 1])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2, 3), np.int32), "int32"),
        (np.zeros((2, 2, 3), np.int16), "int16"),
        (np.zeros((2, 2, 3), np.int8), "int8"),
        (np.zeros((2, 2, 3), np.uint32), "uint32"),
        (np.zeros((2, 2), object), "got object"),
        (np.zeros((2, 2), [("r", "u1"), ("g", "u1")]), "got "),
        (np.zeros((2, 2), "M8[s]"), "datetime64"),
        (np.full((2, 2), 1e300), r"\[0, 1\]"),
        (np.zeros((2, 4, 5, 3), np.uint8), "batch takes several photos"),
        (np.zeros((3, 50, 60), np.uint8), "put the channels last"),
        (np.zeros((0, 0, 3), np.uint8), "at least 1 x 1"),
        (np.zeros((0, 4, 5, 3), np.uint8), "batch takes several photos"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_arrays_that_are_no_photo(array: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        reading.read(array)


def test_subclasses_of_arrays() -> None:
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.asmatrix(np.full((2, 3), 7, np.uint8))
        assert isinstance(matrix, np.matrix)
    for array in (
        matrix,
        np.ma.masked_array(np.full((2, 3), 7, np.uint8)),
        np.full((2, 3), 7, np.uint8).view(np.recarray),
    ):
        image = reading.read(array)
        assert type(image) is np.ndarray and image.shape == (2, 3, 3) and (image == 7).all()


RAISED = [
    OSError("truncated"),
    ValueError("bad"),
    SyntaxError("bad"),
    KeyError(262),
    IndexError("bad"),
    TypeError("bad"),
    AttributeError("bad"),
    EOFError(),
    RuntimeError("bad"),
    RecursionError("deep"),
    NotImplementedError(),
    OverflowError("large"),
    ZeroDivisionError("zero"),
    FloatingPointError("bad"),
    AssertionError(),
    StopIteration(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    BufferError("bad"),
    struct.error("short"),
    zlib.error("bad"),
    UnidentifiedImageError("bad"),
    Image.DecompressionBombError("many pixels"),
    Image.DecompressionBombWarning("many pixels"),
    UserWarning("raised by -W error"),
]


@pytest.mark.parametrize("error", RAISED, ids=[type(each).__name__ for each in RAISED])
@pytest.mark.parametrize("when", ["open", "load"])
def test_whatever_a_decoder_raises_is_an_image_error(
    when: str, error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    (tmp_path / "photo.png").write_bytes(png())
    lazy = Image.open(BytesIO(png()))
    if when == "open":
        Image.preinit()
        monkeypatch.setitem(Image.OPEN, "PNG", (fail, Image.OPEN["PNG"][1]))
    else:
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    sources = [png(), bytearray(png()), tmp_path / "photo.png", BytesIO(png())]
    for source in [*sources, lazy] if when == "load" else sources:
        with pytest.raises(ImageError) as caught:
            reading.decode(source)
        assert caught.value.__cause__ is error
    with pytest.raises(ImageError) if when == "open" else nullcontext():
        reading.header_size_wh(png())


@pytest.mark.parametrize("place", ["decode_stream", "decode_image", "to_uint8"])
def test_a_lack_of_memory_is_named(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(reading, place, fail)
    sources = {
        "decode_stream": png(),
        "decode_image": Image.new("L", (2, 2)),
        "to_uint8": np.zeros((2, 2), np.uint8),
    }
    with pytest.raises(ImageError, match="not enough memory for this photo"):
        reading.read(sources[place])


def test_interrupts_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(decoding, "open_image", stop)
    with pytest.raises(KeyboardInterrupt):
        reading.read(png())


def test_a_closed_image_of_pillow() -> None:
    image = Image.open(BytesIO(png()))
    image.close()
    with pytest.raises(ImageError, match="expected an open picture, got one that was closed"):
        reading.read(image)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK"])
def test_every_mode_of_pillow_shows_the_same_grey(mode: str) -> None:
    """White stays white in each."""
    if mode in ("La", "RGBa"):
        image = Image.new("LA" if mode == "La" else "RGBA", (3, 2), "white").convert(mode)
    elif mode == "PA":
        image = Image.new("RGB", (3, 2), "white").quantize(2).convert("PA")
    else:
        image = Image.new("RGB", (3, 2), "white").convert(mode)
    assert (reading.read(image) == 255).all()


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB", "I;16", "I;16B", "I;16L", "I", "F"])
def test_rarer_modes_are_read(mode: str) -> None:
    assert reading.read(Image.new(mode, (3, 2))).shape == (2, 3, 3)
