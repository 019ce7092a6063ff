"""The result of a :class:`facegeom.PoseDetector` for a photo: boxes and head directions.

Pixels: x right, y down, pixel centres at integers, of the photo as a person sees it. See docs/conventions.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from PIL.Image import Image

from facegeom.drawing import draw_heads
from facegeom.image.reading import Source
from facegeom.results.base import Float32Array, Record, Table


@dataclass(frozen=True, eq=False, repr=False)
class Pose(Record):
    """Box and head direction of one face. Arrays are float32, finite and read-only.

    Attributes:
        box_xyxy: (4,) left, top, right, bottom of a square around the face, pixels.
        score: probability that this is a face, in [0, 1].
        rotation: (3, 3) turns the head frame into the frame of the line of sight to the head: the head as
            seen, identity for a face that looks into the lens. The angles derive from it.
        camera_rotation: (3, 3) turns the head frame into the camera frame; it depends on the angle of view.

    Raises:
        InputError: a field has another shape or is not finite.
    """

    shapes: ClassVar[Mapping[str, tuple[int, ...]]] = {
        "box_xyxy": (4,),
        "score": (),
        "rotation": (3, 3),
        "camera_rotation": (3, 3),
    }

    box_xyxy: Float32Array
    score: float
    rotation: Float32Array
    camera_rotation: Float32Array


@dataclass(frozen=True, eq=False, repr=False)
class Poses(Table[Pose]):
    """All heads of one photo, best first: the fields of :class:`Pose` with a leading axis N, which may be 0.

    ``poses[0]`` is a :class:`Pose`; ``poses[1:]`` and ``poses[poses.score > 0.9]`` are :class:`Poses`.

    Attributes:
        width: of the photo, pixels.
        height: of the photo, pixels.
        file: name of the photo, if it came from a file.
        turned_deg: as in :class:`facegeom.Faces`.

    Raises:
        InputError: a field has another shape or is not finite.
    """

    row: ClassVar[type[Pose]] = Pose

    box_xyxy: Float32Array
    score: Float32Array
    rotation: Float32Array
    camera_rotation: Float32Array
    width: int
    height: int
    file: str | None = None
    turned_deg: int = 0

    def draw(self, image: Source | None = None, *, box: bool = True, axes: bool = True) -> Image:
        """Draw boxes and axes of the heads over a copy of their photo.

        Args:
            image: the photo: a path, encoded bytes, a Pillow image or an array; by default ``file`` is read
                again.
            box: draw the box and its score.
            axes: draw the head's axes from the middle of the box: x red, y green, z blue along the nose.

        Returns:
            RGB image of the photo's size.

        Raises:
            ImageError: the photo cannot be read.
            InputError: no photo, or one of another size.
        """
        pixels = self.read_photo(image)
        return draw_heads(pixels, self.box_xyxy, self.score, self.rotation, box=box, axes=axes)
