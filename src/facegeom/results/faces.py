"""The result for a photo: :class:`Faces`, frozen arrays with one shared leading axis N.

Pixels: x right, y down, pixel centres at integers, of the photo as a person sees it. Millimetres: camera
frame, x right, y down, z away from the camera. See docs/conventions.md.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import numpy.typing as npt
from PIL.Image import Image

from facegeom.depth.depth_map import DepthMap
from facegeom.drawing import draw_faces
from facegeom.errors import InputError, shown
from facegeom.export import faces_json
from facegeom.geometry.alignment import Template
from facegeom.geometry.camera import DEFAULT_FOV_DEG
from facegeom.image.photo import FovSource
from facegeom.image.reading import MAX_PIXELS, Source
from facegeom.results import rows
from facegeom.results.base import (
    FACE_SHAPES,
    LOOK_ANGLES,
    MOTION_SHAPES,
    Float32Array,
    OfPhoto,
    Record,
    Table,
)
from facegeom.results.crops import AlignedCrop, cut_aligned
from facegeom.results.measures import Measures
from facegeom.results.saving import save

FOV_SOURCES: tuple[str, ...] = get_args(FovSource)

_NEARLY = 0.01
"""What rounding may leave of a rotation's or a probability's exact range."""


@dataclass(frozen=True, eq=False, repr=False)
class Face(Record, OfPhoto, Measures[float]):
    """One face. Arrays are float32, finite and read-only.

    Attributes:
        box_xyxy: (4,) left, top, right, bottom, pixels.
        score: probability that this is a face, in [0, 1].
        landmarks_px: (68, 2) the 68 points of the iBUG markup, pixels.
        landmarks_confidence: (68,) in [0, 1], larger for points with smaller expected error.
        mesh_px: (478, 3) x and y in pixels; z in pixels of the same scale, smaller is nearer to the camera.
        mesh_confidence: (478,) in [0, 1].
        mesh_mm: (478, 3) camera frame, millimetres; its projection is ``mesh_px[:, :2]``.
        rotation: (3, 3) turns the head frame into the frame of the line of sight to the head: the head as
            seen, identity for a face that looks into the lens. The angles derive from it.
        translation_mm: (3,) the head's origin, midway between the eyes' centres, in the camera frame.
        depth: the depth map, in the same camera frame; None unless asked for.
        expression: (52,) coefficients in [0, 1], named by :data:`facegeom.geometry.schemes.ARKIT52`: 0 at
            rest, 1 for the full shape. The last, of the tongue, is not measured and always 0. None if read
            from a file of an older version, like the next two.
        gaze: (2, 3) unit vectors in which the person's right and left eye look, head frame; (0, 0, -1) is
            straight ahead.
        gaze_confidence: (2,) in [0, 1]; small where the iris is hidden.
        width: of the photo, pixels; 0 where it is not known.
        height: of the photo, pixels.
        file: name of the photo, if it came from a file.

    Raises:
        InputError: a field has another shape or is not finite.
    """

    shapes: ClassVar[Mapping[str, tuple[int, ...]]] = FACE_SHAPES
    motion: ClassVar[Mapping[str, tuple[int, ...]]] = MOTION_SHAPES
    optional: ClassVar[tuple[str, ...]] = ("depth",)
    shared: ClassVar[tuple[str, ...]] = ("width", "height", "file")

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
    expression: Float32Array | None = None
    gaze: Float32Array | None = None
    gaze_confidence: Float32Array | None = None
    width: int = field(default=0, compare=False)
    height: int = field(default=0, compare=False)
    file: str | None = field(default=None, compare=False)

    def aligned(
        self, image: Source | None = None, size: int = 112, template: Template = "arcface"
    ) -> AlignedCrop:
        """Cut the face's aligned crop from the photo; see :meth:`Faces.aligned`."""
        photo = self.read_photo(image)
        return cut_aligned(photo, self.landmarks_px[None], self.box_xyxy[None], size, template)[0]


@dataclass(frozen=True, eq=False, repr=False)
class Faces(Table[Face], Measures[Float32Array]):
    """All faces of one photo, best first: the fields of :class:`Face` with a leading axis N, which may be 0.

    ``faces[0]`` is a :class:`Face`; ``faces[1:]``, ``faces[faces.score > 0.9]`` and ``faces[[2, 0]]`` are
    :class:`Faces`. A photo without a face gives ``len(faces) == 0``.

    Attributes:
        width: of the photo, pixels.
        height: of the photo, pixels.
        file: name of the photo, if it came from a file.
        depth: a depth map for each face; None unless asked for.
        fov_deg: angle of view across the photo's longer side, degrees, with which millimetres were computed.
        fov_source: where it comes from: "given", "exif" or "assumed".
        turned_deg: degrees clockwise by which the photo was turned to find the faces: 0, 90, 180 or 270.
            Coordinates and rotations are those of the photo as given.
        min_face_px: smallest faces that were looked for, pixels; 0 where nothing was searched.

    Raises:
        InputError: a field has another shape or is not finite; the angle of view or its source is none.
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
    fov_deg: float = DEFAULT_FOV_DEG
    fov_source: FovSource = "assumed"
    turned_deg: int = 0
    min_face_px: float = 0.0
    expression: Float32Array | None = None
    gaze: Float32Array | None = None
    gaze_confidence: Float32Array | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth is not None:
            if not all(isinstance(each, DepthMap) for each in self.depth):
                raise InputError(f"depth: expected depth maps, got {shown(self.depth)}")
            object.__setattr__(self, "depth", tuple(self.depth))
        for name, low, high in (("fov_deg", 1, 179), ("min_face_px", 0, MAX_PIXELS)):
            number: Any = getattr(self, name)
            is_number = isinstance(number, Real)
            if not (is_number and low <= number <= high):
                raise InputError(f"{name}: expected a number from {low} to {high}, got {shown(number)}")
            object.__setattr__(self, name, float(number))
        known = isinstance(self.fov_source, str) and self.fov_source in FOV_SOURCES
        if not known:
            source = shown(self.fov_source)
            raise InputError(f"fov_source: expected one of {', '.join(FOV_SOURCES)}, got {source}")

    @property
    def about(self) -> dict[str, Any]:
        """Name and size of the photo, its angle of view, its turn, and the smallest face looked for."""
        names = ("file", "width", "height", "fov_deg", "fov_source", "turned_deg", "min_face_px")
        return {name: getattr(self, name) for name in names}

    @property
    def arrays(self) -> dict[str, Float32Array]:
        """The arrays of the faces by name, those that are None left out."""
        arrays = {name: getattr(self, name) for name in (*FACE_SHAPES, *MOTION_SHAPES)}
        return {name: array for name, array in arrays.items() if array is not None}

    def or_nan(self, name: str, shape: tuple[int, ...]) -> Float32Array:
        """Return an array (N, *shape) by its name, NaN where the networks do not give it."""
        missing = self.expression is None and name in (*MOTION_SHAPES, *LOOK_ANGLES)
        return np.full((len(self), *shape), np.nan, np.float32) if missing else getattr(self, name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers as in the JSON file, coordinates rounded to 3 decimals.

        The schema ships as ``facegeom/data/faces.schema.json``.
        """
        return faces_json.to_dict(self.arrays, self.about)

    def to_rows(self, points: bool = False) -> list[dict[str, Any]]:
        """Return a row of plain numbers for each face, best first.

        The columns are ``file``, ``face`` (number from 0), ``score``, ``box_left``, ``box_top``,
        ``box_right``, ``box_bottom``, ``yaw_deg``, ``pitch_deg``, ``roll_deg``, ``x_mm``, ``y_mm``, ``z_mm``,
        ``fov_deg`` and ``fov_source``.

        Args:
            points: whether the 68 points follow, ``landmark_0_x``, ``landmark_0_y``, … in pixels.
        """
        return rows.to_rows(self, points)

    def to_dataframe(self, points: bool = False) -> Any:
        """Return the rows of :meth:`to_rows` as a ``pandas.DataFrame``, with all columns also for no face.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise InputError(
                "to_dataframe needs pandas: pip install pandas, or take to_rows, which needs nothing"
            ) from error
        return pandas.DataFrame(self.to_rows(points), columns=list(rows.columns(points)))

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Faces":
        """Build faces from the result of :meth:`to_dict`; depth maps are left out.

        Raises:
            InputError: the data are of another schema, incomplete, or hold values that no face has.
        """
        with faces_json.explained_errors():
            fields, about = faces_json.from_dict(data)
            size = {key: about.pop(key) for key in ("width", "height", "file")}
            if fields:
                fields = dict.fromkeys(MOTION_SHAPES) | fields
            return _checked(replace(Faces.empty(**size), **about, **fields))

    def aligned(
        self, image: Source | None = None, size: int = 112, template: Template = "arcface"
    ) -> list[AlignedCrop]:
        """Cut a square crop of each face from the photo's pixels, with eyes and mouth in standard places.

        Args:
            image: the photo: a path, encoded bytes, a Pillow image or an array; by default ``file`` is read
                again.
            size: side of the crops, 1 to 2048 pixels.
            template: "arcface": the similarity that carries eye centres, nose tip and mouth corners onto
                ArcFace's places, defined at 112 pixels and scaled to ``size``; "ffhq": the square of FFHQ's
                alignment, 1024 pixels there; "box": the square around the box, upright; or the places
                (5, 2) of these points in the crop, pixels, left to right in an upright face.

        Returns:
            A crop for each face, in their order, antialiased, black beyond the photo, with its map.

        Raises:
            ImageError: the photo cannot be read.
            InputError: an argument out of its range, no photo, or one of another size.
        """
        photo = self.read_photo(image) if len(self) else np.zeros((1, 1, 3), np.uint8)
        return cut_aligned(photo, self.landmarks_px, self.box_xyxy, size, template)

    def draw(
        self,
        image: Source | None = None,
        *,
        box: bool = True,
        landmarks: bool = True,
        mesh: bool = True,
        axes: bool = True,
        gaze: bool = False,
    ) -> Image:
        """Draw the faces over a copy of their photo; line widths follow the size of each face.

        Args:
            image: the photo: a path, encoded bytes, a Pillow image or an array; by default ``file`` is read
                again.
            box: draw the box and its score.
            landmarks: draw the 68 points, from red (confidence 0) over yellow to green (1).
            mesh: draw the side of the 478-point mesh that the camera sees.
            axes: draw the head's axes from midway between the eyes: x red, y green, z blue along the nose.
            gaze: draw a pink line from each iris to where it looks, the fainter the less sure; none for faces
                without gaze.

        Returns:
            RGB image of the photo's size.

        Raises:
            ImageError: the photo cannot be read.
            InputError: no photo, or one of another size.
        """
        return draw_faces(
            self.read_photo(image),
            self.box_xyxy,
            self.score,
            self.rotation,
            self.landmarks_px,
            self.landmarks_confidence,
            self.mesh_px,
            box=box,
            landmarks=landmarks,
            mesh=mesh,
            axes=axes,
            gaze=self.gaze if gaze else None,
            gaze_confidence=self.gaze_confidence,
        )

    def save(
        self,
        directory: str | os.PathLike[str],
        formats: Sequence[str] = ("json", "overlay", "obj", "glb"),
        image: Source | None = None,
        name: str | None = None,
        size: int = 112,
        template: Template = "arcface",
    ) -> list[Path]:
        """Write the faces to files; each appears whole or not at all.

        Args:
            directory: folder of the files; made if it is not there.
            formats: of "json", "csv" (rows with the 68 points), "overlay", "obj", "ply", "glb", "aligned",
                "depth", "surface"; the last two need faces with depth.
            image: the photo, for formats that show its pixels; by default ``file`` is read again.
            name: of the files, without ending; by default that of the photo.
            size: of aligned crops, as in :meth:`aligned`.
            template: of aligned crops.

        Returns:
            The files written: ``name.json``, ``name.overlay.jpg``, ``name.0.obj`` for the first face …

        Raises:
            InputError: an unknown format, an overlay or aligned crops without a photo, or a name that leads
                out of the folder.
            OutputError: a file cannot be written.
        """
        return save(self, directory, formats, image, name, size, template)


def _checked(faces: Faces) -> Faces:
    """Return faces from a file whose values are possible ones, beyond shapes and finite numbers."""

    def expect(holds: npt.NDArray[np.bool_], problem: str) -> None:
        if not holds.all():
            raise InputError(f"{problem}, got others; the JSON is damaged")

    low, high = faces.box_xyxy[:, :2], faces.box_xyxy[:, 2:]
    square = faces.rotation @ np.swapaxes(faces.rotation, -1, -2)
    shares = [faces.score, faces.landmarks_confidence, faces.mesh_confidence]
    shares += [each for each in (faces.expression, faces.gaze_confidence) if each is not None]
    expect(high >= low, "box_xyxy: expected left <= right and top <= bottom")
    expect(np.abs(square - np.eye(3)) < _NEARLY, "pose.rotation: expected a rotation, R Rᵀ = 1")
    expect(np.linalg.det(faces.rotation) > 0, "pose.rotation: expected a rotation, det R = 1")
    expect(faces.translation_mm[:, 2] > 0, "translation_mm: expected a head before the camera, z > 0")
    if faces.gaze is not None:
        lengths = np.linalg.norm(faces.gaze, axis=-1)
        expect(np.abs(lengths - 1) < _NEARLY, "gaze: expected vectors of length 1")
    for each in shares:
        within = np.abs(each - 0.5) < 0.5 + _NEARLY
        expect(within, "score, confidence, expression: expected numbers from 0 to 1")
    return faces
