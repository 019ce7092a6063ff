"""The answer of a :class:`facegeom.PoseDetector` for a photo: boxes and the directions of the heads.

Pixels: x right, y down, pixel centres at integers, of the photo as a person sees it. See docs/conventions.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from facegeom.results.base import Float32Array, Record, Table

if TYPE_CHECKING:
    from PIL.Image import Image

    from facegeom.image.reading import Source


@dataclass(frozen=True, eq=False, repr=False)
class Pose(Record):
    """Where one face is and where its head points. Arrays are float32, finite and read-only.

    Attributes:
        box_xyxy: (4,) left, top, right, bottom of a square around the face, pixels.
        score: how sure it is that this is a face, in [0, 1].
        rotation: (3, 3) turns the head frame into the camera frame; identity for a frontal face.

    Raises:
        InputError: a field has another shape or is not finite.
    """

    shapes: ClassVar[Mapping[str, tuple[int, ...]]] = {"box_xyxy": (4,), "score": (), "rotation": (3, 3)}

    box_xyxy: Float32Array
    score: float
    rotation: Float32Array


@dataclass(frozen=True, eq=False, repr=False)
class Poses(Table[Pose]):
    """All heads of one photo, best first: the fields of :class:`Pose` with a leading axis N, which may be 0.

    ``poses[0]`` is a :class:`Pose`; ``poses[1:]`` and ``poses[poses.score > 0.9]`` are :class:`Poses`.

    Attributes:
        width: of the photo, pixels.
        height: of the photo, pixels.
        file: name of the photo, if it came from a file.

    Raises:
        InputError: a field has another shape or is not finite.
    """

    row: ClassVar[type[Pose]] = Pose

    box_xyxy: Float32Array
    score: Float32Array
    rotation: Float32Array
    width: int
    height: int
    file: str | None = None

    def draw(self, image: "Source", *, box: bool = True, axes: bool = True) -> "Image":
        """A copy of the photo with boxes and axes over it; see :func:`facegeom.drawing.draw_poses`."""
        from facegeom.drawing import draw_poses

        return draw_poses(image, self, box=box, axes=axes)
