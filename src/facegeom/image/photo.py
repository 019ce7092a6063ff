"""A photo opened for the networks: picture, camera, name; and the checks of what is said of photos."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import inf
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any

from PIL import Image

from facegeom.errors import InputError
from facegeom.geometry.camera import DEFAULT_FOV_DEG, Camera
from facegeom.image import reading
from facegeom.image.pyramid import Levels


@dataclass(frozen=True)
class Photo:
    """An opened photo.

    Attributes:
        picture: RGB, upright; it may be smaller than the photo.
        camera: of the photo's size.
        file: its name, if it came from a file.
    """

    picture: Levels
    camera: Camera
    file: str | None

    @property
    def pixels_per_pixel(self) -> tuple[float, float]:
        """Pixels of the photo for one of the picture, along x and y."""
        width, height = self.picture.size
        return self.camera.width / width, self.camera.height / height


def opened(
    source: reading.Source,
    *fov_deg: float | None,
    coarsest: Callable[[int, int], float] = lambda width, height: 1.0,
) -> Photo:
    """Read a photo; its angle of view is as in :func:`camera_of`, its picture's size as in ``read_reduced``.

    Raises:
        ImageError: the photo cannot be read or used.
        InputError: an angle out of its range.
    """
    pixels, whole_wh = reading.read_reduced(source, coarsest)
    return Photo(Levels(Image.fromarray(pixels)), camera_of(source, whole_wh, *fov_deg), file_of(source))


def chunks(photos: Iterable[Photo], size: int) -> Iterator[list[Photo]]:
    """Lists of so many photos, the last one shorter; each is opened when its turn comes."""
    photos = iter(photos)
    while part := list(islice(photos, size)):
        yield part


def camera_of(source: reading.Source, photo_wh: tuple[int, int], *fov_deg: float | None) -> Camera:
    """The camera of a photo of width and height: the first angle of view given, else that of EXIF, else 50°.

    Raises:
        ImageError: the photo's EXIF is asked for, and it is no photo.
        InputError: an angle out of its range.
    """
    for angle in fov_deg:
        check_fov(angle)
    known = next((angle for angle in fov_deg if angle is not None), None)
    return Camera(*photo_wh, known or reading.fov_deg(source) or DEFAULT_FOV_DEG)


def file_of(source: reading.Source) -> str | None:
    """The name of a source that is a file, else None."""
    return fspath(source) if isinstance(source, (str, PathLike)) else None


def check_options(
    min_face: float | None,
    max_faces: int | None,
    min_score: float,
    threads: int | None,
    fov_deg: float | None,
) -> None:
    """Refuse options of a search for faces that are out of their range, by an InputError."""
    check("min_face", 1 if min_face is None else min_face, 1, reading.MAX_PIXELS)
    check("max_faces", 1 if max_faces is None else max_faces, 1, inf, whole=True)
    check("min_score", min_score, 0, 1)
    check("threads", 1 if threads is None else threads, 1, inf, whole=True)
    check_fov(fov_deg)


def check(name: str, value: Any, low: float, high: float, whole: bool = False) -> None:
    """Refuse an argument that is no number from ``low`` to ``high``, by an InputError."""
    usable = isinstance(value, Integral if whole else Real)
    if not (usable and low <= value <= high):
        kind = "a whole number" if whole else "a number"
        raise InputError(f"{name}: expected {kind} from {low:g} to {high:g}, got {value!r}")


def check_fov(fov_deg: float | None) -> None:
    """Refuse an angle of view that is neither None nor from 1° to 179°."""
    check("fov_deg", DEFAULT_FOV_DEG if fov_deg is None else fov_deg, 1, 179)
