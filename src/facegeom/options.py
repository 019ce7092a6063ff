"""Options of a search for faces, checked; shared by the analyzer, the head-pose detector and every door."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError, shown
from facegeom.geometry.camera import MAX_FOV_DEG, MIN_FOV_DEG
from facegeom.image.reading import MAX_PIXELS, FaceSize

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


def check_name(option: str, name: str, known: Sequence[str]) -> None:
    """Raise an InputError unless the argument is one of the known names."""
    if not (isinstance(name, str) and name in known):
        raise InputError(f"{option}: expected one of {', '.join(known)}, got {shown(name)}")


def check_number(name: str, value: Any, low: float, high: float, integer: bool = False) -> None:
    """Raise an InputError unless the argument is a number from ``low`` to ``high``."""
    usable = isinstance(value, Integral if integer else Real)
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
