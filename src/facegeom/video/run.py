"""Analyze a whole video: read, track, smooth, write.

:func:`analyze_video` is the Python API; :func:`run_video` is what the command calls.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from math import inf, isfinite
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from facegeom.analyzer import FaceAnalyzer
from facegeom.errors import InputError, shown
from facegeom.video.animation import ANIMATIONS, open_animation
from facegeom.video.frames import Frame, VideoError
from facegeom.video.overlay import draw_overlay
from facegeom.video.reading import Source, Video, open_video
from facegeom.video.smoothing import FaceSmoother
from facegeom.video.table import FACES, FRAMES, open_table
from facegeom.video.tracking import DETECT_EVERY, FaceTracker, TrackedFaces
from facegeom.video.writing import open_writer, suffix_for

FORMATS = ("parquet", "csv", *ANIMATIONS)
"""Formats of the tables, then those of animations."""

TABLES = {"": FACES, "frames.": FRAMES}
"""Tables of a video, by what stands between the name of the video and the format."""


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
        self.analyzer, self.detect_every, self.smooth = analyzer or FaceAnalyzer(), detect_every, smooth
        self.reset()

    def reset(self) -> None:
        """Begin another video: no face is known, and the next one gets the id 0."""
        self._track = FaceTracker(self.analyzer, self.detect_every)
        self._smooth = FaceSmoother() if self.smooth else None

    def __call__(self, frame: Frame) -> TrackedFaces:
        """Return the faces of the next frame."""
        tracked = self._track(frame.pixels, frame.time_s)
        return self._smooth(tracked, frame.time_s) if self._smooth else tracked


def analyze_video(
    source: Source | str | os.PathLike[str],
    analyzer: FaceAnalyzer | None = None,
    detect_every: int = DETECT_EVERY,
    smooth: bool = True,
    start: float = 0.0,
    seconds: float | None = None,
) -> Iterator[FrameFaces]:
    """Return the faces of a video, frame by frame, in constant memory.

    Args:
        source: path of a video file, or :meth:`facegeom.video.Source.camera`.
        analyzer: detects and predicts the faces; by default one with default settings.
        detect_every: frames between two detections on the whole frame; tracked faces need none.
        smooth: whether to smooth the faces over time.
        start: time of the first frame, seconds; the frames before are decoded only.
        seconds: how much to analyze, seconds; None for the whole rest.

    Returns:
        Index, time in seconds, and faces of each frame; frames without a face too.

    Raises:
        InputError: ``start`` is negative, or ``seconds`` is not positive.
        VideoError: at once, if there is no such video; after the last readable frame, if it is damaged.
    """
    end_s = end_time(start, seconds)
    analyze = FrameAnalyzer(analyzer, detect_every, smooth)
    opened = ExitStack()
    video = opened.enter_context(open_video(source))

    def faces() -> Iterator[FrameFaces]:
        with opened:
            for frame in video.between(start, end_s):
                yield FrameFaces(frame.index, frame.time_s, analyze(frame))

    return faces()


def end_time(start: float, seconds: float | None) -> float:
    """Return the time after the last frame to analyze; raise an InputError if there is no such frame."""
    times: list[Any] = [start, seconds]
    if not (isinstance(times[0], Real) and isfinite(start) and start >= 0):
        raise InputError(f"start: expected 0 or more seconds, got {shown(start)}")
    if seconds is None:
        return inf
    if not (isinstance(times[1], Real) and seconds > 0):
        raise InputError(f"seconds: expected more than 0 seconds, got {shown(seconds)}")
    return start + seconds


def check_formats(formats: Iterable[str]) -> list[str]:
    """Return the formats, each once; raise an InputError for an unknown one."""
    kinds = list(dict.fromkeys(formats))
    if not set(kinds) <= set(FORMATS):
        raise InputError(f"formats: expected some of {','.join(FORMATS)}, got {','.join(kinds)!r}")
    return kinds


@dataclass
class VideoSummary:
    """Counts and files of a finished run.

    Attributes:
        frames: number of frames that were analyzed.
        rows: number of faces, over all frames.
        start_s: time of the first frame.
        seconds: time of the last frame.
        track_ids: ids of all tracks.
        files: files that were written, the overlay first.
        fault: what is wrong with the video, or why the run ended before it; None if nothing is.
        stopped: whether Ctrl-C ended the run.
        warning: what the files lack, though the run is complete.
    """

    frames: int = 0
    rows: int = 0
    start_s: float = 0.0
    seconds: float = 0.0
    track_ids: set[int] = field(default_factory=set)
    files: list[Path] = field(default_factory=list)
    fault: str | None = None
    stopped: bool = False
    warning: str | None = None


def run_video(
    source: Source,
    out: Path,
    analyze: FrameAnalyzer,
    overlay: bool = True,
    seconds: float | None = None,
    on_frame: Callable[[Video, Frame], object] = lambda video, frame: None,
    start: float = 0.0,
    formats: Sequence[str] = ("parquet",),
    name: str | None = None,
) -> VideoSummary:
    """Write the tables of a video and ``OUT/NAME.overlay.mp4``, each file as a whole or not at all.

    ``OUT/NAME.parquet`` has a row for each face of each frame, ``OUT/NAME.frames.parquet`` a row for each
    frame. ``OUT/NAME.livelink.csv`` and ``OUT/NAME.glb`` animate the face that is known longest. A damaged
    video, or Ctrl-C, ends the run early; the results up to that point are kept.

    Args:
        source: a file or a camera.
        out: folder of the results, made if needed.
        analyze: analyzer of the frames; it is reset.
        overlay: whether to write the video with the faces drawn on it.
        seconds: stop after this time; None for the whole video. A camera has no end.
        on_frame: callback, called after each frame.
        start: time of the first frame, seconds.
        formats: of :data:`FORMATS`.
        name: name of the files, without ending; by default that of the source.

    Raises:
        InputError: an unknown format, ``start`` is negative, or ``seconds`` is not positive.
        VideoError: the video cannot be opened, or none of its frames read.
        OutputError: a result cannot be written.
    """
    end_s, kinds = end_time(start, seconds), check_formats(formats)
    analyze.reset()
    summary = VideoSummary()
    with open_video(source) as video, ExitStack() as stack:
        metadata = {
            "source": source.name,
            "rate": str(video.rate),
            "start_s": str(start),
            "smoothing": "kalman" if analyze.smooth else "none",
            "version": version("facegeom"),
        }
        base = f"{name or source.stem}."
        writers: list[Any] = []
        for kind in kinds:
            if kind in ANIMATIONS:
                summary.files.append(out / (base + ANIMATIONS[kind]))
                opened = open_animation(summary.files[-1], kind, video.rate)
                writers.append(stack.enter_context(opened))
                continue
            for part, rows in TABLES.items():
                summary.files.append(out / (base + part + kind))
                writers.append(stack.enter_context(open_table(summary.files[-1], rows, metadata)))
        if overlay:
            summary.files.append(out / f"{base}overlay{suffix_for(video)}")
            drawn = stack.enter_context(open_writer(summary.files[-1], video))
        try:
            for frame in video.between(start, end_s):
                tracked = analyze(frame)
                if not summary.frames:
                    summary.start_s, faces = frame.time_s, tracked.faces
                    metadata |= {"width": str(faces.width), "height": str(faces.height)}
                    metadata |= {"fov_deg": str(faces.fov_deg), "fov_source": faces.fov_source}
                for writer in writers:
                    writer.write(frame, tracked)
                if overlay:
                    drawn.write(draw_overlay(frame, tracked), frame.time_s)
                summary.frames, summary.seconds = summary.frames + 1, frame.time_s
                summary.rows += len(tracked.ids)
                summary.track_ids.update(tracked.ids.tolist())
                metadata |= {"frames": str(summary.frames), "seconds": str(summary.seconds)}
                on_frame(video, frame)
        except (VideoError, KeyboardInterrupt) as end:
            if not summary.frames:
                raise
            summary.stopped = isinstance(end, KeyboardInterrupt)
            summary.fault = str(end) or "stopped by the keyboard"
    if overlay:  # known when the file is complete
        summary.warning = drawn.warning
    summary.files.reverse()
    return summary
