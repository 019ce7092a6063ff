"""An opened photo: its pixels, its camera, its name; a file is opened once."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegeom.errors import ImageError
from facegeom.image.photo import open_photo
from facegeom.image.reading import FaceSize


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a photo of 400 x 300 pixels with an angle of view of 67.3° across its longer side."""
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0xA405] = 26
    Image.new("RGB", (400, 300), (90, 120, 60)).save(tmp_path / "photo.jpg", exif=tags)
    return tmp_path / "photo.jpg"


def test_a_file(file: Path) -> None:
    photo = open_photo(file)
    assert photo.pyramid.size_wh == (400, 300) and photo.factor_xy == (1, 1) and photo.file == str(file)
    assert (photo.camera.width, photo.camera.height) == (400, 300)
    assert photo.camera.fov_deg == pytest.approx(67.30, abs=0.01)
    assert open_photo(str(file)).file == str(file)


def test_the_angle_of_view_is_the_given_one_else_that_of_exif_else_50(file: Path) -> None:
    assert open_photo(file, 30.0).camera.fov_deg == 30
    assert open_photo(Image.open(file)).camera.fov_deg == pytest.approx(67.30, abs=0.01)
    assert open_photo(file.read_bytes()).camera.fov_deg == pytest.approx(67.30, abs=0.01)
    assert open_photo(np.asarray(Image.open(file))).camera.fov_deg == 50


def test_sources_without_a_name(file: Path) -> None:
    for source in (file.read_bytes(), Image.open(file), np.asarray(Image.open(file))):
        assert open_photo(source).file is None


def test_a_reduced_photo_keeps_the_camera_of_the_whole_one(file: Path) -> None:
    photo = open_photo(file, None, FaceSize(100), 30)
    assert photo.pyramid.size_wh == (200, 150) and photo.factor_xy == (2, 2)
    assert photo.camera == open_photo(file).camera
    odd = BytesIO()
    Image.new("RGB", (401, 299)).save(odd, "JPEG")
    photo = open_photo(odd.getvalue(), None, FaceSize(100), 30)
    assert photo.pyramid.size_wh == (201, 150) and photo.factor_xy == (401 / 201, 299 / 150)


def test_an_open_photo_is_not_opened_again(file: Path) -> None:
    photo = open_photo(file)
    assert open_photo(photo) is photo
    other = open_photo(photo, 20.0)
    assert other.camera.fov_deg == 20 and photo.camera.fov_deg != 20
    assert (other.pyramid, other.factor_xy, other.file) == (photo.pyramid, photo.factor_xy, photo.file)


def test_a_file_is_opened_once(file: Path, opened: list[str]) -> None:
    open_photo(file)
    assert opened == [str(file)]


def test_unusable_photo(file: Path) -> None:
    for source in (file.parent, file.parent / "none.jpg", b"words", np.zeros((0, 3, 3), np.uint8)):
        with pytest.raises(ImageError):
            open_photo(source)
