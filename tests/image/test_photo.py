"""An opened photo: its pixels, its camera, its name; a file is opened once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from facegeom import parallel
from facegeom.errors import FacegeomError, ImageError
from facegeom.geometry.camera import Camera
from facegeom.image.photo import Photo, answer_in_chunks, open_photo
from facegeom.image.pyramid import Pyramid
from facegeom.image.reading import FaceSize
from facegeom.models.face import FacePredictions


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
    assert photo.pyramid.size_wh == (201, 150) and photo.factor_xy == (2, 2) and photo.offset_xy == (0, 0)


def test_an_open_photo_is_not_opened_again(file: Path, opened: list[str]) -> None:
    photo = open_photo(file)
    opened.clear()
    photo.pyramid.level(2)
    for fov_deg, other in ((photo.camera.fov_deg, open_photo(photo)), (20, open_photo(photo, 20.0))):
        assert other.pyramid.image is photo.pyramid.image and list(other.pyramid.levels) == [1]
        assert other.camera == replace(photo.camera, fov_deg=fov_deg)
        assert (other.factor_xy, other.file) == (photo.factor_xy, photo.file)
    assert opened == []


def test_the_frame_of_an_animation_stays_that_of_its_photo() -> None:
    stream = BytesIO()
    first, second = (Image.new("RGB", (8, 6), colour) for colour in ("red", "blue"))
    first.save(stream, "WEBP", save_all=True, append_images=[second], lossless=True)
    animation = Image.open(stream)
    photo = open_photo(animation)
    animation.seek(1)
    animation.load()
    assert photo.pyramid.pixels[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("cores", [1, 3])
def test_frames_of_an_animation_are_answered_in_turn(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The iterator yields the same image again and again, which shows the next frame."""
    monkeypatch.setattr(parallel, "available_cores", lambda: cores)
    stream, colours = BytesIO(), [(20 * index, 0, 0) for index in range(11)]
    first, *others = (Image.new("RGB", (8, 6), colour) for colour in colours)
    first.save(stream, "WEBP", save_all=True, append_images=others, lossless=True)
    found = answer_in_chunks(
        ImageSequence.Iterator(Image.open(stream)),
        open_photo,
        lambda photos: [tuple(photo.pyramid.pixels[0, 0].tolist()) for photo in photos],
        keep_errors=False,
        on_all_cores=True,
    )
    assert found == colours


class Frames:
    """Fills one array again and again."""

    def __iter__(self) -> Iterator[np.ndarray]:
        buffer = np.zeros((4, 4, 3), np.uint8)
        for grey in range(6):
            buffer[:] = grey
            yield buffer


@pytest.mark.parametrize("frames", [Frames(), iter(Frames())], ids=["iterable", "iterator"])
def test_one_array_may_be_filled_again_and_again(frames: Iterable[np.ndarray]) -> None:
    found = answer_in_chunks(
        frames,
        open_photo,
        lambda photos: [int(photo.pyramid.pixels[0, 0, 0]) for photo in photos],
        keep_errors=False,
        on_all_cores=False,
    )
    assert found == list(range(6))


def test_a_network_that_fails_on_one_photo_costs_that_one_alone() -> None:
    def answer(photos: Sequence[Photo]) -> list[int]:
        greys = [int(photo.pyramid.pixels[0, 0, 0]) for photo in photos]
        if 3 in greys:
            raise FacegeomError("the network failed")
        return greys

    photos = [np.full((4, 4, 3), grey, np.uint8) for grey in range(6)]
    found = answer_in_chunks(photos, open_photo, answer, keep_errors=True, on_all_cores=False)
    assert isinstance(found[3], FacegeomError) and found[:3] + found[4:] == [0, 1, 2, 4, 5]
    with pytest.raises(FacegeomError, match="the network failed"):
        answer_in_chunks(photos, open_photo, answer, keep_errors=False, on_all_cores=False)


def test_a_file_is_opened_once(file: Path, opened: list[str]) -> None:
    open_photo(file)
    assert opened == [str(file)]


def test_unusable_photo(file: Path) -> None:
    for source in (file.parent, file.parent / "none.jpg", b"words", np.zeros((0, 3, 3), np.uint8)):
        with pytest.raises(ImageError):
            open_photo(source)


SPOT_XY = (1541.0, 1141.0)
"""Centre of a soft spot in a photo of 1601 x 1201 pixels, near the far edges."""

STORED = {  # the image as a camera stores it, by the definition of the tag
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: np.rot90(upright, -1),
}


def spot_jpeg(orientation: int, size_wh: tuple[int, int], near_edge: bool = False) -> bytes:
    """Return a JPEG file that shows, upright, a soft spot near the far edges, or near the upper left ones."""
    x, y = (59, 59) if near_edge else SPOT_XY
    far_y, far_x = np.ogrid[: size_wh[1], : size_wh[0]]
    upright = 255 * np.exp(-((far_x - x) ** 2 + (far_y - y) ** 2) / (2 * 12**2))
    exif, stream = Image.Exif(), BytesIO()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](np.rint(upright).astype(np.uint8)))
    Image.fromarray(stored).convert("RGB").save(stream, "JPEG", quality=95, exif=exif)
    return stream.getvalue()


def centre_of(photo: Photo) -> np.ndarray:
    """Return the spot's centre (x, y) in the photo's pixels, by the map from the decoded ones."""
    grey = photo.pyramid.pixels[..., 1].astype(float)
    grey[grey < 8] = 0
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    decoded = np.array([(grey * x).sum(), (grey * y).sum()]) / grey.sum()
    return (decoded + 0.5) * photo.factor_xy - 0.5 + photo.offset_xy


@pytest.mark.parametrize("near_edge", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_reduced_photo_shows_the_same_place(factor: int, orientation: int, near_edge: bool) -> None:
    """Sides of no multiple of the factor: the last cell is cut, and EXIF may carry it to the near edge."""
    photo = open_photo(spot_jpeg(orientation, (1601, 1201), near_edge), None, FaceSize(factor))
    assert photo.factor_xy == (factor, factor) and photo.camera.width == 1601
    expected = (59, 59) if near_edge else SPOT_XY
    np.testing.assert_allclose(centre_of(photo), expected, atol=0.25)


@pytest.mark.parametrize("size_wh", [(1600, 1200), (1602, 1203), (1607, 1206)])
@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_other_remainders(orientation: int, size_wh: tuple[int, int]) -> None:
    for factor in (2, 4, 8):
        photo = open_photo(spot_jpeg(orientation, size_wh), None, FaceSize(factor))
        np.testing.assert_allclose(centre_of(photo), SPOT_XY, atol=0.25)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize(
    ("turned_deg", "expected"),
    [(90, (1200 - 1141, 1541)), (180, (1600 - 1541, 1200 - 1141)), (270, (1141, 1600 - 1541))],
)
def test_turning_a_reduced_photo_keeps_the_place(
    turned_deg: int, expected: tuple[int, int], orientation: int
) -> None:
    turned = open_photo(spot_jpeg(orientation, (1601, 1201)), None, FaceSize(8)).turned(turned_deg)
    np.testing.assert_allclose(centre_of(turned), expected, atol=0.25)


def test_predictions_are_carried_into_the_photo_by_factor_and_offset() -> None:
    """A crop whose edges lie at decoded -0.5 and 9.5 reaches from 8 · 0 - 0.5 - 7 to 8 · 10 - 0.5 - 7."""
    empty = FacePredictions.empty()
    columns = {name: np.zeros((1, *getattr(empty, name).shape[1:])) for name in empty.__dataclass_fields__}
    columns |= {
        "box": np.array([[-0.5, -0.5, 0.5, 0.5]]),
        "crop_xyxy": np.array([[-0.5, -0.5, 9.5, 9.5]]),
        "rotation6d": np.array([[1.0, 0, 0, 0, 1, 0]]),
        "landmarks_scale": np.ones((1, 68)),
        "mesh_scale": np.ones((1, 478)),
    }
    found = FacePredictions(**columns).in_photo((8.0, 8.0), (-7.0, 0.0))
    np.testing.assert_allclose(found.box_xyxy, [[-7.5, -0.5, 72.5, 79.5]])
    moved = FacePredictions(**columns).in_photo((1.0, 1.0), (120.0, 30.0))  # as for a part of a photo
    np.testing.assert_allclose(moved.box_xyxy, [[119.5, 29.5, 129.5, 39.5]])


def test_maps_lead_to_decoded_pixels() -> None:
    photo = Photo(Pyramid(np.zeros((5, 7, 3), np.uint8)), Camera(27, 20), "assumed", (4, 4), None, (-1, 0))
    maps = np.array([[[8.0, 0, 1.5], [0, 8, 5.5]]])  # its pixel (0, 0) shows (1.5, 5.5)
    np.testing.assert_allclose(photo.to_decoded(maps), [[[2, 0, 0.25], [0, 2, 1]]])
