"""Aligned crops against the pixels of photos that are drawn with known points."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom import FaceAnalyzer, Faces
from facegeom.errors import InputError
from facegeom.geometry import alignment, transforms
from facegeom.geometry.schemes import five_from_68

WH = (320, 240)
PORTRAIT = Path(str(files("facegeom") / "data" / "astronaut.jpg"))


def ramp() -> np.ndarray:
    """Red is half the column, green half the row."""
    row, column = np.indices(WH[::-1])
    return np.stack([column / 2, row / 2, np.full_like(row, 200)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("size", [24, 112, 301])
@pytest.mark.parametrize("template", alignment.TEMPLATES)
def test_a_crop_shows_what_its_map_says(faces: Faces, template: alignment.Template, size: int) -> None:
    crop = faces[1].aligned(ramp(), size, template)
    row, column = np.indices((size, size))
    x, y = transforms.apply(crop.photo_from_crop, np.stack([column, row], axis=-1).reshape(-1, 2)).T.reshape(
        2, size, size
    )
    inside = (x > 2) & (x < WH[0] - 3) & (y > 2) & (y < WH[1] - 3)
    assert crop.pixels.shape == (size, size, 3) and crop.pixels.dtype == np.uint8 and inside.mean() > 0.3
    np.testing.assert_allclose(crop.pixels[inside][:, 0], x[inside] / 2, atol=1.6)
    np.testing.assert_allclose(crop.pixels[inside][:, 1], y[inside] / 2, atol=1.6)
    assert (crop.pixels[(x < -3) | (y < -3)] == 0).all()


def test_the_inverse_is_exact(faces: Faces) -> None:
    points = np.random.default_rng(1).uniform(-50, 400, (100, 2))
    for template in alignment.TEMPLATES:
        for crop in faces.aligned(ramp(), 112, template):
            there = transforms.apply(crop.crop_from_photo, points)
            np.testing.assert_allclose(transforms.apply(crop.photo_from_crop, there), points, atol=1e-9)


def test_points_are_told_in_the_crop(faces: Faces) -> None:
    for face, crop in zip(faces, faces.aligned(ramp()), strict=True):
        five = five_from_68(face.landmarks_px.astype(float))
        np.testing.assert_allclose(transforms.apply(crop.photo_from_crop, crop.points_px), five, atol=1e-6)


def test_fine_stripes_are_averaged_not_aliased(faces: Faces) -> None:
    stripes = np.zeros((*WH[::-1], 3), np.uint8)
    stripes[:, ::2] = 255
    crop = faces[0].aligned(stripes, 16, "box").pixels  # a pixel of the crop covers several stripes
    assert np.abs(crop[4:-4, 4:-4].astype(int) - 127).max() < 20


def test_an_enlarged_crop_stays_sharp(faces: Faces) -> None:
    """An edge between black and white takes about one pixel of the photo."""
    edge = np.zeros((*WH[::-1], 3), np.uint8)
    left, _, right, _ = faces.box_xyxy[0]
    edge[:, round((left + right) / 2) :] = 255
    crop = faces[0].aligned(edge, 800, "box")
    line = crop.pixels[400, :, 0].astype(int)
    width_px = ((line > 25) & (line < 230)).sum() * crop.photo_from_crop[0, 0]
    assert (np.diff(line) >= 0).all() and width_px < 1.6


def test_the_photo_of_a_face(faces: Faces, tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / "ramp.png")
    named = replace(faces, file=str(tmp_path / "ramp.png"))
    crop = named[0].aligned(size=112, template="arcface")
    np.testing.assert_array_equal(crop.pixels, faces[0].aligned(ramp()).pixels)
    np.testing.assert_array_equal(named.aligned()[0].pixels, crop.pixels)
    with pytest.raises(InputError, match="expected the photo of the faces as image"):
        replace(faces, file=None)[0].aligned()
    for record in (faces, faces[0]):
        with pytest.raises(InputError, match="expected the photo of the faces, 320 x 240 pixels, got 5 x 5"):
            record.aligned(np.zeros((5, 5, 3), np.uint8))
    assert named[0] == faces[0] and replace(faces[0], width=0).aligned(np.zeros((5, 5, 3), np.uint8))
    assert faces[:0].aligned() == []


def test_a_photo_on_its_side_and_a_reduced_one(tmp_path: Path) -> None:
    """EXIF turns one; the other is decoded at a half, and its crops show the file's own pixels."""
    portrait, analyzer = Image.open(PORTRAIT).convert("RGB"), FaceAnalyzer(threads=1)
    expected = analyzer(portrait).aligned(portrait)[0].pixels.astype(int)
    exif = Image.Exif()
    exif[0x0112] = 6  # is shown turned clockwise
    portrait.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "side.png", exif=exif)
    turned = analyzer(tmp_path / "side.png").aligned()[0].pixels
    assert np.abs(turned - expected).mean() < 0.1
    large = portrait.resize((portrait.width * 5, portrait.height * 5), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.jpg", quality=97)
    found = analyzer(tmp_path / "large.jpg", min_face=300).aligned()[0]
    assert np.abs(found.pixels - expected).mean() < 6
    assert found.photo_from_crop[0, 0] > 3  # in pixels of the large file


def test_written_crops(faces: Faces, tmp_path: Path) -> None:
    written = faces.save(tmp_path, ("json", "aligned"), ramp(), size=64, template="ffhq")
    assert [path.name for path in written] == ["group.json", *(f"group.{n}.aligned.png" for n in range(3))]
    entries = [face["aligned"] for face in json.loads(written[0].read_bytes())["faces"]]
    for path, entry, crop in zip(written[1:], entries, faces.aligned(ramp(), 64, "ffhq"), strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(path)), crop.pixels)
        assert (entry["file"], entry["size_px"]) == (path.name, 64)
        np.testing.assert_allclose(entry["crop_from_photo"], crop.crop_from_photo, atol=1e-6)
    with pytest.raises(InputError, match="aligned shows the photo's pixels"):
        replace(faces, file=None).save(tmp_path, ("aligned",))
    with pytest.raises(InputError, match="size: expected"):
        faces.save(tmp_path, ("json",), size=0)


def test_equality_ignores_which_photo(make_faces: Callable[..., Faces]) -> None:
    assert replace(make_faces(), file="a.jpg")[0] == make_faces()[0]
    assert replace(make_faces(), file="a.jpg") != make_faces()
