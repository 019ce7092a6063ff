"""Faces drawn over their photo.

Each face is drawn on a transparent canvas of its own part of the photo, several times larger than the part,
and shrunk: that gives smooth lines of a fraction of a pixel, which small faces need.
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from facegeom.errors import InputError
from facegeom.geometry import boxes, schemes, topology
from facegeom.image import reading

if TYPE_CHECKING:
    from facegeom.results import Face, Faces, Pose, Poses

Colour: TypeAlias = tuple[int, int, int, int]
FloatArray: TypeAlias = npt.NDArray[np.floating]

_MESH: Colour = (0, 190, 255, 115)
_BOX: Colour = (255, 255, 255, 230)
_SHADE: Colour = (0, 0, 0, 150)
_AXES: tuple[Colour, ...] = ((255, 64, 64, 255), (64, 220, 96, 255), (72, 136, 255, 255))
_AXIS_SIGNS = np.array([1, 1, -1])  # the third is drawn along the nose, which is -z of the head frame
_DOUBTFUL, _UNSURE, _SURE = (255, 48, 48), (255, 214, 64), (64, 255, 128)

_CANVAS_SIDE = 2048  # pixels that the larger side of an enlarged canvas may have
_MAX_ENLARGEMENT = 4


def draw_faces(
    image: reading.Source,
    faces: "Faces",
    *,
    box: bool = True,
    landmarks: bool = True,
    mesh: bool = True,
    axes: bool = True,
) -> Image.Image:
    """A copy of the photo with its faces drawn over it; widths of lines follow the size of each face.

    Args:
        image: the photo of the faces, in any form that :func:`facegeom.image.reading.read` takes.
        faces: what was found in it.
        box: the box and its score.
        landmarks: the 68 points, from red (confidence 0) over yellow to green (1).
        mesh: the side of the 478-point mesh that the camera sees.
        axes: the head's axes from midway between the eyes: x red, y green, z blue towards the nose.

    Returns:
        RGB picture of the photo's size.

    Raises:
        ImageError: the photo cannot be read.
        InputError: the photo has another size than the faces' photo.
    """
    picture = Image.fromarray(photo_of(faces, image))
    for face in faces:
        extents = np.stack([face.box_xyxy, boxes.from_points(face.mesh_px)])
        sheet = _Sheet.around(extents, _size_px(face), picture.size)
        if sheet is None:
            continue
        if mesh:
            _draw_mesh(sheet, face)
        if box:
            _draw_box(sheet, face)
        if landmarks:
            _draw_landmarks(sheet, face)
        if axes:
            eyes = schemes.five_from_68(face.landmarks_px)[:2]
            _draw_axes(sheet, eyes.mean(axis=0), face.rotation, 0.5 * _size_px(face))
        sheet.lay_over(picture)
    return picture


def draw_poses(image: reading.Source, poses: "Poses", *, box: bool = True, axes: bool = True) -> Image.Image:
    """A copy of the photo with the directions of its heads drawn over it.

    Args:
        image: the photo of the heads, in any form that :func:`facegeom.image.reading.read` takes.
        poses: what was found in it.
        box: the box and its score.
        axes: the head's axes from the middle of the box: x red, y green, z blue towards the nose.

    Returns:
        RGB picture of the photo's size.

    Raises:
        ImageError: the photo cannot be read.
        InputError: the photo has another size than the heads' photo.
    """
    picture = Image.fromarray(photo_of(poses, image))
    for pose in poses:
        size = float((pose.box_xyxy[2:] - pose.box_xyxy[:2]).max())
        sheet = _Sheet.around(pose.box_xyxy[None], size, picture.size)
        if sheet is None:
            continue
        if box:
            _draw_box(sheet, pose)
        if axes:
            middle = (pose.box_xyxy[:2] + pose.box_xyxy[2:]) / 2
            _draw_axes(sheet, middle, pose.rotation, 0.5 * size)
        sheet.lay_over(picture)
    return picture


def photo_of(faces: "Faces | Poses", image: reading.Source) -> reading.UInt8Array:
    """The pixels (H, W, 3) uint8 RGB of a photo, checked to be of the size that the faces were found in."""
    pixels = reading.read(image)
    height, width = pixels.shape[:2]
    if (width, height) != (faces.width, faces.height):
        raise InputError(
            f"expected the photo of the faces, {faces.width} x {faces.height} pixels, got {width} x {height}"
        )
    return pixels


@dataclass(frozen=True)
class _Sheet:
    """A transparent canvas over a part of the photo.

    Attributes:
        left_top: of the part, whole pixels of the photo.
        enlargement: pixels of the canvas for one of the photo.
        unit: width of a thin line, pixels of the canvas.
        canvas: RGBA.
        pen: draws on the canvas; colours replace what is under them.
    """

    left_top: tuple[int, int]
    enlargement: int
    unit: float
    canvas: Image.Image
    pen: ImageDraw.ImageDraw

    @classmethod
    def around(cls, extents: FloatArray, size_px: float, photo_wh: tuple[int, int]) -> "_Sheet | None":
        """A sheet for a face of that size with its axes and label; None where it is outside the photo.

        Args:
            extents: (K, 4) of what is drawn, but for axes and label.
            size_px: of the face, pixels; axes are half as long, lines of a width that follows it.
            photo_wh: of the photo.
        """
        margin = 0.5 * size_px + 16
        left, top = (max(0, floor(edge - margin)) for edge in extents[:, :2].min(axis=0))
        right, bottom = (ceil(edge + margin) for edge in extents[:, 2:].max(axis=0))
        width, height = min(right, photo_wh[0]) - left, min(bottom, photo_wh[1]) - top
        if width < 1 or height < 1:
            return None
        enlargement = max(1, min(_MAX_ENLARGEMENT, _CANVAS_SIDE // max(width, height)))
        canvas = Image.new("RGBA", (width * enlargement, height * enlargement))
        unit = enlargement * max(0.5, size_px / 320)
        return cls((left, top), enlargement, unit, canvas, ImageDraw.Draw(canvas))

    def place(self, points_px: FloatArray) -> FloatArray:
        """Points (..., 2) of the photo on the canvas; pixel centres at integers in both."""
        return np.asarray((points_px - self.left_top + 0.5) * self.enlargement - 0.5)

    def line(self, ends_px: FloatArray, colour: Colour, width: float) -> None:
        """Join points (K, 2) of the photo; the width is in units."""
        ends = [tuple(end) for end in self.place(ends_px).tolist()]
        self.pen.line(ends, fill=colour, width=max(1, round(width * self.unit)), joint="curve")

    def dot(self, centre_px: FloatArray, colour: Colour, radius: float) -> None:
        """A disc at a point (2,) of the photo; the radius is in units."""
        x, y = self.place(centre_px).tolist()
        reach = radius * self.unit
        self.pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)

    def lay_over(self, picture: Image.Image) -> None:
        """Shrink the canvas to the part's size and blend it into the photo."""
        layer = self.canvas.reduce(self.enlargement) if self.enlargement > 1 else self.canvas
        picture.paste(layer, self.left_top, layer)


def _size_px(face: "Face") -> float:
    return float(np.ptp(face.mesh_px[:, :2], axis=0).max())


def _draw_mesh(sheet: _Sheet, face: "Face") -> None:
    triangles = topology.triangles()
    a, b, c = (face.mesh_px[triangles[:, corner], :2] for corner in range(3))
    turn = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    seen = triangles[turn < 0]  # counter-clockwise in the picture, where y points down
    edges = np.sort(np.concatenate([seen[:, [0, 1]], seen[:, [1, 2]], seen[:, [2, 0]]]), axis=1)
    for ends in face.mesh_px[np.unique(edges, axis=0), :2]:
        sheet.line(ends, _MESH, 0.8)


def _draw_landmarks(sheet: _Sheet, face: "Face") -> None:
    for point, confidence in zip(face.landmarks_px, face.landmarks_confidence, strict=True):
        sheet.dot(point, _SHADE, 2.3)
        sheet.dot(point, _confidence_colour(float(confidence)), 1.7)


def _confidence_colour(confidence: float) -> Colour:
    """Red at 0, yellow at 1/2, green at 1."""
    shares = (0.0, 0.5, 1.0)
    channels = zip(_DOUBTFUL, _UNSURE, _SURE, strict=True)
    red, green, blue = (round(float(np.interp(confidence, shares, channel))) for channel in channels)
    return red, green, blue, 255


def _draw_box(sheet: _Sheet, face: "Face | Pose") -> None:
    left, top, right, bottom = face.box_xyxy.tolist()
    corners = np.array(
        [(left, top), (right, top), (right, bottom), (left, bottom), (left, top), (right, top)]
    )
    sheet.line(corners, _SHADE, 3)
    sheet.line(corners, _BOX, 1.5)
    _draw_label(sheet, f"{face.score:.2f}", np.array([left, top]))


def _draw_label(sheet: _Sheet, text: str, left_bottom_px: FloatArray) -> None:
    """A line of text on a dark ground, above a point of the photo."""
    font = ImageFont.load_default(max(9.0 * sheet.enlargement, 14 * sheet.unit))
    x, y = sheet.place(left_bottom_px).tolist()
    padding = 2 * sheet.unit
    y -= 2 * padding
    ground = sheet.pen.textbbox((x + padding, y), text, font=font, anchor="ld")
    sheet.pen.rectangle(
        (ground[0] - padding, ground[1] - padding, ground[2] + padding, ground[3] + padding), fill=_SHADE
    )
    sheet.pen.text((x + padding, y), text, fill=_BOX, font=font, anchor="ld")


def _draw_axes(sheet: _Sheet, origin_px: FloatArray, rotation: FloatArray, length_px: float) -> None:
    """Parallel projection: the axes show the direction of the head and need no camera."""
    axes = rotation.T * _AXIS_SIGNS[:, None]  # (3, 3), a row for each axis, in the camera frame
    tips = origin_px + axes[:, :2] * length_px
    for axis in np.argsort(-axes[:, 2]):  # the farthest first, so that nearer ones cover it
        ends = np.stack([origin_px, tips[axis]])
        sheet.line(ends, _SHADE, 5)
        sheet.line(ends, _AXES[axis], 3)
        sheet.dot(tips[axis], _AXES[axis], 3.5)
