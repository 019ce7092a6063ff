"""Damaged files of every format: a result or an error of facegeom, in finite time and memory.

    python tests/image/test_fuzz.py [NUMBER] [SEED]

runs longer than the test does.
"""

import sys
import time
import warnings
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from facegeom.errors import FacegeomError
from facegeom.image import reading
from facegeom.image.reading import FaceSize

MUTATIONS = 320
MAX_PIXELS = 1_000_000
SLOW_S = 2.0

EXTREMES = [b"\0\0", b"\xff\xff", b"\x7f\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\1"]


def samples() -> dict[str, bytes]:
    """Return files of every format that is read, with EXIF, colour profiles, palettes and transparency."""
    y, x = np.mgrid[:37, :53]
    rgb = Image.fromarray(np.stack([x * 4, y * 6, (x + y) * 2], axis=-1).astype(np.uint8))
    grey16 = Image.fromarray((x * 1000).astype(np.uint16))
    alpha = Image.merge("RGBA", (*rgb.split(), rgb.getchannel(0)))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker" * 20
    exif.get_ifd(0x8769).update({0xA405: 26, 0x920A: 4.2, 0xA002: 53, 0x927C: bytes(200)})
    extra = {
        "exif": exif.tobytes(),
        "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes(),
    }
    srgb = {"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    kinds: list[tuple[str, Image.Image, dict[str, object]]] = [
        ("JPEG", rgb, extra),
        ("JPEG", rgb, {"progressive": True, **srgb}),
        ("JPEG", rgb.convert("CMYK"), {"exif": exif.tobytes()}),
        ("JPEG", rgb.convert("L"), {"optimize": True}),
        ("PNG", rgb, {**extra, "optimize": True}),
        ("PNG", alpha, srgb),
        ("PNG", rgb.quantize(9), {"transparency": 3}),
        ("PNG", grey16, {}),
        ("WEBP", rgb, {**extra, "quality": 60}),
        ("WEBP", alpha, {"lossless": True}),
        ("WEBP", rgb, {"save_all": True, "append_images": [rgb.rotate(90)]}),
        ("GIF", rgb.quantize(20), {"comment": b"made " * 60}),
        ("GIF", rgb, {"save_all": True, "append_images": [rgb.rotate(90)], "transparency": 0}),
        ("TIFF", rgb, extra),
        ("TIFF", rgb, {"compression": "tiff_lzw"}),
        ("TIFF", rgb, {"compression": "jpeg"}),
        ("TIFF", grey16, {"compression": "tiff_adobe_deflate"}),
        ("TIFF", rgb.convert("1"), {"compression": "group4"}),
        ("TIFF", alpha, {"big_tiff": True}),
        ("TIFF", Image.merge("LAB", rgb.split()), {}),
        ("BMP", rgb, {}),
        ("BMP", rgb.quantize(16), {}),
        ("PPM", rgb, {}),
        ("PPM", grey16.convert("I"), {}),
        ("JPEG2000", rgb, {"irreversible": True}),
        ("JPEG2000", rgb.convert("L"), {"no_jp2": True, "tile_size": (16, 16)}),
    ]
    if features.check("avif"):
        kinds.append(("AVIF", rgb, {"speed": 10, **srgb}))
    files = {}
    for index, (kind, image, options) in enumerate(kinds):
        stream = BytesIO()
        image.save(stream, kind, **options)
        files[f"{kind} {index}"] = stream.getvalue()
    files["PPM of digits"] = b"P3\n# made\n4 3 31\n" + b"1 2 31 " * 12
    files["PPM of 10 bits"] = b"P6 4 3 1023\n" + bytes(range(72))
    files["BMP packed"] = bitmap_of_runs()
    return files


def bitmap_of_runs() -> bytes:
    """Return a run-length encoded BMP file, which Pillow does not write."""
    stream = BytesIO()
    Image.new("P", (8, 4)).save(stream, "BMP")
    data = bytearray(stream.getvalue())
    data[30:34] = (1).to_bytes(4, "little")
    start = int.from_bytes(data[10:14], "little")
    rows = (b"\x08\5\0\0", b"\4\1\4\2\0\0", b"\0\3\1\2\3\0\5\0\0\0", b"\x08\4\0\1")
    return bytes(data[:start]) + b"".join(rows)


def mutations(files: dict[str, bytes], seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield damaged files without end: bytes replaced, cut out, repeated, extreme numbers, files joined."""
    random, names = np.random.default_rng(seed), sorted(files)
    while True:
        name = names[random.integers(len(names))]
        data = bytearray(files[name])
        for _ in range(random.integers(1, 5)):
            # most of what parsers do is in the first bytes
            place = int(random.integers(0, min(len(data), 400) if random.random() < 0.7 else len(data)))
            size = int(random.integers(1, 40))
            match int(random.integers(7)):
                case 0:
                    data[place] = int(random.integers(256))
                case 1:
                    data[place] ^= 1 << int(random.integers(8))
                case 2:
                    data[place : place + size] = random.bytes(size)
                case 3:
                    del data[place : place + size]
                case 4:
                    data[place:place] = data[place : place + size] * int(random.integers(1, 30))
                case 5:
                    extreme = EXTREMES[random.integers(len(EXTREMES))]
                    data[place : place + len(extreme)] = extreme
                case 6:
                    del data[place:]
                    if random.random() < 0.5:
                        other = files[names[random.integers(len(names))]]
                        data += other[random.integers(len(other)) :]
            if not data:
                data = bytearray(b"\0")
        yield name, bytes(data)


def check(data: bytes, number: int) -> str:
    """Read a damaged file in one of several ways; return what came of it."""
    try:
        if number % 3 == 0:
            reading.header_size_wh(data)
        decoded = reading.decode(data, FaceSize(float(1 << number % 5)) if number % 2 else None)
    except FacegeomError as error:
        assert str(error)
        return type(error).__name__
    pixels = decoded.pixels
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size
    assert decoded.fov_deg is None or 1 <= decoded.fov_deg <= 179
    return "read"


def run(number: int, seed: int) -> dict[str, int]:
    """Read so many damaged files; return how often each outcome came."""
    outcomes: dict[str, int] = {}
    for index, (name, data) in zip(range(number), mutations(samples(), seed), strict=False):
        start = time.thread_time()
        try:
            outcome = check(data, index)
        except BaseException:
            print(f"mutation {index} of seed {seed}, {name}: {data[:200].hex()}", file=sys.stderr)
            raise
        took = time.thread_time() - start
        if took > SLOW_S:
            print(f"mutation {index} of seed {seed}, {name}: {took:.1f} s", file=sys.stderr)
            outcome = "slow"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return outcomes


def test_samples_are_read() -> None:
    for name, data in samples().items():
        assert reading.read(data).shape[2] == 3, name


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_give_a_result_or_an_error_of_facegeom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_PIXELS", MAX_PIXELS)
    outcomes = run(MUTATIONS, 0)
    assert set(outcomes) == {"read", "ImageError"} and min(outcomes.values()) > MUTATIONS / 8


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(
        run(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    )
