"""Orientation, angle of view and colour profile of a photo are read as facegeom.image reads them."""

import base64
import io
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational
from playwright.sync_api import Page

from facegeom.image import reading
from facegeom.serve.pages import model_data

Read = Callable[[bytes], dict[str, Any]]

ORIENTATION, EXIF_DIRECTORY = 0x0112, 0x8769
WIDTH, HEIGHT, FOCAL, FOCAL_FILM, RESOLUTION, UNIT = 0xA002, 0xA003, 0x920A, 0xA405, 0xA20E, 0xA210

_READ = """async ([text, exif]) => {
  const { read } = await import("/static/local/photo.js");
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const { width, height, data, fovDeg } = await read(new Blob([bytes]), 1e8, exif);
  return JSON.stringify({ width, height, fovDeg, data: Array.from(data) });
}"""


@pytest.fixture
def read(module_page: Page) -> Read:
    def function(encoded: bytes) -> dict[str, Any]:
        text = base64.b64encode(encoded).decode("ascii")
        result: dict[str, Any] = json.loads(
            module_page.evaluate(_READ, [text, model_data()["analyzer"]["exif"]])
        )
        return result

    return function


def picture(width: int = 60, height: int = 45) -> Image.Image:
    """Return an image of slowly changing colours, which JPEG preserves; no turn of it equals another."""
    y, x = np.mgrid[:height, :width]
    channels = [127 + 90 * np.sin(x / 9 + phase) * np.cos(y / 7 - phase) for phase in (0, 1, 2)]
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


def exif_of(tags: dict[int, Any], orientation: Any = None) -> Image.Exif:
    exif = Image.Exif()
    exif.get_ifd(EXIF_DIRECTORY).update(tags)
    if orientation is not None:
        exif[ORIENTATION] = orientation
    return exif


def encode(kind: str = "JPEG", **options: Any) -> bytes:
    stream = io.BytesIO()
    picture().save(stream, kind, **({"quality": 95} | options))
    return stream.getvalue()


def assert_same(read: Read, encoded: bytes, tolerance: int = 4) -> dict[str, Any]:
    found, expected = read(encoded), reading.decode(encoded)
    assert (found["width"], found["height"]) == expected.full_wh
    difference = np.abs(np.reshape(found["data"], expected.pixels.shape) - expected.pixels.astype(int))
    assert difference.max() <= tolerance
    assert found["fovDeg"] == (None if expected.fov_deg is None else pytest.approx(expected.fov_deg))
    return found


@pytest.mark.parametrize(
    ("tags", "fov_deg"),
    [
        ({}, None),
        ({FOCAL_FILM: 85}, 23.1),
        ({FOCAL_FILM: 26}, 67.3),
        ({FOCAL_FILM: 0}, None),
        ({FOCAL_FILM: 1}, None),  # more than 160°
        ({FOCAL_FILM: 26, WIDTH: 4000, HEIGHT: 3000}, 67.3),
        ({FOCAL_FILM: 26, WIDTH: 3000, HEIGHT: 4000}, 67.3),
        ({FOCAL_FILM: 26, WIDTH: 4000, HEIGHT: 2250}, None),
        ({FOCAL: 50.0, RESOLUTION: 30.0, UNIT: 4}, 2.3),
        ({FOCAL: 5.0, RESOLUTION: 200.0, UNIT: 3}, 33.4),
        ({FOCAL: 5.0, RESOLUTION: 500.0}, 33.9),
        ({FOCAL: 5.0, RESOLUTION: 500.0, UNIT: 9}, None),
        ({FOCAL: 5.0}, None),
        ({FOCAL: IFDRational(1, 0), RESOLUTION: 500.0}, None),
        ({FOCAL: "wide", RESOLUTION: 500.0}, None),
    ],
)
def test_angle_of_view(read: Read, tags: dict[int, Any], fov_deg: float | None) -> None:
    found = assert_same(read, encode(exif=exif_of(tags)))
    assert found["fovDeg"] == (None if fov_deg is None else pytest.approx(fov_deg, abs=0.1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_formats(read: Read, kind: str, orientation: int) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    found = assert_same(read, encode(kind, exif=exif_of({FOCAL_FILM: 50}, orientation), **options))
    assert found["fovDeg"] is not None and (found["width"] < found["height"]) == (orientation > 4)


@pytest.mark.parametrize("orientation", [0, 9, 700])
def test_a_nonsense_orientation_is_none(read: Read, orientation: int) -> None:
    assert assert_same(read, encode(exif=exif_of({}, orientation)))["width"] == 60


def test_orientation_of_another_type(read: Read) -> None:
    """A float counts with its whole part; one that is not finite counts as missing."""
    for value, width in ((6.5, 45), (float("inf"), 60), (float("nan"), 60)):
        tiff = b"Exif\0\0MM\0*" + struct.pack(">IHHHIfI", 8, 1, ORIENTATION, 11, 1, value, 0)
        assert assert_same(read, encode(exif=tiff))["width"] == width


@pytest.mark.parametrize("length", [3, 9, 20, 30, 60])
def test_exif_that_is_cut_short(read: Read, length: int) -> None:
    assert_same(read, encode(exif=exif_of({FOCAL_FILM: 26}, 6).tobytes()[:length]))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_orientation_of_xmp(read: Read, kind: str) -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    assert assert_same(read, encode(kind, xmp=xmp))["width"] == 45


def test_orientation_of_xmp_in_png(read: Read) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "<tiff:Orientation>3</tiff:Orientation>")
    assert_same(read, encode("PNG", pnginfo=text), tolerance=0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_colours_of_a_profile(read: Read, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    encoded = encode(kind, icc_profile=display_p3(), **options)
    stored = Image.open(io.BytesIO(encoded))
    p3, srgb = ImageCms.ImageCmsProfile(io.BytesIO(display_p3())), ImageCms.createProfile("sRGB")
    expected = np.asarray(ImageCms.profileToProfile(stored, p3, srgb)).astype(int)
    found = np.reshape(read(encoded)["data"], expected.shape)
    assert np.abs(np.asarray(stored) - expected).max() > 15
    assert np.abs(found - expected).max() <= (5 if kind == "JPEG" else 2)


def display_p3() -> bytes:
    """Return a Display P3 profile: that of sRGB with its three primaries replaced."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {b"rXYZ": (0.51512, 0.24120, -0.00105), b"gXYZ": (0.29198, 0.69225, 0.04189)}
    primaries[b"bXYZ"] = (0.15710, 0.06657, 0.78407)
    for entry in range(132, 132 + 12 * struct.unpack_from(">I", profile, 128)[0], 12):
        name, offset, _ = struct.unpack_from(">4sII", profile, entry)
        if name in primaries:
            struct.pack_into(">3i", profile, offset + 8, *(round(each * 65536) for each in primaries[name]))
    return bytes(profile)
