"""Options of a search for faces, checked, and the search; what analyzer and head-pose detector share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from math import inf
from numbers import Integral, Real
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt

from facegeom.errors import FacegeomError, InputError, shown
from facegeom.geometry.camera import MAX_FOV_DEG, MIN_FOV_DEG
from facegeom.image.photo import Photo, answer_in_chunks, no_memory, open_photo
from facegeom.image.reading import MAX_PIXELS, FaceSize, Source
from facegeom.results.base import Table
from facegeom.results.turning import best_turn

MIN_FACE_PX = 12.0
MIN_FACE_FRACTION = 0.055
"""Smallest face that is looked for everywhere by default: this fraction of the photo's longer side, but at
least ``MIN_FACE_PX``."""

CLOSEST_PX = 20.0
CLOSEST_FRACTION = 0.015
"""Likewise, the smallest faces that are looked for where something hints at small faces."""

MIN_BOX_PX, MAX_ROLL_DEG = 0.1, 1e6
"""Smallest side of a box and largest roll that :meth:`facegeom.FaceAnalyzer.at` takes."""

Orientation: TypeAlias = Literal["exif", "auto"]
ORIENTATIONS = ("exif", "auto")
"""Which way up a photo is: as its EXIF says, or found out where it shows no sure face."""


@dataclass(frozen=True)
class SearchOptions:
    """What to look for in a photo.

    Attributes:
        min_face: height of the smallest face to look for, pixels of the photo; None for the default.
        max_faces: keep at most so many faces, best first; None for all.
        min_score: least score of a face, in [0, 1].
        fov_deg: angle of view across the longer side, degrees, 1 to 160; None for that of EXIF, else 50.
        orientation: "exif", or "auto": a photo without a sure face is also tried turned by 90, 180 and 270°.
        face_size: size of the smallest face to look for everywhere; follows from ``min_face``.
        closest_size: of the smallest face to look for where something hints at small faces; likewise.

    Raises:
        InputError: an option out of its range.
    """

    min_face: float | None = None
    max_faces: int | None = None
    min_score: float = 0.9
    fov_deg: float | None = None
    orientation: Orientation = "exif"
    face_size: FaceSize = field(init=False)
    closest_size: FaceSize = field(init=False)

    def __post_init__(self) -> None:
        size, closest = FaceSize(MIN_FACE_PX, MIN_FACE_FRACTION), FaceSize(CLOSEST_PX, CLOSEST_FRACTION)
        if self.min_face is not None:
            check_number("min_face", self.min_face, 1, MAX_PIXELS)
            size = closest = FaceSize(float(self.min_face))
        if self.max_faces is not None:
            check_number("max_faces", self.max_faces, 1, inf, integer=True)
        check_number("min_score", self.min_score, 0, 1)
        if self.fov_deg is not None:
            check_number("fov_deg", self.fov_deg, MIN_FOV_DEG, MAX_FOV_DEG)
        check_name("orientation", self.orientation, ORIENTATIONS)
        kinds = {"min_face": float, "max_faces": int, "min_score": float, "fov_deg": float}
        for name, kind in kinds.items():  # of numpy's numbers, which JSON does not hold, Python's own
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, kind(value))
        object.__setattr__(self, "face_size", size)
        object.__setattr__(self, "closest_size", closest)

    def changed(self, **options: Any) -> "SearchOptions":
        """Return these options with those replaced that are not None."""
        given = {name: value for name, value in options.items() if value is not None}
        return replace(self, **given) if given else self


SEARCH_OPTIONS = tuple(each.name for each in fields(SearchOptions) if each.init)
"""Names of the options, in their order."""

Found = TypeVar("Found", bound=Table[Any])


class PhotoSearch(Generic[Found]):
    """A search for faces by :class:`SearchOptions`: of one photo in a call, of many in a batch.

    Attributes:
        face_px: decoded pixels that the smallest face needs; None for photos at full size.
        options: of all calls.
        threads: threads of one network call; None for one, and a batch uses all cores.
    """

    face_px: ClassVar[float | None] = None
    options: SearchOptions
    threads: int | None

    def __call__(
        self,
        source: Source | Photo,
        fov_deg: float | None = None,
        *,
        min_face: float | None = None,
        max_faces: int | None = None,
        min_score: float | None = None,
        orientation: Orientation | None = None,
    ) -> Found:
        """Find the faces of one photo, best first. Options that are given replace the constructor's.

        Args:
            source: a path, the bytes of a file, a PIL image, an array (H, W, 3) RGB or (H, W) grey, or a
                :class:`facegeom.image.photo.Photo`.
            fov_deg: angle of view across the longer side, degrees.
            min_face: height of the smallest face to look for, pixels.
            max_faces: keep at most so many faces.
            min_score: least score of a face, in [0, 1].
            orientation: "exif" or "auto".

        Raises:
            ImageError: the photo cannot be read or used.
            InputError: an option out of its range.
        """
        options = self.options.changed(
            min_face=min_face,
            max_faces=max_faces,
            min_score=min_score,
            fov_deg=fov_deg,
            orientation=orientation,
        )
        photo = self._open(source, options)
        try:
            return self._search([photo], options)[0]
        except MemoryError as error:
            raise no_memory(photo.file, error) from error

    @overload
    def batch(
        self,
        sources: Iterable[Source | Photo],
        *,
        fov_deg: float | None = ...,
        min_face: float | None = ...,
        max_faces: int | None = ...,
        min_score: float | None = ...,
        orientation: Orientation | None = ...,
        on_error: Literal["raise"] = "raise",
    ) -> list[Found]: ...
    @overload
    def batch(
        self,
        sources: Iterable[Source | Photo],
        *,
        fov_deg: float | None = ...,
        min_face: float | None = ...,
        max_faces: int | None = ...,
        min_score: float | None = ...,
        orientation: Orientation | None = ...,
        on_error: Literal["keep"],
    ) -> list[Found | FacegeomError]: ...
    def batch(
        self,
        sources: Iterable[Source | Photo],
        *,
        fov_deg: float | None = None,
        min_face: float | None = None,
        max_faces: int | None = None,
        min_score: float | None = None,
        orientation: Orientation | None = None,
        on_error: Literal["raise", "keep"] = "raise",
    ) -> list[Any]:
        """Find the faces of many photos of any sizes, on all cores unless ``threads`` was given.

        Args:
            sources: photos, each as in a call.
            fov_deg: as in a call, for all photos.
            min_face: as in a call.
            max_faces: as in a call.
            min_score: as in a call.
            orientation: as in a call.
            on_error: "raise", or "keep": the error stands in the list in the place of a bad photo's faces.

        Returns:
            For each photo what a call returns, or, with ``on_error="keep"``, the :class:`FacegeomError` that
            says why there are none.

        Raises:
            ImageError: a photo cannot be read or used.
            InputError: an option out of its range.
        """
        options = self.options.changed(
            min_face=min_face,
            max_faces=max_faces,
            min_score=min_score,
            fov_deg=fov_deg,
            orientation=orientation,
        )
        check_name("on_error", on_error, ("raise", "keep"))
        return answer_in_chunks(
            sources,
            lambda source: self._open(source, options),
            lambda photos: self._search(photos, options),
            keep_errors=on_error == "keep",
            on_all_cores=self.threads is None,
        )

    def _open(self, source: Source | Photo, options: SearchOptions) -> Photo:
        """Open a photo with as many pixels as the smallest face needs."""
        if self.face_px is None:
            return open_photo(source, options.fov_deg)
        return open_photo(source, options.fov_deg, options.face_size, self.face_px)

    def _search(self, photos: Sequence[Photo], options: SearchOptions) -> list[Found]:
        """Search photos as they are given, and also turned where that is wanted and needed."""
        found = self._search_as_given(photos, options)
        if options.orientation == "auto":
            found = [
                best_turn(photo, faces, lambda turned: self._search_as_given([turned], options)[0])
                for photo, faces in zip(photos, found, strict=True)
            ]
        return found

    def _search_as_given(self, photos: Sequence[Photo], options: SearchOptions) -> list[Found]:
        raise NotImplementedError


def check_name(option: str, name: str, known: Sequence[str]) -> None:
    """Raise an InputError unless the argument is one of the known names."""
    if not (isinstance(name, str) and name in known):
        raise InputError(f"{option}: expected one of {', '.join(known)}, got {shown(name)}")


def check_number(name: str, value: Any, low: float, high: float, integer: bool = False) -> None:
    """Raise an InputError unless the argument is a number from ``low`` to ``high``; a bool is none."""
    usable = isinstance(value, Integral if integer else Real) and not isinstance(value, bool)
    if not (usable and low <= value <= high):
        kind = "a whole number" if integer else "a number"
        raise InputError(f"{name}: expected {kind} from {low:g} to {high:g}, got {shown(value)}")


def check_places(
    boxes_xyxy: npt.ArrayLike, roll_deg: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64] | None]:
    """Return the boxes and rolls of :meth:`facegeom.FaceAnalyzer.at` as arrays.

    Raises:
        InputError: they are none, or absurd.
    """
    boxes = _numbers("boxes_xyxy", boxes_xyxy, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"boxes_xyxy: expected the shape (N, 4), got {boxes.shape}")
    if not ((np.abs(boxes) <= MAX_PIXELS).all() and (boxes[:, 2:] - boxes[:, :2] > 0.999 * MIN_BOX_PX).all()):
        raise InputError(
            f"boxes_xyxy: expected left, top, right, bottom within {MAX_PIXELS:.0e} pixels, each box at least"
            f" {MIN_BOX_PX} wide and high, got {shown(boxes_xyxy)}"
        )
    roll = None if roll_deg is None else _numbers("roll_deg", roll_deg, np.float64)
    if roll is not None and not (roll.shape == boxes.shape[:1] and (np.abs(roll) <= MAX_ROLL_DEG).all()):
        raise InputError(
            f"roll_deg: expected {len(boxes)} finite numbers, one for each box, got {shown(roll_deg)}"
        )
    return boxes.astype(np.float32), roll


def _numbers(name: str, values: npt.ArrayLike, kind: type[np.floating]) -> npt.NDArray[Any]:
    try:
        with np.errstate(over="ignore"):  # becomes infinite, which is refused
            return np.array(values, kind)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name}: expected numbers, got {shown(values)}") from error
