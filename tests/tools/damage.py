"""Small files of every kind that facegeom reads, and damaged ones that keep most of their structure."""

import json
import struct
import tempfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageCms, features

from facegeom.image import reading
from facegeom.models import weights

EXTREMES = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
Part: TypeAlias = tuple[int, int]


def photos() -> dict[str, bytes]:
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


def videos() -> dict[str, bytes]:
    """Return small videos in several containers."""
    import av

    files = {}
    for ending, codec in (("mp4", "libx264"), ("mkv", "libx264"), ("mov", "mpeg4"), ("avi", "mjpeg")):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"v.{ending}"
            with av.open(str(path), "w") as file:
                stream = file.add_stream(codec, rate=10)
                stream.width, stream.height = 64, 48
                stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
                for index in range(6):
                    pixels = np.full((48, 64, 3), 30 * index, np.uint8)
                    file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
                file.mux(stream.encode(None))
            files[f"{ending} {codec}"] = path.read_bytes()
    return files


def faces_json() -> dict[str, bytes]:
    from facegeom import FaceAnalyzer

    portrait = Path(reading.__file__).parents[1] / "data" / "astronaut.jpg"
    faces = FaceAnalyzer(threads=1)(portrait)
    return {"json": json.dumps(faces.to_dict()).encode(), "no face": json.dumps(faces[:0].to_dict()).encode()}


def networks() -> dict[str, bytes]:
    return {name: weights.path(name).read_bytes() for name in ("pnet", "rnet")}


def parts_of(data: bytes) -> list[Part]:
    """Return start and end of the units of a file: segments, chunks, boxes, entries, elements."""
    try:
        return _parts_of(data)
    except (struct.error, IndexError):  # damaged before
        return [(0, len(data))]


def _parts_of(data: bytes) -> list[Part]:
    if data[:2] == b"\xff\xd8":
        return list(_jpeg_parts(data))
    if data[:4] == b"\x89PNG":
        return list(_sized_parts(data, 8, len(data), ">", 12, 0))
    if data[:4] == b"RIFF":
        return list(_sized_parts(data, 12, len(data), "<", 8, 4))
    if data[4:8] in (b"ftyp", b"jP  "):
        return list(_boxes(data, 0, len(data), 0))
    if data[:2] in (b"II", b"MM"):
        return list(_tiff_parts(data))
    if data[:2] == b"BM":
        return [(place, place + 4) for place in range(2, 54, 4)]
    if data[:4] == b"\x1aE\xdf\xa3":
        return list(_ebml(data, 0, len(data), 0))
    size = max(1, len(data) // 40)
    return [(start, min(len(data), start + size)) for start in range(0, len(data), size)]


def _jpeg_parts(data: bytes) -> Iterator[Part]:
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if data[place + 1] == 0xDA:
            following = data.find(b"\xff\xda", end)
            end = following if following > 0 else len(data)
        yield place, min(end, len(data))
        place = end


def _sized_parts(data: bytes, place: int, end: int, order: str, around: int, at: int) -> Iterator[Part]:
    while place + 8 <= end:
        size = struct.unpack_from(f"{order}I", data, place + at)[0] + around
        yield place, min(end, place + size)
        place += size + (size % 2 if order == "<" else 0)


def _boxes(data: bytes, place: int, end: int, depth: int) -> Iterator[Part]:
    while place + 8 <= end and depth < 8:
        size, kind = struct.unpack_from(">I4s", data, place)
        size = size or end - place
        yield place, min(end, place + size)
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"jp2h", b"iprp", b"ipco", b"meta"):
            yield from _boxes(data, place + (12 if kind == b"meta" else 8), min(end, place + size), depth + 1)
        place += max(8, size)


def _tiff_parts(data: bytes) -> Iterator[Part]:
    order = "<" if data[:2] == b"II" else ">"
    yield 0, 8
    (place,) = struct.unpack_from(f"{order}I", data, 4)
    if place + 2 <= len(data):
        (count,) = struct.unpack_from(f"{order}H", data, place)
        yield place, place + 2
        for entry in range(place + 2, min(len(data) - 11, place + 2 + 12 * count), 12):
            yield entry, entry + 12


def _ebml(data: bytes, place: int, end: int, depth: int) -> Iterator[Part]:
    while place + 2 < end and depth < 5:
        width = 9 - data[place].bit_length()
        start = place + width
        length = 9 - data[start].bit_length() if start < end else 9
        if width > 4 or length > 8:
            return
        size = int.from_bytes(data[start : start + length], "big") & ((1 << 7 * length) - 1)
        content = start + length
        yield place, min(end, content + size)
        if data[place : place + width] in (b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae", b"\xe0"):
            yield from _ebml(data, content, min(end, content + size), depth + 1)
        place = content + size


def mutations(files: dict[str, bytes], seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield damaged files without end: whole units, numbers in them, or bytes anywhere."""
    random, names = np.random.default_rng(seed), sorted(files)
    while True:
        name = names[random.integers(len(names))]
        data = bytearray(files[name])
        for _ in range(random.integers(1, 5)):
            if random.random() < 0.5:
                _damage_unit(data, random, files[names[random.integers(len(names))]])
            else:
                _damage_bytes(data, random, files[names[random.integers(len(names))]])
        if random.random() < 0.7:
            _right_checksums(data)
        yield name, bytes(data or b"\0")


def _damage_unit(data: bytearray, random: np.random.Generator, other: bytes) -> None:
    parts = parts_of(bytes(data))
    if not parts:
        return
    start, end = parts[random.integers(len(parts))]
    unit = bytes(data[start:end])
    match int(random.integers(6)):
        case 0:
            del data[start:end]
        case 1:
            data[end:end] = unit * int(random.integers(1, 20))
        case 2:  # two change places
            first, last = parts[random.integers(len(parts))]
            if last <= start:
                data[first:end] = unit + data[last:start] + data[first:last]
        case 3:
            others = parts_of(other) or [(0, len(other))]
            first, last = others[random.integers(len(others))]
            data[start:start] = other[first:last]
        case _:  # a number in its header or its content
            width = (1, 2, 4, 4)[random.integers(4)]
            reach = min(len(unit), 64) if random.random() < 0.8 else len(unit)
            place = start + int(random.integers(max(1, reach)))
            value = int(EXTREMES[random.integers(len(EXTREMES))]) & ((1 << 8 * width) - 1)
            data[place : place + width] = value.to_bytes(width, ("big", "little")[random.integers(2)])


def _damage_bytes(data: bytearray, random: np.random.Generator, other: bytes) -> None:
    # most of what parsers do is in the first bytes
    place = int(random.integers(0, max(1, min(len(data), 400) if random.random() < 0.7 else len(data))))
    size = int(random.integers(1, 40))
    match int(random.integers(6)):
        case 0:
            data[place : place + 1] = random.bytes(1)
        case 1:
            data[place : place + 1] = bytes(each ^ 1 << int(random.integers(8)) for each in data[place:][:1])
        case 2:
            data[place : place + size] = random.bytes(size)
        case 3:
            del data[place : place + size]
        case 4:
            data[place:place] = data[place : place + size] * int(random.integers(1, 30))
        case 5:
            del data[place:]
            if random.random() < 0.5:
                data += other[random.integers(len(other)) :]


def _right_checksums(data: bytearray) -> None:
    """Give the chunks of a PNG file their checksums, so that readers go on."""
    if data[:4] == b"\x89PNG":
        for start, end in parts_of(bytes(data)):
            if end - start >= 12:
                data[end - 4 : end] = zlib.crc32(data[start + 4 : end - 4]).to_bytes(4, "big")
