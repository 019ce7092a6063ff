"""Faces drawn over the frames of a video: few, plain lines, so that drawing does not hold up the analysis.

:meth:`facegeom.Faces.draw` draws more, the mesh above all, and takes about ten times as long.
"""

from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from facegeom.geometry import schemes
from facegeom.video.frames import Frame, UInt8Array
from facegeom.video.tracking import TrackedFaces

FloatArray = npt.NDArray[np.floating]
Colour = tuple[int, ...]

_CURVES = tuple(  # of the 68 points: jaw, brows, nose, eyes, lips
    (*range(first, end), *((first,) if closed else ()))
    for first, end, closed in (
        *((0, 17, False), (17, 22, False), (22, 27, False), (27, 31, False), (31, 36, False)),
        *((36, 42, True), (42, 48, True), (48, 60, True), (60, 68, True)),
    )
)
_WHITE, _SHADE = (255, 255, 255), (24, 24, 24)
_AXES: tuple[Colour, ...] = ((255, 64, 64), (64, 220, 96), (72, 136, 255))
_AXIS_SIGNS = np.array([1, 1, -1])  # the third is drawn along the nose, which is -z of the head frame
_CONFIDENCES, _CHANNELS = (0.0, 0.5, 1.0), ((255, 255, 64), (48, 214, 255), (48, 64, 128))

_SMOOTH_PX = 320.0
"""Smaller faces are drawn at twice the size and reduced, which gives smooth lines."""

_SMALLEST_TEXT_PX = 10.0


def draw_overlay(frame: Frame, tracked: TrackedFaces) -> UInt8Array:
    """Draw box, track id, score, curves of the 68 points and axes of each face on a copy of the frame.

    A curve is red where its points have the confidence 0, over yellow to green at 1.

    Returns:
        (H, W, 3) uint8 RGB; the frame's own pixels if it has no face.
    """
    if not len(tracked.ids):
        return frame.pixels
    pixels: UInt8Array = frame.pixels.copy()
    for row, track_id in enumerate(tracked.ids.tolist()):
        _draw_face(pixels, tracked, row, f"face {track_id}  {tracked.faces.score[row]:.2f}")
    return pixels


def _draw_face(pixels: UInt8Array, tracked: TrackedFaces, row: int, text: str) -> None:
    """Draw one face on its part of the image (H, W, 3)."""
    faces = tracked.faces
    box, points = faces.box_xyxy[row], faces.landmarks_px[row]
    origin = schemes.five_from_68(points)[:2].mean(axis=0)
    side = float((box[2:] - box[:2]).max())
    axes = faces.rotation[row].T * _AXIS_SIGNS[:, None]  # a row for each axis
    tips = origin + axes[:, :2] * 0.5 * side
    left, top, right, bottom = box.tolist()
    text_px = max(_SMALLEST_TEXT_PX, side / 12)
    text_end = np.array([[left + 0.6 * text_px * len(text), top - 1.5 * text_px]])
    canvas = _Canvas.over(pixels, np.concatenate([box.reshape(2, 2), points, tips, text_end]), side)
    if canvas is None:
        return
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    canvas.line(np.array(corners), _SHADE, 3)
    canvas.line(np.array(corners), _WHITE, 1.6)
    for curve in _CURVES:
        confidence = float(faces.landmarks_confidence[row, list(curve)].mean())
        colour = tuple(round(float(np.interp(confidence, _CONFIDENCES, each))) for each in _CHANNELS)
        canvas.line(points[list(curve)], colour, 1.3)
    for axis in np.argsort(-axes[:, 2]).tolist():  # the farthest first, so that nearer ones cover it
        canvas.line(np.stack([origin, tips[axis]]), _SHADE, 4)
        canvas.line(np.stack([origin, tips[axis]]), _AXES[axis], 2.5)
    canvas.label(text, (left, top), text_px)
    canvas.put_back()


class _Canvas:
    """A part of an image to draw on, twice as large for small faces.

    Args:
        pixels: (H, W, 3) the whole image, which is changed.
        box: left, top, right, bottom of the part, pixels.
        side: size of the face, pixels; line widths follow it.
    """

    def __init__(self, pixels: UInt8Array, box: tuple[int, int, int, int], side: float) -> None:
        left, top, right, bottom = box
        self._part, self._corner = pixels[top:bottom, left:right], np.array((left, top))
        self._scale = 2 if side < _SMOOTH_PX else 1
        sheet = Image.fromarray(np.ascontiguousarray(self._part))
        if self._scale > 1:
            sheet = sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.NEAREST)
        self._sheet, self._pen = sheet, ImageDraw.Draw(sheet)
        self._unit = self._scale * max(0.6, side / 240)

    @classmethod
    def over(cls, pixels: UInt8Array, points_px: FloatArray, side: float) -> "_Canvas | None":
        """Return a canvas over the points (K, 2), with a margin; None where they lie beside the image."""
        limits = pixels.shape[1], pixels.shape[0]
        margin = 0.02 * side + 8
        low, high = points_px.min(axis=0) - margin, points_px.max(axis=0) + margin
        left, top = (max(0, int(edge)) for edge in low)
        right, bottom = (min(limit, int(edge) + 1) for edge, limit in zip(high, limits, strict=True))
        return cls(pixels, (left, top, right, bottom), side) if right > left and bottom > top else None

    def _placed(self, points_px: FloatArray) -> list[tuple[float, float]]:
        points = (points_px - self._corner + 0.5) * self._scale - 0.5
        return [(x, y) for x, y in points.tolist()]

    def line(self, points_px: FloatArray, colour: Colour, width: float) -> None:
        """Draw a line through points (K, 2) of the image; the width is in units of the face."""
        points, width_px = self._placed(points_px), max(1, round(width * self._unit))
        if width_px < 4:
            self._pen.line(points, fill=colour, width=width_px)
            return
        for ends in pairwise(points):  # PIL leaves gaps between thick parts
            self._pen.line(ends, fill=colour, width=width_px)
        for x, y in points:
            reach = width_px / 2 - 0.5
            self._pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)

    def label(self, text: str, left_bottom_px: tuple[float, float], size_px: float) -> None:
        """Write a line of text on a dark ground, above a point of the image."""
        font, padding = _font(round(self._scale * size_px)), 2 * self._scale
        x, y = self._placed(np.array([left_bottom_px]))[0]
        x, y = max(x, 0) + padding, max(y - 2 * padding, self._scale * size_px + padding)
        left, top, right, bottom = self._pen.textbbox((x, y), text, font=font, anchor="ls")
        self._pen.rectangle((left - padding, top - padding, right + padding, bottom + padding), fill=_SHADE)
        self._pen.text((x, y), text, fill=_WHITE, font=font, anchor="ls")

    def put_back(self) -> None:
        """Copy what was drawn into the image."""
        self._part[:] = np.asarray(self._sheet.reduce(self._scale) if self._scale > 1 else self._sheet)


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)
