"""Analyze a whole video: read, track, smooth, write.

:func:`analyze_video` is the Python API; :func:`run_video` is what the command calls.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import ImageDraw, ImageFont

from facegeom.analyzer import FaceAnalyzer
from facegeom.geometry.camera import DEFAULT_FOV_DEG
from facegeom.video.reading import Frame, Source, UInt8Array, Video, VideoError, open_video
from facegeom.video.smoothing import FaceSmoother
from facegeom.video.table import open_table
from facegeom.video.tracking import DETECT_EVERY, FaceTracker, TrackedFaces
from facegeom.video.writing import open_writer, suffix_for


class FrameFaces(NamedTuple):
    """Faces of one frame.

    Attributes:
        frame: index of the frame, from 0.
        time_s: presentation time of the frame, seconds.
        tracked: its faces and their track ids.
    """

    frame: int
    time_s: float
    tracked: TrackedFaces


class FrameAnalyzer:
    """Turn frames, given in order, into tracked and smoothed faces.

    Args:
        analyzer: detects and predicts the faces; by default one with default settings.
        detect_every: frames between two detections on the whole frame.
        smooth: whether to smooth the faces over time.
    """

    def __init__(
        self, analyzer: FaceAnalyzer | None = None, detect_every: int = DETECT_EVERY, smooth: bool = True
    ) -> None:
        analyzer = analyzer or FaceAnalyzer()
        self._track = FaceTracker(analyzer, detect_every)
        self._smooth = FaceSmoother(analyzer.fov_deg or DEFAULT_FOV_DEG) if smooth else None

    def __call__(self, frame: Frame) -> TrackedFaces:
        """Return the faces of the next frame."""
        tracked = self._track(frame.pixels, frame.time_s)
        return self._smooth(tracked, frame.time_s) if self._smooth else tracked


def analyze_video(
    source: Source | str | os.PathLike[str],
    analyzer: FaceAnalyzer | None = None,
    detect_every: int = DETECT_EVERY,
    smooth: bool = True,
) -> Iterator[FrameFaces]:
    """Yield the faces of a video, frame by frame, in constant memory.

    Args:
        source: path of a video file, or :meth:`facegeom.video.Source.camera`.
        analyzer: detects and predicts the faces; by default one with default settings.
        detect_every: frames between two detections on the whole frame; tracked faces need none.
        smooth: whether to smooth the faces over time.

    Yields:
        Index, time in seconds, and faces of each frame; frames without a face too.

    Raises:
        VideoError: at once, if there is no such video; after the last readable frame, if it is damaged.
    """
    analyze = FrameAnalyzer(analyzer, detect_every, smooth)
    with open_video(source) as video:
        for frame in video:
            yield FrameFaces(frame.index, frame.time_s, analyze(frame))


@dataclass
class VideoSummary:
    """Counts and files of a finished run.

    Attributes:
        frames: number of frames that were read.
        rows: number of faces, over all frames.
        seconds: time of the last frame.
        track_ids: ids of all tracks.
        files: files that were written.
        fault: why the run ended before the video did; None if it did not.
    """

    frames: int = 0
    rows: int = 0
    seconds: float = 0.0
    track_ids: set[int] = field(default_factory=set)
    files: list[Path] = field(default_factory=list)
    fault: str | None = None

    def add(self, frame: Frame, tracked: TrackedFaces) -> None:
        """Count a frame."""
        self.frames, self.seconds = frame.index + 1, frame.time_s
        self.rows += len(tracked.ids)
        self.track_ids.update(tracked.ids.tolist())


def run_video(
    source: Source,
    out: Path,
    analyze: FrameAnalyzer,
    overlay: bool = True,
    seconds: float | None = None,
    on_frame: Callable[[Video, Frame], object] = lambda video, frame: None,
) -> VideoSummary:
    """Write ``OUT/NAME.parquet`` and ``OUT/NAME.overlay.mp4``, each as a whole or not at all.

    A damaged video, or Ctrl-C, ends the run early; the results up to that point are kept.

    Args:
        source: a file or a camera.
        out: folder of the results, made if needed.
        analyze: analyzer of the frames.
        overlay: whether to write the video with the faces drawn on it.
        seconds: stop after this time; None for the whole video. A camera has no end.
        on_frame: callback, called after each frame.

    Raises:
        VideoError: the video cannot be opened, or none of its frames read.
        OutputError: a result cannot be written.
    """
    summary = VideoSummary()
    with open_video(source) as video, ExitStack() as stack:
        sinks = [stack.enter_context(_table_sink(video, out, summary))]
        if overlay:
            sinks.append(stack.enter_context(_overlay_sink(video, out, summary)))
        try:
            for frame in takewhile(lambda frame: seconds is None or frame.time_s < seconds, video):
                tracked = analyze(frame)
                for sink in sinks:
                    sink(frame, tracked)
                summary.add(frame, tracked)
                on_frame(video, frame)
        except (VideoError, KeyboardInterrupt) as end:
            if not summary.frames:
                raise
            summary.fault = str(end) or "stopped by the keyboard"
    return summary


FrameSink: TypeAlias = Callable[[Frame, TrackedFaces], None]


@contextmanager
def _table_sink(video: Video, out: Path, summary: VideoSummary) -> Iterator[FrameSink]:
    """Open the table and yield the function that adds a frame's rows."""
    path = out / f"{video.source.stem}.parquet"
    metadata = {"source": video.source.name, "rate": str(video.rate)}
    with open_table(path, metadata) as table:
        yield table.write
        metadata |= {"frames": str(summary.frames), "seconds": str(summary.seconds)}
    summary.files.append(path)


@contextmanager
def _overlay_sink(video: Video, out: Path, summary: VideoSummary) -> Iterator[FrameSink]:
    """Open the overlay video and yield the function that draws and appends a frame."""
    path = out / f"{video.source.stem}.overlay{suffix_for(video)}"
    with open_writer(path, video) as writer:
        yield lambda frame, tracked: writer.write(draw_overlay(frame, tracked), frame.time_s)
    summary.files.append(path)


def draw_overlay(frame: Frame, tracked: TrackedFaces) -> UInt8Array:
    """Draw box, landmarks, mesh, axes and track id of each face on a copy of the frame.

    Returns:
        (H, W, 3) uint8 RGB; the frame's own pixels if it has no face.
    """
    if not len(tracked.ids):
        return frame.pixels
    image = tracked.faces.draw(frame.pixels)
    pen = ImageDraw.Draw(image)
    for track_id, box in zip(tracked.ids.tolist(), tracked.faces.box_xyxy, strict=True):
        font = ImageFont.load_default(max(10.0, float(box[3] - box[1]) / 12))
        pen.text(tuple(box[2:]), f"face {track_id}", "white", font, "rs", stroke_width=1, stroke_fill="black")
    return np.asarray(image)
