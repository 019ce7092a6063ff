"""Tracked faces drawn over their frame, with their numbers."""

import numpy as np
from PIL import ImageDraw, ImageFont

from facegeom.drawing import draw_faces
from facegeom.image.reading import UInt8Array
from facegeom.video.reading import Frame
from facegeom.video.tracking import TrackedFaces


def drawn(frame: Frame, tracked: TrackedFaces) -> UInt8Array:
    """A copy of the frame's pixels (H, W, 3) with box, points, mesh, axes and number of each face."""
    if not len(tracked.ids):
        return frame.pixels
    picture = draw_faces(frame.pixels, tracked.faces)
    pen = ImageDraw.Draw(picture)
    for number, box in zip(tracked.ids.tolist(), tracked.faces.box_xyxy, strict=True):
        font = ImageFont.load_default(max(10.0, float(box[3] - box[1]) / 12))
        pen.text(tuple(box[2:]), f"face {number}", "white", font, "rs", stroke_width=1, stroke_fill="black")
    return np.asarray(picture)
