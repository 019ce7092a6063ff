"""The answer for a photo: :class:`Faces`, a frozen record of arrays with one shared leading axis N.

Pixels: x right, y down, pixel centres at integers, of the photo as a person sees it. Millimetres: camera
frame, x right, y down, z away from the camera. See docs/conventions.md.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from facegeom.depth.depth_map import DepthMap
from facegeom.results.base import Float32Array, Record, Table

if TYPE_CHECKING:
    from PIL.Image import Image

    from facegeom.image.reading import Source

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
class Face(Record):
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
        depth: the depth map, in the same camera frame; None where it was not asked for.

    Raises:
        InputError: a field has another shape or is not finite.
    """

    shapes: ClassVar[Mapping[str, tuple[int, ...]]] = SHAPES
    companions: ClassVar[tuple[str, ...]] = ("depth",)

    box_xyxy: Float32Array
    score: float
    landmarks_px: Float32Array
    landmarks_confidence: Float32Array
    mesh_px: Float32Array
    mesh_confidence: Float32Array
    mesh_mm: Float32Array
    rotation: Float32Array
    translation_mm: Float32Array
    depth: DepthMap | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Faces(Table[Face]):
    """All faces of one photo, best first: the fields of :class:`Face` with a leading axis N, which may be 0.

    ``faces[0]`` is a :class:`Face`; ``faces[1:]``, ``faces[faces.score > 0.9]`` and ``faces[[2, 0]]`` are
    :class:`Faces`. A photo without a face gives ``len(faces) == 0``.

    Attributes:
        width: of the photo, pixels.
        height: of the photo, pixels.
        file: name of the photo, if it came from a file.
        depth: a depth map for each face; None where they were not asked for.

    Raises:
        InputError: a field has another shape or is not finite.
    """

    row: ClassVar[type[Face]] = Face

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
    depth: tuple[DepthMap, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers as in the JSON file, coordinates rounded to 3 decimals.

        The schema ships as ``facegeom/data/faces.schema.json``.
        """
        from facegeom.export import faces_json

        return faces_json.to_dict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Faces":
        """The inverse of :meth:`to_dict`.

        Raises:
            InputError: the data are of another schema, or incomplete.
        """
        from facegeom.export import faces_json

        return faces_json.from_dict(data)

    def draw(
        self,
        image: "Source",
        *,
        box: bool = True,
        landmarks: bool = True,
        mesh: bool = True,
        axes: bool = True,
    ) -> "Image":
        """A copy of the photo with the faces drawn over it; see :func:`facegeom.drawing.draw_faces`."""
        from facegeom.drawing import draw_faces

        return draw_faces(image, self, box=box, landmarks=landmarks, mesh=mesh, axes=axes)

    def save(
        self,
        directory: "str | os.PathLike[str]",
        formats: Sequence[str] = ("json", "overlay", "obj", "glb"),
        image: "Source | None" = None,
        name: str | None = None,
    ) -> list[Path]:
        """Write the faces to files; see :func:`facegeom.results.saving`.

        Args:
            directory: where to; made if it is not there.
            formats: of "json", "overlay", "obj", "ply", "glb", "depth", "surface"; the last two need faces
                with depth.
            image: the photo, for the overlay and the texture of the GLB; by default ``file`` is read again.
            name: of the files, without ending; by default that of the photo.

        Returns:
            The files written: ``name.json``, ``name.overlay.jpg``, ``name.0.obj`` for the first face …

        Raises:
            InputError: an unknown format, or an overlay without a photo.
            OutputError: a file cannot be written.
        """

        from facegeom.results.saving import save

        return save(self, Path(directory), formats, image, name)
