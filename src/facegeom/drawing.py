"""Faces drawn over their photo: arrays in, an image out.

Each face is drawn on a transparent canvas over its part of the photo, several times larger, and downscaled:
that gives smooth lines of a fraction of a pixel, which small faces need.
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from facegeom.geometry import boxes, schemes, topology

Colour: TypeAlias = tuple[int, int, int, int]
FloatArray: TypeAlias = npt.NDArray[np.floating]
UInt8Array: TypeAlias = npt.NDArray[np.uint8]

_MESH: Colour = (0, 190, 255, 115)
_BOX: Colour = (255, 255, 255, 230)
_SHADE: Colour = (0, 0, 0, 150)
_AXES: tuple[Colour, ...] = ((255, 64, 64, 255), (64, 220, 96, 255), (72, 136, 255, 255))
_GAZE = (255, 102, 230)
_AXIS_SIGNS = np.array([1, 1, -1])  # the third is drawn along the nose, which is -z of the head frame
_CONFIDENCES = ((255, 48, 48), (255, 214, 64), (64, 255, 128))  # colours at 0, 0.5 and 1
_PUPILS = [rim[0] for rim in schemes.MESH478_IRISES]  # the irises' centres

_CANVAS_SIDE = 2048  # pixels that the larger side of an enlarged canvas may have
_MAX_ENLARGEMENT = 4


def draw_faces(
    image: UInt8Array,
    box_xyxy: FloatArray,
    score: FloatArray,
    rotation: FloatArray,
    landmarks_px: FloatArray,
    landmarks_confidence: FloatArray,
    mesh_px: FloatArray,
    *,
    box: bool = True,
    landmarks: bool = True,
    mesh: bool = True,
    axes: bool = True,
    gaze: FloatArray | None = None,
    gaze_confidence: FloatArray | None = None,
) -> Image.Image:
    """Draw N faces over a copy of their photo; line widths follow the size of each face.

    Args:
        image: (H, W, 3) uint8 RGB.
        box_xyxy: (N, 4) pixels.
        score: (N,) written above the box.
        rotation: (N, 3, 3) of the head.
        landmarks_px: (N, 68, 2).
        landmarks_confidence: (N, 68) in [0, 1]: red at 0, yellow at 0.5, green at 1.
        mesh_px: (N, 478, 3); the side that the camera sees is drawn.
        box: draw box and score.
        landmarks: draw the 68 points.
        mesh: draw the mesh.
        axes: draw the head's axes from midway between the eyes: x red, y green, z blue along the nose.
        gaze: (N, 2, 3) looks of the right and the left eye, head frame, drawn as pink lines from the irises;
            None draws none.
        gaze_confidence: (N, 2) in [0, 1]; lines fade with it.
    """
    picture = Image.fromarray(image)
    for index, own_box in enumerate(box_xyxy):
        own_box, own_mesh, points = (
            _within(each, picture.size) for each in (own_box, mesh_px[index], landmarks_px[index])
        )
        size = float(np.ptp(own_mesh[:, :2], axis=0).max())
        extents = np.stack([own_box, boxes.from_points(own_mesh)])
        sheet = _Sheet.around(extents, size, picture.size)
        if sheet is None:
            continue
        if mesh:
            _draw_mesh(sheet, own_mesh)
        if box:
            _draw_box(sheet, own_box, float(score[index]))
        if landmarks:
            _draw_landmarks(sheet, points, landmarks_confidence[index])
        if axes:
            eyes = schemes.five_from_68(points)[:2]
            _draw_axes(sheet, eyes.mean(axis=0), rotation[index], 0.5 * size)
        if gaze is not None and gaze_confidence is not None:
            looks = np.clip(gaze[index], -1, 1) @ np.clip(rotation[index], -2, 2).T[:, :2] * (0.4 * size)
            _draw_gaze(sheet, own_mesh[_PUPILS, :2], looks, gaze_confidence[index])
        sheet.blend_into(picture)
    return picture


def draw_heads(
    image: UInt8Array,
    box_xyxy: FloatArray,
    score: FloatArray,
    rotation: FloatArray,
    *,
    box: bool = True,
    axes: bool = True,
) -> Image.Image:
    """Draw N head directions over a copy of their photo; the arguments are those of :func:`draw_faces`.

    Axes start in the middle of the box.
    """
    picture = Image.fromarray(image)
    for any_box, own_score, own_rotation in zip(box_xyxy, score, rotation, strict=True):
        own_box = _within(any_box, picture.size)
        size = float((own_box[2:] - own_box[:2]).max())
        sheet = _Sheet.around(own_box[None], size, picture.size)
        if sheet is None:
            continue
        if box:
            _draw_box(sheet, own_box, float(own_score))
        if axes:
            _draw_axes(sheet, (own_box[:2] + own_box[2:]) / 2, own_rotation, 0.5 * size)
        sheet.blend_into(picture)
    return picture


def _within(points_px: FloatArray, photo_wh: tuple[int, int]) -> FloatArray:
    """Return points not farther from the photo than four of its sides: no line is longer or thicker."""
    reach = 4 * max(photo_wh)
    return np.clip(points_px, -reach, reach)


@dataclass(frozen=True)
class _Sheet:
    """A transparent canvas over a part of the photo."""

    left_top: tuple[int, int]  # pixels of the photo
    enlargement: int  # pixels of the canvas for one pixel of the photo
    unit: float  # width of a thin line, pixels of the canvas
    canvas: Image.Image  # RGBA
    pen: ImageDraw.ImageDraw  # its colours replace what is under them

    @classmethod
    def around(cls, extents: FloatArray, size_px: float, photo_wh: tuple[int, int]) -> "_Sheet | None":
        """Make a sheet for boxes (K, 4) of a face, with room for axes and label; None outside the photo."""
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
        """Map points (..., 2) of the photo to the canvas; pixel centres at integers in both."""
        return np.asarray((points_px - self.left_top + 0.5) * self.enlargement - 0.5)

    def line(self, ends_px: FloatArray, colour: Colour, width: float) -> None:
        """Draw a line through points (K, 2) of the photo; the width is in units."""
        ends = [tuple(end) for end in self.place(ends_px).tolist()]
        self.pen.line(ends, fill=colour, width=max(1, round(width * self.unit)), joint="curve")

    def dot(self, centre_px: FloatArray, colour: Colour, radius: float) -> None:
        """Draw a disc at a point (2,) of the photo; the radius is in units."""
        x, y = self.place(centre_px).tolist()
        reach = radius * self.unit
        self.pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)

    def blend_into(self, picture: Image.Image) -> None:
        """Shrink the canvas to the part's size and blend it into the photo."""
        layer = self.canvas.reduce(self.enlargement) if self.enlargement > 1 else self.canvas
        picture.paste(layer, self.left_top, layer)


def _draw_mesh(sheet: _Sheet, mesh_px: FloatArray) -> None:
    triangles = topology.triangles()
    a, b, c = (mesh_px[triangles[:, corner], :2] for corner in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    seen = triangles[area < 0]  # counter-clockwise in the image, where y points down
    edges = np.sort(np.concatenate([seen[:, [0, 1]], seen[:, [1, 2]], seen[:, [2, 0]]]), axis=1)
    for ends in mesh_px[np.unique(edges, axis=0), :2]:
        sheet.line(ends, _MESH, 0.8)


def _draw_landmarks(sheet: _Sheet, points_px: FloatArray, confidences: FloatArray) -> None:
    channels = [np.interp(confidences, (0, 0.5, 1), channel) for channel in zip(*_CONFIDENCES, strict=True)]
    for point, (red, green, blue) in zip(points_px, np.rint(channels).astype(int).T.tolist(), strict=True):
        sheet.dot(point, _SHADE, 2.3)
        sheet.dot(point, (red, green, blue, 255), 1.7)


def _draw_box(sheet: _Sheet, box_xyxy: FloatArray, score: float) -> None:
    left, top, right, bottom = box_xyxy.tolist()
    right_top = (right, top)
    corners = np.array([(left, top), right_top, (right, bottom), (left, bottom), (left, top), right_top])
    sheet.line(corners, _SHADE, 3)
    sheet.line(corners, _BOX, 1.5)
    _draw_label(sheet, f"{score:.2f}", np.array([left, top]))


def _draw_label(sheet: _Sheet, text: str, left_bottom_px: FloatArray) -> None:
    """Draw a line of text on a dark ground, above a point of the photo."""
    font = ImageFont.load_default(max(9.0 * sheet.enlargement, 14 * sheet.unit))
    x, y = sheet.place(left_bottom_px).tolist()
    padding = 2 * sheet.unit
    y -= 2 * padding
    ground = sheet.pen.textbbox((x + padding, y), text, font=font, anchor="ld")
    ground_and_padding = np.array(ground) + padding * np.array([-1, -1, 1, 1])
    sheet.pen.rectangle(ground_and_padding.tolist(), fill=_SHADE)
    sheet.pen.text((x + padding, y), text, fill=_BOX, font=font, anchor="ld")


def _draw_axes(sheet: _Sheet, origin_px: FloatArray, rotation: FloatArray, length_px: float) -> None:
    """Draw the axes in parallel projection: they show the head's direction and need no camera."""
    # (3, 3), a row for each axis, in the camera frame
    axes = np.clip(rotation, -2, 2).T * _AXIS_SIGNS[:, None]
    tips = origin_px + axes[:, :2] * length_px
    for axis in np.argsort(-axes[:, 2]):  # the farthest first, so that nearer ones cover it
        ends = np.stack([origin_px, tips[axis]])
        sheet.line(ends, _SHADE, 5)
        sheet.line(ends, _AXES[axis], 3)
        sheet.dot(tips[axis], _AXES[axis], 3.5)


def _draw_gaze(sheet: _Sheet, irises_px: FloatArray, looks_px: FloatArray, confidences: FloatArray) -> None:
    """Draw a line from each of the irises (2, 2), the fainter the less sure."""
    for iris, look, confidence in zip(irises_px, looks_px, confidences.tolist(), strict=True):
        colour = (*_GAZE, round(255 * min(max(confidence, 0), 1)))
        sheet.line(np.stack([iris, iris + look]), colour, 2.5)
        sheet.dot(iris + look, colour, 3.5)
