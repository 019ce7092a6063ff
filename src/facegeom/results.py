"""The answer for a photo: :class:`Faces`, a frozen record of arrays with one shared leading axis N.

Pixels: x right, y down, pixel centres at integers, of the photo as a person sees it. Millimetres: camera
frame, x right, y down, z away from the camera. See docs/conventions.md.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from facegeom.errors import InputError
from facegeom.geometry.rotation import angles_from_rotation

if TYPE_CHECKING:
    from PIL.Image import Image

    from facegeom.imaging import Source

Float32Array: TypeAlias = npt.NDArray[np.float32]
Selection: TypeAlias = slice | Sequence[int] | Sequence[bool] | npt.NDArray[np.bool_ | np.integer[Any]]

SHAPES: dict[str, tuple[int, ...]] = {
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
"""Fields of one face and their shapes."""


@dataclass(frozen=True, eq=False, repr=False)
class Face:
    """One face. Arrays are float32, finite and read-only.

    Attributes:
        box_xyxy: (4,) left, top, right, bottom, pixels.
        score: how sure it is that this is a face, in [0, 1].
        landmarks_px: (68, 2) the 68 points of the iBUG markup, pixels.
        landmarks_confidence: (68,) in [0, 1], larger for points with smaller expected error.
        mesh_px: (478, 3) x and y in pixels; z in pixels of the same scale, smaller is nearer to the camera.
        mesh_confidence: (478,) in [0, 1].
        mesh_mm: (478, 3) camera frame, millimetres; its projection is ``mesh_px[:, :2]``.
        rotation: (3, 3) turns the head frame into the camera frame; identity for a frontal face.
        translation_mm: (3,) the head's origin, midway between the eyes' centres, in the camera frame.

    Raises:
        InputError: a field has another shape or is not finite.
    """

    box_xyxy: Float32Array
    score: float
    landmarks_px: Float32Array
    landmarks_confidence: Float32Array
    mesh_px: Float32Array
    mesh_confidence: Float32Array
    mesh_mm: Float32Array
    rotation: Float32Array
    translation_mm: Float32Array

    def __post_init__(self) -> None:
        _freeze(self, ())
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
        return f"Face(score={self.score:.3f}, box_xyxy=[{box}], {angles})"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt(self)


@dataclass(frozen=True, eq=False, repr=False)
class Faces:
    """All faces of one photo, best first: the fields of :class:`Face` with a leading axis N, which may be 0.

    ``faces[0]`` is a :class:`Face`; ``faces[1:]``, ``faces[faces.score > 0.9]`` and ``faces[[2, 0]]`` are
    :class:`Faces`. A photo without a face gives ``len(faces) == 0``.

    Attributes:
        width: of the photo, pixels.
        height: of the photo, pixels.
        file: name of the photo, if it came from a file.

    Raises:
        InputError: a field has another shape or is not finite.
    """

    box_xyxy: Float32Array
    score: Float32Array
    landmarks_px: Float32Array
    landmarks_confidence: Float32Array
    mesh_px: Float32Array
    mesh_confidence: Float32Array
    mesh_mm: Float32Array
    rotation: Float32Array
    translation_mm: Float32Array
    width: int
    height: int
    file: str | None = None

    def __post_init__(self) -> None:
        _freeze(self, np.shape(self.score)[:1] or (1,))
        if self.width < 1 or self.height < 1:
            raise InputError(f"expected a photo of at least 1 x 1 pixel, got {self.width} x {self.height}")

    @classmethod
    def empty(cls, width: int, height: int, file: str | None = None) -> "Faces":
        """The answer for a photo without a face."""
        nothing = {name: np.zeros((0, *shape), np.float32) for name, shape in SHAPES.items()}
        return cls(**nothing, width=width, height=height, file=file)

    def __len__(self) -> int:
        return len(self.score)

    def __iter__(self) -> Iterator[Face]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Face: ...
    @overload
    def __getitem__(self, index: Selection) -> "Faces": ...
    def __getitem__(self, index: int | Selection) -> "Face | Faces":
        if isinstance(index, (int, np.integer)):
            return Face(**{name: getattr(self, name)[index] for name in SHAPES})
        chosen = index if isinstance(index, slice) else np.asarray(index)
        if isinstance(chosen, np.ndarray) and chosen.size == 0 and chosen.dtype != bool:
            chosen = chosen.astype(np.intp)  # numpy reads an empty list as floats
        return replace(self, **{name: getattr(self, name)[chosen] for name in SHAPES})

    def __repr__(self) -> str:
        noun = "face" if len(self) == 1 else "faces"
        return f"Faces({len(self)} {noun}, width={self.width}, height={self.height}, file={self.file!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers as in the JSON file, coordinates rounded to 3 decimals.

        The schema ships as ``facegeom/data/faces.schema.json``.
        """
        from facegeom.export import json_io

        return json_io.to_dict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Faces":
        """The inverse of :meth:`to_dict`.

        Raises:
            InputError: the data are of another schema, or incomplete.
        """
        from facegeom.export import json_io

        return json_io.from_dict(data)

    def draw(
        self,
        image: "Source",
        *,
        box: bool = True,
        landmarks: bool = True,
        mesh: bool = True,
        axes: bool = True,
    ) -> "Image":
        """A copy of the photo with the faces drawn over it; see :func:`facegeom.draw.draw_faces`."""
        from facegeom.draw import draw_faces

        return draw_faces(image, self, box=box, landmarks=landmarks, mesh=mesh, axes=axes)

    def save(
        self,
        directory: "str | os.PathLike[str]",
        formats: Sequence[str] = ("json", "overlay", "obj", "glb"),
        image: "Source | None" = None,
        name: str | None = None,
    ) -> list[Path]:
        """Write the faces to files; see :func:`facegeom.export.save`.

        Args:
            directory: where to; made if it is not there.
            formats: of "json", "overlay", "obj", "ply", "glb".
            image: the photo, for the overlay and the texture of the GLB; by default ``file`` is read again.
            name: of the files, without ending; by default that of the photo.

        Returns:
            The files written: ``name.json``, ``name.overlay.jpg``, ``name.0.obj`` for the first face …

        Raises:
            InputError: an unknown format, or an overlay without a photo.
            OutputError: a file cannot be written.
        """
        from facegeom.export import save

        return save(self, Path(directory), formats, image, name)


def _freeze(record: Face | Faces, leading: tuple[int, ...]) -> None:
    """Replace the fields of a record by checked, read-only copies."""
    for name, shape in SHAPES.items():
        array = np.array(getattr(record, name), np.float32)
        if array.shape != leading + shape:
            raise InputError(f"{name}: expected the shape {leading + shape}, got {array.shape}")
        if not np.isfinite(array).all():
            raise InputError(f"{name}: expected finite numbers, got NaN or infinity")
        array.setflags(write=False)
        object.__setattr__(record, name, array)


def _rebuilt(record: Face | Faces) -> tuple[object, ...]:
    """Pickle and copy by the constructor, so that arrays stay read-only."""
    return type(record), tuple(getattr(record, field.name) for field in fields(record))
