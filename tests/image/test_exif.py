"""Orientation and angle of view by EXIF: worked numbers, sizes that do not fit, damaged tags."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from facegeom import ImageError
from facegeom.image import exif, reading

FILM, FOCAL, RESOLUTION, UNIT, WIDTH, HEIGHT = 0xA405, 0x920A, 0xA20E, 0xA210, 0xA002, 0xA003


def photo(
    tags: dict[int, object], size: tuple[int, int] = (60, 40), kind: str = "JPEG", orientation: int = 1
) -> bytes:
    """Return an encoded image with these tags in EXIF's own directory."""
    content = Image.Exif()
    content[0x0112] = orientation
    content.get_ifd(0x8769).update(tags)
    stream = BytesIO()
    Image.new("RGB", size, (90, 120, 60)).save(stream, kind, exif=content.tobytes())
    return stream.getvalue()


@pytest.mark.parametrize(
    ("tags", "size", "expected"),
    [
        ({FILM: 36}, (60, 40), 53.13),  # 36 mm of film at 36 mm: 2 atan(1/2)
        ({FILM: 26}, (60, 40), 69.39),
        ({FILM: 26}, (40, 30), 67.30),  # a phone's 4:3, as wide across its diagonal: 34.61 mm of film
        ({FILM: 26}, (30, 40), 67.30),
        ({FILM: 50}, (40, 40), 34.02),
        # 60 pixels at 25.4 pixels an inch are 60 mm of sensor
        ({FOCAL: 30.0, RESOLUTION: 25.4, UNIT: 2}, (60, 40), 90.0),
        ({FOCAL: 30.0, RESOLUTION: 25.4}, (60, 40), 90.0),  # inches when the unit is not given
        ({FOCAL: 30.0, RESOLUTION: 10.0, UNIT: 3}, (60, 40), 90.0),
        ({FOCAL: 30.0, RESOLUTION: 1.0, UNIT: 4}, (40, 60), 90.0),
        ({FOCAL: 30.0, RESOLUTION: 0.001, UNIT: 5}, (60, 40), 90.0),
        ({FILM: 36, FOCAL: 1.0, RESOLUTION: 1.0}, (60, 40), 53.13),
        ({FILM: 36, WIDTH: 6000, HEIGHT: 4000}, (60, 40), 53.13),  # made smaller
        ({FILM: 36, WIDTH: 4000, HEIGHT: 6000}, (60, 40), 53.13),  # turned by an editor
        ({FOCAL: 30.0, RESOLUTION: 2540.0, UNIT: 2, WIDTH: 6000, HEIGHT: 4000}, (60, 40), 90.0),
        ({FILM: 36, WIDTH: 6000}, (60, 40), 53.13),
    ],
)
def test_angle_across_the_longer_side(
    tags: dict[int, object], size: tuple[int, int], expected: float
) -> None:
    assert reading.decode(photo(tags, size)).fov_deg == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {FILM: 2},  # 168°, wider than any lens without distortion
        {FILM: 0},
        {FOCAL: 4.2},  # of a sensor of any size
        {RESOLUTION: 100.0, UNIT: 2},
        {FOCAL: 4.2, RESOLUTION: 100.0, UNIT: 1},
        {FOCAL: IFDRational(0, 0), RESOLUTION: 100.0},
        {FOCAL: 4.2, RESOLUTION: IFDRational(0, 0)},
        {FILM: 36, WIDTH: 4000, HEIGHT: 4000},  # cut
        {FILM: 9999},  # an angle below one degree
    ],
)
def test_the_angle_is_unknown(tags: dict[int, object]) -> None:
    assert reading.decode(photo(tags)).fov_deg is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_angle_does_not_depend_on_the_orientation(orientation: int) -> None:
    data = photo({FILM: 26}, (40, 30), orientation=orientation)
    assert reading.decode(data).fov_deg == pytest.approx(67.30, abs=0.01)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_formats_and_sources(kind: str, tmp_path: Path) -> None:
    data = photo({FILM: 36}, kind=kind)
    path = tmp_path / "photo"
    path.write_bytes(data)
    for source in (data, bytearray(data), path, str(path), Image.open(BytesIO(data))):
        assert reading.decode(source).fov_deg == pytest.approx(53.13, abs=0.005)


def test_arrays_and_new_images_have_no_angle() -> None:
    assert reading.decode(np.zeros((4, 5, 3), np.uint8)).fov_deg is None
    assert reading.decode(Image.new("RGB", (5, 4))).fov_deg is None


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
def test_damaged_exif_counts_as_missing() -> None:
    stream = BytesIO()
    Image.new("RGB", (6, 4)).save(stream, "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert reading.decode(stream.getvalue()).fov_deg is None


@pytest.mark.parametrize("value", ["text", (1, 2), b"\x00", None, float("nan"), float("-inf"), -4])
def test_a_tag_of_another_type_is_no_number(value: object) -> None:
    assert exif._positive({FILM: value}, FILM) == 0


@pytest.mark.parametrize("source", [b"", b"words", "no/such/photo.jpg"])
def test_what_is_no_image_is_an_error(source: bytes | str) -> None:
    with pytest.raises(ImageError):
        reading.decode(source)


def test_orientation_and_angle_of_an_opened_image() -> None:
    image = Image.open(BytesIO(photo({FILM: 36}, orientation=6)))
    transpose, fov_deg = exif.read_exif(image, image.size)
    assert transpose == Image.Transpose.ROTATE_270 and fov_deg == pytest.approx(53.13, abs=0.005)
    assert exif.read_exif(Image.new("RGB", (6, 4)), (6, 4)) == (None, None)


def test_a_damaged_tag_leaves_the_others() -> None:
    image = Image.open(BytesIO(photo({FILM: 36})))
    image.getexif()[0x0112] = "upside down"
    transpose, fov_deg = exif.read_exif(image, image.size)
    assert transpose is None and fov_deg == pytest.approx(53.13, abs=0.005)
