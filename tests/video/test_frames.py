"""Pixels of a frame: colours, shape of the pixels, turns and mirrorings."""

import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom import FaceAnalyzer
from facegeom.video import Frame, VideoError, frames, open_video
from facegeom.video.frames import Colours, Encoding, square_size, upright

Film = Callable[..., Path]
PATCHES = np.array(
    [(230, 30, 30), (30, 200, 30), (40, 60, 220), (240, 240, 240), (10, 10, 10), (200, 160, 40)]
)
TAGS = [
    *((1, 1, 1, 1), (6, 1, 6, 6), (5, 1, 5, 6), (9, 1, 9, 14), (7, 1, 7, 7)),
    *((1, 2, 1, 1), (6, 2, 6, 6), (9, 2, 9, 16)),
]
"""Matrix, range, primaries and transfer: BT.709, BT.601 twice, BT.2020, SMPTE 240M; full range."""


def patches(height: int = 96, width: int = 192) -> np.ndarray:
    return PATCHES.astype(np.uint8).repeat(width // 6, axis=0)[None].repeat(height, axis=0)


def colours_of(pixels: np.ndarray) -> np.ndarray:
    step = pixels.shape[1] // 6
    return pixels[pixels.shape[0] // 2, step // 2 :: step].astype(int)


def first_frame(path: Path) -> Frame:
    with open_video(path) as video:
        return next(iter(video))


@pytest.mark.parametrize(("tags", "ending"), list(product(TAGS, ["mp4", "mkv"])))
def test_colours_are_read_by_their_tags(
    film: Film, tmp_path: Path, tags: tuple[int, int, int, int], ending: str
) -> None:
    path = film(tmp_path / f"a.{ending}", [0, 0.1], lambda index: patches(), colours=tags)
    with open_video(path) as video:
        assert video.encoding.colours == Colours(*tags)
        np.testing.assert_allclose(colours_of(next(iter(video)).pixels), PATCHES, atol=5)


@pytest.mark.parametrize(("size_hw", "matrix"), [((96, 192), 5), ((720, 1320), 1)])
def test_colours_without_tags_are_those_that_players_assume(
    film: Film, tmp_path: Path, size_hw: tuple[int, int], matrix: int
) -> None:
    tags = (matrix, 1, 2, 2)
    path = film(tmp_path / "a.mp4", [0, 0.1], lambda index: patches(*size_hw), colours=tags)
    with open_video(path) as video:
        encoding = Encoding(video.encoding.width, video.encoding.height)
    assert encoding.colours.scaler_matrix(encoding.width, encoding.height) == matrix


def test_rgb_sources_are_written_with_a_matrix() -> None:
    rgb = Colours(matrix=0, range=2, primaries=1, transfer=13)
    assert rgb.written(640, 480) == Colours(5, 1, 1, 13)
    assert rgb.written(1920, 1080) == Colours(1, 1, 1, 13)
    assert Colours().written(640, 480) == Colours()


@pytest.mark.parametrize(
    ("size_wh", "ratio", "square_wh"),
    [
        ((320, 240), Fraction(1), (320, 240)),
        ((240, 240), Fraction(4, 3), (320, 240)),
        ((1440, 1080), Fraction(4, 3), (1920, 1080)),
        ((720, 480), Fraction(8, 9), (720, 540)),
    ],
)
def test_square_pixels_lose_none(
    size_wh: tuple[int, int], ratio: Fraction, square_wh: tuple[int, int]
) -> None:
    assert square_size(*size_wh, ratio) == square_wh


@pytest.mark.parametrize("ratio", [Fraction(4, 3), Fraction(8, 9)])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_face_of_pixels_that_are_not_square(
    film: Film, tmp_path: Path, portrait: np.ndarray, ratio: Fraction, ending: str
) -> None:
    whole = Image.fromarray(portrait)
    stored_wh = (384, 512) if ratio > 1 else (512, 456)
    stored = np.asarray(whole.resize(stored_wh, Image.Resampling.BICUBIC))
    path = film(tmp_path / f"a.{ending}", [0, 0.1], lambda index: stored, pixel_ratio=ratio)
    pixels = first_frame(path).pixels
    assert pixels.shape == ((512, 512, 3) if ratio > 1 else (513, 512, 3))
    analyzer = FaceAnalyzer(threads=1)
    straight, square = analyzer(portrait)[0], analyzer(pixels)[0]
    assert abs(square.yaw_deg - straight.yaw_deg) < 1 and abs(square.roll_deg - straight.roll_deg) < 1
    np.testing.assert_allclose(square.box_xyxy, straight.box_xyxy, atol=3)


def test_an_absurd_shape_of_pixels_is_a_mistake(film: Film, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [0, 0.1], pixel_ratio=Fraction(64, 1))
    assert first_frame(path).pixels.shape == (48, 64, 3)


MATRICES = {
    "as stored": (1, 0, 0, 1),
    "mirrored": (-1, 0, 0, 1),
    "upside down, mirrored": (1, 0, 0, -1),
    "half a turn": (-1, 0, 0, -1),
    "a quarter clockwise": (0, 1, -1, 0),
    "a quarter counter-clockwise": (0, -1, 1, 0),
    "transposed": (0, 1, 1, 0),
    "transposed, half a turn": (0, -1, -1, 0),
}


def shown(picture: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Return the picture with each pixel put where the matrix sends it."""
    a, b, c, d = matrix
    y, x = np.indices(picture.shape[:2])
    to_x, to_y = a * x + c * y, b * x + d * y
    to_x, to_y = to_x - to_x.min(), to_y - to_y.min()
    result = np.empty((to_y.max() + 1, to_x.max() + 1, 3), picture.dtype)
    result[to_y, to_x] = picture
    return result


@pytest.mark.parametrize("name", MATRICES)
def test_a_display_matrix_turns_and_mirrors(film: Film, tmp_path: Path, name: str) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (3, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    matrix = MATRICES[name]
    path = film(tmp_path / "a.mp4", [0, 0.1], lambda index: picture)
    stored = first_frame(path).pixels
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # version 0: times, id, duration, layer, volume come first
    a, b, c, d = (value << 16 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    pixels = first_frame(path).pixels
    np.testing.assert_array_equal(pixels, shown(stored, matrix))
    assert pixels.flags.c_contiguous


def test_a_matrix_that_is_a_little_off_is_the_nearest_turn() -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(upright(picture, (3, 70, -68, -2)), np.rot90(picture, -1))


def test_a_frame_that_is_too_large(film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_PIXELS", 3000)
    path = film(tmp_path / "a.mp4", [0, 0.1])
    with pytest.raises(VideoError, match=r"at most 3,000 pixels, got 64 x 48"):
        first_frame(path)
