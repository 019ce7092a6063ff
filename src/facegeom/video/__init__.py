"""Analyze videos and cameras: track faces, smooth them over time, write the results.

Needs the extra ``[video]``.

>>> from facegeom.video import analyze_video
>>> for frame, time_s, tracked in analyze_video("clip.mp4"):  # doctest: +SKIP
...     print(frame, time_s, tracked.ids, tracked.faces.box_xyxy)
"""

from facegeom.video.frames import Frame, VideoError
from facegeom.video.overlay import draw_overlay
from facegeom.video.reading import Source, open_video
from facegeom.video.run import FrameAnalyzer, FrameFaces, analyze_video
from facegeom.video.smoothing import FaceSmoother
from facegeom.video.table import read_table
from facegeom.video.tracking import FaceTracker, TrackedFaces
from facegeom.video.writing import open_writer

__all__ = [
    "FaceSmoother",
    "FaceTracker",
    "Frame",
    "FrameAnalyzer",
    "FrameFaces",
    "Source",
    "TrackedFaces",
    "VideoError",
    "analyze_video",
    "draw_overlay",
    "open_video",
    "open_writer",
    "read_table",
]
