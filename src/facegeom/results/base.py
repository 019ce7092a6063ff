"""What result types share: checked, read-only arrays with one leading axis, and the angles of a rotation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError, shown
from facegeom.geometry.rotation import angles_from_rotation
from facegeom.geometry.schemes import ARKIT52
from facegeom.image.reading import Source, UInt8Array, read

Float32Array: TypeAlias = npt.NDArray[np.float32]
Selection: TypeAlias = slice | Sequence[int] | Sequence[bool] | npt.NDArray[np.bool_ | np.integer[Any]]
Row = TypeVar("Row", bound="Record")
Rows = TypeVar("Rows", bound="Table[Any]")


FACE_SHAPES: dict[str, tuple[int, ...]] = {
    "box_xyxy": (4,),
    "score": (),
    "landmarks_px": (68, 2),
    "landmarks_confidence": (68,),
    "mesh_px": (478, 3),
    "mesh_confidence": (478,),
    "mesh_mm": (478, 3),
    "rotation": (3, 3),
    "translation_mm": (3,),
}
"""Array fields of one face and their shapes."""

MOTION_SHAPES: dict[str, tuple[int, ...]] = {
    "expression": (len(ARKIT52),),
    "gaze": (2, 3),
    "gaze_confidence": (2,),
}
"""Further array fields of one face, which are None in results from files of older versions."""

LOOK_ANGLES = ("gaze_yaw_deg", "gaze_pitch_deg")
"""Angles (2,) that follow from the gaze of a face."""

TURNS_DEG = (0, 90, 180, 270)
"""Quarter turns of a photo, degrees clockwise."""

_LARGEST = 2**31 - 1


class _Frozen:
    """A frozen dataclass with arrays, compared by value."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        pairs = zip(self._values(), other._values(), fields(self), strict=True)  # type: ignore[arg-type]
        return all(
            np.array_equal(mine, theirs) if isinstance(mine, np.ndarray) else mine == theirs
            for mine, theirs, field in pairs
            if field.compare
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[object, ...]:
        """Reduce for pickle and copy to a call of the constructor, so that arrays stay read-only."""
        return type(self), self._values()

    def _values(self) -> tuple[Any, ...]:
        record: Any = self
        return tuple(getattr(self, field.name) for field in fields(record))


class OfPhoto:
    """What shows faces of one photo. A width of 0 says that its size is not known."""

    width: int
    height: int
    file: str | None

    def read_photo(self, image: Source | None = None) -> UInt8Array:
        """Read the photo of the faces, (H, W, 3) uint8 RGB.

        Args:
            image: the photo; by default ``file`` is read again.

        Raises:
            ImageError: the photo cannot be read.
            InputError: there is no photo, or it has another size than that of the faces.
        """
        source = self.file if image is None else image
        if source is None:
            raise InputError("expected the photo of the faces as image=..., got none")
        pixels = read(source)
        height, width = pixels.shape[:2]
        if self.width and (width, height) != (self.width, self.height):
            raise InputError(
                f"expected the photo of the faces, {self.width} x {self.height} pixels, "
                f"got {width} x {height}"
            )
        return pixels


class Record(_Frozen):
    """One face: a frozen dataclass with arrays of known ``shapes``, a score and a rotation among them.

    ``motion`` has the shapes of further arrays, which may be None. ``optional`` names other fields that may
    be None; in a table they are tuples, one entry for each face. ``shared`` names fields that all faces of a
    table have from it.
    """

    shapes: ClassVar[Mapping[str, tuple[int, ...]]]
    motion: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    optional: ClassVar[tuple[str, ...]] = ()
    shared: ClassVar[tuple[str, ...]] = ()

    box_xyxy: Float32Array
    score: float
    rotation: Float32Array

    def __post_init__(self) -> None:
        _freeze(self, {**self.shapes, **_given(self, self.motion)}, ())
        object.__setattr__(self, "score", float(self.score))

    @property
    def yaw_deg(self) -> float:
        """Degrees in [-90, 90], positive when the nose points to the picture's right edge."""
        return float(angles_from_rotation(self.rotation)[0])

    @property
    def pitch_deg(self) -> float:
        """Degrees in (-180, 180], positive when the nose is lifted."""
        return float(angles_from_rotation(self.rotation)[1])

    @property
    def roll_deg(self) -> float:
        """Degrees in (-180, 180], positive when the head is tilted clockwise in the picture."""
        return float(angles_from_rotation(self.rotation)[2])

    def __repr__(self) -> str:
        box = ", ".join(f"{edge:.1f}" for edge in self.box_xyxy)
        yaw, pitch, roll = angles_from_rotation(self.rotation)
        angles = f"yaw_deg={yaw:.1f}, pitch_deg={pitch:.1f}, roll_deg={roll:.1f}"
        return f"{type(self).__name__}(score={self.score:.3f}, box_xyxy=[{box}], {angles})"


class Table(OfPhoto, _Frozen, Generic[Row]):
    """All faces of one photo: a frozen dataclass with the arrays of ``row`` and a leading axis N.

    An integer index gives a row; a slice, a mask or a list of indices gives a table of the same type.
    """

    row: ClassVar[type[Any]]

    score: Float32Array
    rotation: Float32Array
    turned_deg: int

    def __post_init__(self) -> None:
        shapes = {**self.row.shapes, **_given(self, self.row.motion)}
        _freeze(self, shapes, np.shape(self.score)[:1] or (1,))
        numbers: list[Any] = [self.width, self.height, self.turned_deg]
        whole = [isinstance(number, (int, np.integer)) and 0 <= number <= _LARGEST for number in numbers]
        if not (all(whole[:2]) and numbers[0] and numbers[1]):
            size = " x ".join(map(shown, numbers[:2]))
            raise InputError(f"expected a photo of at least 1 x 1 pixel, got {size}")
        if not (whole[2] and self.turned_deg in TURNS_DEG):
            raise InputError(f"turned_deg: expected one of {TURNS_DEG}, got {shown(self.turned_deg)}")
        for name, number in zip(("width", "height", "turned_deg"), numbers, strict=True):
            object.__setattr__(self, name, int(number))
        if not isinstance(self.file, str | None):
            raise InputError(f"file: expected the name of the photo or None, got {shown(self.file)}")
        for name in self.row.optional:
            entries = getattr(self, name)
            if entries is not None and not (isinstance(entries, Sequence) and len(entries) == len(self)):
                got = len(entries) if isinstance(entries, Sequence) else shown(entries)
                raise InputError(f"{name}: expected an entry for each of {len(self)} faces, got {got}")

    @property
    def yaw_deg(self) -> Float32Array:
        """Degrees (N,) in [-90, 90], positive when the nose points to the picture's right edge."""
        return self._angles_deg(0)

    @property
    def pitch_deg(self) -> Float32Array:
        """Degrees (N,) in (-180, 180], positive when the nose is lifted."""
        return self._angles_deg(1)

    @property
    def roll_deg(self) -> Float32Array:
        """Degrees (N,) in (-180, 180], positive when the head is tilted clockwise in the picture."""
        return self._angles_deg(2)

    def _angles_deg(self, index: int) -> Float32Array:
        return angles_from_rotation(self.rotation.astype(np.float64))[:, index].astype(np.float32)

    @classmethod
    def empty(cls: type[Rows], width: int, height: int, file: str | None = None) -> Rows:
        """Return the result for a photo without a face."""
        photo: dict[str, Any] = {"width": width, "height": height, "file": file}
        shapes = {**cls.row.shapes, **cls.row.motion}.items()
        return cls(**photo, **{name: np.zeros((0, *shape), np.float32) for name, shape in shapes})

    def __len__(self) -> int:
        return len(self.score)

    def __iter__(self) -> Iterator[Row]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self: Rows, index: Selection) -> Rows: ...
    def __getitem__(self, index: int | Selection) -> Any:
        optional = [name for name in self.row.optional if getattr(self, name) is not None]
        arrays = [*self.row.shapes, *_given(self, self.row.motion)]
        if isinstance(index, (int, np.integer)):
            own = {name: getattr(self, name)[index] for name in (*arrays, *optional)}
            return self.row(**own, **{name: getattr(self, name) for name in self.row.shared})
        chosen = index if isinstance(index, slice) else np.asarray(index)
        if isinstance(chosen, np.ndarray) and chosen.size == 0 and chosen.dtype != bool:
            chosen = chosen.astype(np.intp)  # numpy reads an empty list as floats
        numbers = np.arange(len(self))[chosen]
        record: Any = self
        chosen_arrays = {name: getattr(self, name)[chosen] for name in arrays}
        tuples = {name: tuple(getattr(self, name)[number] for number in numbers) for name in optional}
        return replace(record, **chosen_arrays, **tuples)

    def __repr__(self) -> str:
        noun = "face" if len(self) == 1 else "faces"
        size = f"width={self.width}, height={self.height}"
        return f"{type(self).__name__}({len(self)} {noun}, {size}, file={self.file!r})"


def _given(record: object, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of those fields of a record that are not None."""
    return {name: shape for name, shape in shapes.items() if getattr(record, name) is not None}


def _freeze(record: object, shapes: Mapping[str, tuple[int, ...]], leading: tuple[int, ...]) -> None:
    """Replace the fields of a record by checked, read-only float32 copies."""
    for name, shape in shapes.items():
        try:
            with np.errstate(over="ignore"):  # becomes infinite, which is refused
                array = np.array(getattr(record, name), np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{name}: expected numbers of the shape {leading + shape}: {error}") from error
        if array.shape != leading + shape:
            raise InputError(f"{name}: expected the shape {leading + shape}, got {array.shape}")
        if not np.isfinite(array).all():
            raise InputError(f"{name}: expected finite numbers, got NaN or infinity")
        array.setflags(write=False)
        object.__setattr__(record, name, array)
