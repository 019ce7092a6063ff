"""Reduced decoding of JPEG files, and files opened once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from facegeom.errors import ImageError
from facegeom.image import reading
from facegeom.image.reading import FaceSize


def noise(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("size", "wh", "expected"),
    [
        (FaceSize(12), (640, 480), 12),
        (FaceSize(12, 0.055), (640, 480), 35.2),
        (FaceSize(12, 0.055), (480, 640), 35.2),
        (FaceSize(12, 0.055), (100, 90), 12),
    ],
)
def test_size_of_faces(size: FaceSize, wh: tuple[int, int], expected: float) -> None:
    assert size.in_photo(*wh) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("size_wh", "most", "shape"),
    [
        ((400, 300), 1.9, (300, 400)),
        ((400, 300), 2.0, (150, 200)),
        ((401, 299), 5.0, (75, 101)),
        ((400, 300), 100.0, (38, 50)),
        ((3, 2), 8.0, (1, 2)),
    ],
)
def test_jpeg_files_are_decoded_reduced(
    tmp_path: Path, size_wh: tuple[int, int], most: float, shape: tuple[int, int]
) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", size_wh, (10, 200, 30)).save(path)
    asked: list[tuple[int, int]] = []

    class Asked(FaceSize):
        def in_photo(self, width: int, height: int) -> float:
            asked.append((width, height))
            return super().in_photo(width, height)

    for source in (path, path.read_bytes()):
        decoded = reading.decode(source, Asked(most * 10), face_px=10)
        pixels, (_, full_wh, fov_deg, *_) = decoded.pixels, decoded
        assert pixels.shape == (*shape, 3) and full_wh == size_wh and fov_deg is None
    assert set(asked) == {size_wh}
    assert reading.decode(path).pixels.shape == (size_wh[1], size_wh[0], 3)


def test_a_reduced_photo_is_upright_and_shows_the_same(tmp_path: Path) -> None:
    """A bright spot keeps its place, as a fraction of the sides."""
    path, exif = tmp_path / "photo.jpg", Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image = Image.new("RGB", (403, 301))
    image.paste((255, 255, 255), (40, 60, 72, 92))
    image.save(path, exif=exif, quality=95)
    whole = reading.read(path)
    decoded = reading.decode(path, FaceSize(2.0))
    pixels, full_wh = decoded.pixels, decoded.full_wh
    assert full_wh == (whole.shape[1], whole.shape[0]) == (301, 403)
    assert pixels.shape == (202, 151, 3)
    bright = (np.argwhere(image[..., 0] > 128).mean(axis=0) for image in (whole, pixels))
    sides = (whole.shape[:2], pixels.shape[:2])
    places = [(place + 0.5) / side for place, side in zip(bright, sides, strict=True)]
    np.testing.assert_allclose(places[0], places[1], atol=0.003)


def test_other_sources_are_decoded_whole(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 48), (1, 2, 3))
    image.save(tmp_path / "photo.png")
    for source in (tmp_path / "photo.png", image, np.asarray(image)):
        decoded = reading.decode(source, FaceSize(8.0))
        pixels, full_wh = decoded.pixels, decoded.full_wh
        assert pixels.shape == (48, 64, 3) and full_wh == (64, 48)


def test_the_limit_holds_for_the_whole_photo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "photo.jpg")
    monkeypatch.setattr(reading, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(ImageError, match="at most 3,071 pixels, got 64 x 48"):
        reading.decode(tmp_path / "photo.jpg", FaceSize(8.0))
