"""Decoding, resizing, crops and the image pyramid equal facegeom.image; EXIF is in test_exif.py."""

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
from facegeom.image.crop import OUTSIDE, crop_squares
from facegeom.image.pyramid import Pyramid
from facegeom.serve.pages import model_data

Noise = Callable[[int, int], Image.Image]
FACTORS, SIZE = (2, 6), 16
EXIF = model_data()["analyzer"]["exif"]

# Errors are returned as text, because Playwright may change an error's name.
_READ = """async ([text, maxPixels, exif]) => {
  const { read } = await import("/static/local/photo.js");
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  try {
    const { width, height, data, fovDeg } = await read(new Blob([bytes]), maxPixels, exif);
    const digest = Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", data)));
    return JSON.stringify({ width, height, fovDeg, digest, data: Array.from(data.slice(0, 60000)) });
  } catch (error) {
    return JSON.stringify({ error: `${error.name}: ${error.message}` });
  }
}"""
_LEVELS_AND_CROPS = """async ([width, height, pixels, factors, squares, size, outside, gap]) => {
  const { Pyramid } = await import(new URL("/static/local/pyramid.js", location));
  const { cropSquares } = await import(new URL("/static/local/crop.js", location));
  const pyramid = new Pyramid({ width, height, data: Uint8Array.from(pixels) });
  const levels = factors.map((factor) => [...pyramid.level(factor).data]);
  return { levels, crops: [...cropSquares(pyramid, squares, size, outside, gap)] };
}"""


@pytest.fixture
def read(module_page: Page) -> Callable[..., dict[str, Any]]:
    def function(encoded: bytes, max_pixels: int = reading.MAX_PIXELS) -> dict[str, Any]:
        text = base64.b64encode(encoded).decode("ascii")
        result: dict[str, Any] = json.loads(module_page.evaluate(_READ, [text, max_pixels, EXIF]))
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


def test_gamma_without_a_profile_is_left_out(read: Any) -> None:
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


@pytest.mark.parametrize(
    ("size_wh", "new_wh", "box"),
    [
        pytest.param((31, 17), (31, 17), None, id="same size"),
        pytest.param((64, 48), (32, 24), None, id="half"),
        pytest.param((61, 47), (13, 29), None, id="smaller"),
        pytest.param((9, 7), (40, 33), None, id="larger"),
        pytest.param((60, 50), (24, 24), (3.3, 7.9, 40.1, 45.25), id="part"),
        pytest.param((60, 50), (24, 24), (10.5, 11.25, 16.125, 16.875), id="small part, enlarged"),
        pytest.param((90, 80), (5, 3), (0.1, 0.2, 89.9, 79.7), id="far smaller"),
        pytest.param((1, 1), (3, 2), None, id="one pixel"),
        pytest.param((31, 64), (30, 20), None, id="lower"),
        pytest.param((40, 64), (50, 20), (3.3, 7.9, 37.1, 60.25), id="part, lower and wider"),
        pytest.param((48, 64), (24, 24), None, id="upright"),
    ],
)
def test_resize(
    call: Any,
    noise: Noise,
    size_wh: tuple[int, int],
    new_wh: tuple[int, int],
    box: tuple[float, float, float, float] | None,
) -> None:
    image = noise(*size_wh)
    expected = image.resize(new_wh, Image.Resampling.BILINEAR, box=box)
    found = call("resample.js", "resize", image, new_wh, *([box] if box else []))
    np.testing.assert_array_equal(found, np.asarray(expected))


@pytest.mark.parametrize("gap", [1.0, 1.5])
@pytest.mark.parametrize("box", [(0, 0, 90, 80), (3.3, 7.9, 80.1, 45.25), (20.5, 30.5, 40.0, 79.9)])
def test_resize_of_averaged_pixels(
    call: Any, noise: Noise, box: tuple[float, float, float, float], gap: float
) -> None:
    image = noise(90, 80)
    expected = image.resize((12, 12), Image.Resampling.BILINEAR, box=box, reducing_gap=gap)
    found = call("resample.js", "resize", image, (12, 12), box, gap)
    np.testing.assert_array_equal(found, np.asarray(expected))


@pytest.mark.parametrize("factors", [(2, 2), (3, 3), (4, 4), (5, 5), (7, 2), (1, 11)])
def test_reduce_with_partial_blocks_at_the_edges(call: Any, noise: Noise, factors: tuple[int, int]) -> None:
    image = noise(47, 38)
    np.testing.assert_array_equal(
        call("resample.js", "reduce", image, factors), np.asarray(image.reduce(factors))
    )


@pytest.mark.parametrize(
    "square",
    [
        pytest.param((10.2, 5.7, 40.2, 35.7), id="within"),
        pytest.param((-0.5, -0.5, 23.5, 23.5), id="pixel by pixel"),
        pytest.param((-20.3, -11.1, 30.7, 39.9), id="beyond the top left"),
        pytest.param((30.0, 20.0, 90.0, 80.0), id="beyond the bottom right"),
        pytest.param((-30.0, -40.0, 110.0, 100.0), id="around the image"),
        pytest.param((200.0, 200.0, 230.0, 230.0), id="outside"),
        pytest.param((12.1, 12.1, 15.4, 15.4), id="enlarged"),
        pytest.param((9.0, 9.0, 9.0, 9.0), id="empty"),
        pytest.param((40.0, 35.0, 10.0, 5.0), id="inverted"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_one_square(call: Any, noise: Noise, square: tuple[float, ...]) -> None:
    image = noise(60, 50)
    found = np.reshape(call("crop.js", "cropSquares", image, [square], 24, OUTSIDE), (1, 24, 24, 3))
    np.testing.assert_array_equal(found, crop_squares(image, np.array([square]), 24))


def test_many_squares_lie_one_after_the_other(call: Any, noise: Noise) -> None:
    image, rng = noise(80, 60), np.random.default_rng(3)
    corner, side = rng.uniform(-30, 60, (12, 2)), rng.uniform(1, 70, (12, 1))
    squares = np.concatenate([corner, corner + side], axis=1)
    for gap in (None, 1.0):
        found = np.reshape(call("crop.js", "cropSquares", image, squares, 16, OUTSIDE, gap), (12, 16, 16, 3))
        np.testing.assert_array_equal(found, crop_squares(image, squares, 16, gap))


@pytest.mark.parametrize("gap", [None, 1.0, 2.0])
def test_levels_and_crops(module_page: Page, noise: Noise, gap: float | None) -> None:
    image, rng = noise(131, 90), np.random.default_rng(3)
    corner, side = rng.uniform(-30, 60, (12, 2)), rng.uniform(4, 150, (12, 1))
    squares = np.concatenate([corner, corner + side], axis=1)
    pixels = np.asarray(image).ravel().tolist()
    given = [image.width, image.height, pixels, FACTORS, squares.tolist(), SIZE, OUTSIDE, gap]
    found, pyramid = module_page.evaluate(_LEVELS_AND_CROPS, given), Pyramid(image)
    for factor, level in zip(FACTORS, found["levels"], strict=True):
        np.testing.assert_array_equal(level, np.asarray(pyramid.level(factor)).ravel())
    np.testing.assert_array_equal(found["crops"], crop_squares(pyramid, squares, SIZE, gap).ravel())
