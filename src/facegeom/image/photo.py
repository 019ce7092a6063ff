"""A photo opened for the networks: its pixels, its camera, its name."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from os import PathLike, fspath
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from facegeom.errors import FacegeomError
from facegeom.geometry.camera import DEFAULT_FOV_DEG, Camera
from facegeom.image.decoding import failure
from facegeom.image.pyramid import Pyramid
from facegeom.image.reading import FaceSize, Source, check_many, decode
from facegeom.parallel import free_cores, side_by_side

FloatArray: TypeAlias = npt.NDArray[np.floating]
FovSource: TypeAlias = Literal["given", "exif", "assumed"]


@dataclass(frozen=True, eq=False)
class Photo:
    """An opened photo.

    Attributes:
        pyramid: upright RGB, possibly decoded at a fraction of the photo's size.
        camera: of the photo at its full size, upright.
        fov_source: where its angle of view comes from: "given", "exif" or "assumed".
        factor_xy: pixels of the photo for one decoded pixel, along x and y.
        offset_xy: decoded pixel (x, y) shows ((x, y) + 0.5) · factor_xy - 0.5 + offset_xy of the photo.
        file: name of the file; None for other sources.
    """

    pyramid: Pyramid
    camera: Camera
    fov_source: FovSource
    factor_xy: tuple[float, float] = (1.0, 1.0)
    file: str | None = None
    offset_xy: tuple[float, float] = (0.0, 0.0)

    @property
    def lens(self) -> Camera | None:
        """The camera of the decoded pixels; None where the angle of view is only assumed."""
        return None if self.fov_source == "assumed" else Camera(*self.pyramid.size_wh, self.camera.fov_deg)

    def boxes_to_decoded(self, boxes_xyxy: FloatArray) -> FloatArray:
        """Carry boxes (N, 4) from pixels of the photo to decoded pixels; ``boxes.in_photo`` carries back."""
        offset, factor = np.tile(self.offset_xy, 2), np.tile(self.factor_xy, 2)
        return np.asarray((boxes_xyxy + 0.5 - offset) / factor - 0.5)

    def to_decoded(self, maps: FloatArray) -> FloatArray:
        """Let maps (N, 2, 3) to pixels of the photo lead to decoded pixels."""
        factor = np.array(self.factor_xy)
        decoded = maps / factor[:, None]
        decoded[..., 2] += (0.5 - np.array(self.offset_xy)) / factor - 0.5
        return np.asarray(decoded)

    def turned(self, turned_deg: int) -> "Photo":
        """Return the photo turned clockwise by 90, 180 or 270 degrees."""
        stored = np.ascontiguousarray(np.rot90(self.pyramid.stored, -turned_deg // 90))
        pyramid = Pyramid(stored, self.pyramid.to_srgb)
        (width, height), factor_xy, offset_xy = self.pyramid.size_wh, self.factor_xy, self.offset_xy
        x_back = self.camera.width - width * factor_xy[0] - offset_xy[0]  # the offsets from the far edges
        y_back = self.camera.height - height * factor_xy[1] - offset_xy[1]
        if turned_deg == 180:
            return replace(self, pyramid=pyramid, offset_xy=(x_back, y_back))
        return replace(
            self,
            pyramid=pyramid,
            camera=Camera(self.camera.height, self.camera.width, self.camera.fov_deg),
            factor_xy=factor_xy[::-1],
            offset_xy=(y_back, offset_xy[0]) if turned_deg == 90 else (offset_xy[1], x_back),
        )


def no_memory(file: str | None, error: MemoryError) -> FacegeomError:
    """Return the error for a photo that does not fit into memory."""
    return failure("the photo" if file is None else repr(file), error)


Answer = TypeVar("Answer")

CHUNK, CHUNK_OF_MANY = 16, 4
"""Photos that share the networks' calls in :func:`answer_in_chunks`, and where several chunks are answered at
once."""


def answer_in_chunks(
    sources: Iterable[Source | Photo],
    open_one: Callable[[Source | Photo], Photo],
    answer: Callable[[Sequence[Photo]], list[Answer]],
    keep_errors: bool,
    on_all_cores: bool,
) -> list[Any]:
    """Open and answer photos, so many at a time, or one by one where memory does not suffice.

    Args:
        sources: photos of any sizes.
        open_one: opens one.
        answer: answers opened photos.
        keep_errors: put the error in the place of the answer to a photo that cannot be opened.
        on_all_cores: open and answer as many chunks at once as there are cores.
    """

    def opened(source: Source | Photo) -> Photo | FacegeomError:
        try:
            return open_one(source)
        except FacegeomError as error:
            if not keep_errors:
                raise
            return error

    def taken(source: Source | Photo) -> Source | Photo | FacegeomError:
        """Open at once what may show something else when the next source is taken, as a file or animation.

        What is no sequence may fill one array again and again.
        """
        if isinstance(source, np.ndarray):
            return source if isinstance(sources, (Sequence, np.ndarray)) else source.copy()
        return source if isinstance(source, (str, PathLike, bytes)) else opened(source)

    def answered(photos: list[Photo]) -> list[Answer | FacegeomError]:
        try:
            return list(answer(photos))
        except (MemoryError, FacegeomError) as error:
            if isinstance(error, FacegeomError) and not keep_errors:
                raise
            if len(photos) > 1:
                return [answered([photo])[0] for photo in photos]
            if isinstance(error, FacegeomError):
                return [error]
            explained = no_memory(photos[0].file, error)
            if not keep_errors:
                raise explained from error
            return [explained]

    def work(chunk: list[Source | Photo | FacegeomError]) -> list[Answer | FacegeomError]:
        here = [each if isinstance(each, (Photo, FacegeomError)) else opened(each) for each in chunk]
        photos = [each for each in here if isinstance(each, Photo)]
        answers = iter(answered(photos) if photos else [])
        return [next(answers) if isinstance(each, Photo) else each for each in here]

    check_many(sources)
    size = CHUNK_OF_MANY if on_all_cores and free_cores() > 1 else CHUNK
    remaining = map(taken, sources)
    chunks = iter(lambda: list(islice(remaining, size)), [])
    parts = side_by_side(work, chunks) if on_all_cores else map(work, chunks)
    return [each for part in parts for each in part]


def open_photo(
    source: Source | Photo,
    fov_deg: float | None = None,
    min_face: FaceSize | None = None,
    face_px: float = 1.0,
) -> Photo:
    """Open a photo once: decode its pixels and read its EXIF.

    Args:
        source: path, encoded bytes, Pillow image, array, or a photo that is open already.
        fov_deg: angle of view across the longer side, degrees; by default that of EXIF, else 50.
        min_face: the smallest face that matters; None decodes at full size.
        face_px: pixels that such a face needs; a JPEG file is decoded at a fraction that leaves as many.

    Raises:
        ImageError: the photo cannot be read or used.
        InputError: the source is of another type.
    """
    if isinstance(source, Photo):
        # without the levels of an earlier search, on which crops would depend
        photo = replace(source, pyramid=Pyramid(source.pyramid.image, source.pyramid.to_srgb))
        if fov_deg is None:
            return photo
        return replace(photo, camera=replace(photo.camera, fov_deg=fov_deg), fov_source="given")
    image, (width, height), exif_fov_deg, factor, offset_xy, to_srgb = decode(source, min_face, face_px)
    return Photo(
        Pyramid(image, to_srgb),
        Camera(width, height, fov_deg or exif_fov_deg or DEFAULT_FOV_DEG),
        "given" if fov_deg else "exif" if exif_fov_deg else "assumed",
        (float(factor), float(factor)),
        fspath(source) if isinstance(source, (str, PathLike)) else None,
        offset_xy,
    )
