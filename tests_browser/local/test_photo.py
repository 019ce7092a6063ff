"""The browser's decoders give the same pixels as facegeom.image.reading.read."""

import base64
import hashlib
import io
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from playwright.sync_api import Page

from facegeom.image import reading

# Errors are returned as text, because Playwright may change an error's name.
_READ = """async ([text, maxPixels]) => {
  const { read } = await import("/static/local/photo.js");
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  try {
    const { width, height, data } = await read(new Blob([bytes]), maxPixels);
    const digest = Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", data)));
    return JSON.stringify({ width, height, digest, data: Array.from(data.slice(0, 60000)) });
  } catch (error) {
    return JSON.stringify({ error: `${error.name}: ${error.message}` });
  }
}"""


@pytest.fixture
def read(module_page: Page) -> Callable[..., dict[str, Any]]:
    def function(encoded: bytes, max_pixels: int = reading.MAX_PIXELS) -> dict[str, Any]:
        text = base64.b64encode(encoded).decode("ascii")
        result: dict[str, Any] = json.loads(module_page.evaluate(_READ, [text, max_pixels]))
        return result

    return function


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def smooth(width: int, height: int) -> Image.Image:
    """Return an image of slowly changing colours, which JPEG preserves."""
    y, x = np.mgrid[:height, :width]
    channels = [127 + 90 * np.sin(x / 9 + phase) * np.cos(y / 7 - phase) for phase in (0, 1, 2)]
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


def assert_same(found: dict[str, Any], encoded: bytes, tolerance: int) -> None:
    expected = reading.read(encoded)
    assert (found["height"], found["width"]) == expected.shape[:2]
    difference = np.abs(np.reshape(found["data"], expected.shape) - expected.astype(int))
    assert difference.max() <= tolerance


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "PNG", {}),
        ("L", "PNG", {}),
        ("1", "PNG", {}),
        ("P", "PNG", {}),
        ("P", "GIF", {}),
        ("RGB", "BMP", {}),
        ("RGB", "WEBP", {"lossless": True}),
    ],
)
def test_lossless_files(read: Any, mode: str, kind: str, options: dict[str, Any]) -> None:
    encoded = encode(smooth(61, 45).convert(mode), kind, **options)
    assert_same(read(encoded), encoded, tolerance=0)


def test_colour_management_is_left_out(read: Any) -> None:
    linear_light = PngImagePlugin.PngInfo()
    linear_light.add(b"gAMA", struct.pack(">I", 100_000))
    encoded = encode(smooth(61, 45), "PNG", pnginfo=linear_light)
    assert_same(read(encoded), encoded, tolerance=0)


def test_transparent_parts_lie_over_white(read: Any) -> None:
    image = smooth(61, 45).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    encoded = encode(image, "PNG")
    assert_same(read(encoded), encoded, tolerance=2)  # the browser keeps colours multiplied by alpha


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_orientation(read: Any, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = encode(smooth(61, 45), "JPEG", quality=90, exif=exif)
    assert_same(read(encoded), encoded, tolerance=4)


def test_photo_of_several_strips(read: Any) -> None:
    image = smooth(1501, 900)
    found = read(encode(image, "PNG", compress_level=1))
    assert (found["width"], found["height"]) == (1501, 900)
    assert bytes(found["digest"]) == hashlib.sha256(np.asarray(image).tobytes()).digest()


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        pytest.param(b"", "got nothing", id="empty"),
        pytest.param(b"no picture at all", "cannot read the picture", id="text"),
        pytest.param(encode(smooth(61, 45), "TIFF"), "cannot read the picture", id="unknown format"),
        pytest.param(encode(smooth(61, 45), "PNG")[:40], "cannot read the picture", id="cut short"),
        pytest.param(encode(smooth(101, 100), "PNG"), "at most 10000 pixels, got 101 x 100", id="too large"),
    ],
)
def test_unreadable_files(read: Any, encoded: bytes, message: str) -> None:
    error = read(encoded, 10_000)["error"]
    assert error.startswith("ImageError: ") and message in error
