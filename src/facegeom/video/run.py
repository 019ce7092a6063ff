"""Analyze a whole video: read, track, smooth, write.

:func:`analyze_video` is the Python API; :func:`run_video` is what the command calls.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from math import inf, isfinite
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from facegeom.analyzer import FaceAnalyzer
from facegeom.errors import InputError
from facegeom.video.frames import Frame, VideoError
from facegeom.video.overlay import draw_overlay
from facegeom.video.reading import Source, Video, open_video
from facegeom.video.smoothing import FaceSmoother
from facegeom.video.spreadsheet import FacesCsv, FramesCsv, open_csv
from facegeom.video.table import open_frames_table, open_table
from facegeom.video.tracking import DETECT_EVERY, FaceTracker, TrackedFaces
from facegeom.video.writing import open_writer, suffix_for

FORMATS = ("parquet", "csv")
"""Formats of the tables."""


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
    """Yield the faces of a video, frame by frame, in constant memory.

    Args:
        source: path of a video file, or :meth:`facegeom.video.Source.camera`.
        analyzer: detects and predicts the faces; by default one with default settings.
        detect_every: frames between two detections on the whole frame; tracked faces need none.
        smooth: whether to smooth the faces over time.
        start: time of the first frame, seconds; the frames before are decoded only.
        seconds: how much to analyze, seconds; None for the whole rest.

    Yields:
        Index, time in seconds, and faces of each frame; frames without a face too.

    Raises:
        InputError: ``start`` is negative, or ``seconds`` is not positive.
        VideoError: at once, if there is no such video; after the last readable frame, if it is damaged.
    """
    end_s = end_time(start, seconds)
    analyze = FrameAnalyzer(analyzer, detect_every, smooth)
    with open_video(source) as video:
        for frame in video.between(start, end_s):
            yield FrameFaces(frame.index, frame.time_s, analyze(frame))


def end_time(start: float, seconds: float | None) -> float:
    """Return the time after the last frame to analyze.

    Raises:
        InputError: ``start`` is negative, or ``seconds`` is not positive.
    """
    if not (isfinite(start) and start >= 0):
        raise InputError(f"start: expected 0 or more seconds, got {start:g}")
    if seconds is None:
        return inf
    if not seconds > 0:
        raise InputError(f"seconds: expected more than 0 seconds, got {seconds:g}")
    return start + seconds


@dataclass
class VideoSummary:
    """Counts and files of a finished run.

    Attributes:
        frames: number of frames that were analyzed.
        rows: number of faces, over all frames.
        seconds: time of the last frame.
        track_ids: ids of all tracks.
        files: files that were written.
        fault: what is wrong with the video, or why the run ended before it; None if nothing is.
        stopped: whether Ctrl-C ended the run.
    """

    frames: int = 0
    rows: int = 0
    seconds: float = 0.0
    track_ids: set[int] = field(default_factory=set)
    files: list[Path] = field(default_factory=list)
    fault: str | None = None
    stopped: bool = False

    def add(self, frame: Frame, tracked: TrackedFaces) -> None:
        """Count a frame."""
        self.frames, self.seconds = self.frames + 1, frame.time_s
        self.rows += len(tracked.ids)
        self.track_ids.update(tracked.ids.tolist())


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
    frame. A damaged video, or Ctrl-C, ends the run early; the results up to that point are kept.

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
        InputError: an unknown format; ``start`` is negative, or ``seconds`` is not positive.
        VideoError: the video cannot be opened, or none of its frames read.
        OutputError: a result cannot be written.
    """
    end_s = end_time(start, seconds)
    unknown = [each for each in formats if each not in FORMATS]
    if unknown:
        raise InputError(f"formats: expected some of {', '.join(FORMATS)}, got {unknown[0]!r}")
    analyze.reset()
    summary = VideoSummary()
    with open_video(source) as video, ExitStack() as stack:
        base = out / (name or video.source.stem)
        metadata = _metadata(video, analyze, start)
        sinks: list[FrameSink] = []
        for kind in dict.fromkeys(formats):
            sinks += _table_sinks(kind, base, metadata, summary, stack)
        if overlay:
            sinks.append(stack.enter_context(_overlay_sink(video, base, summary)))
        try:
            for frame in video.between(start, end_s):
                tracked = analyze(frame)
                for sink in sinks:
                    sink(frame, tracked)
                summary.add(frame, tracked)
                _complete(metadata, summary, tracked)
                on_frame(video, frame)
        except (VideoError, KeyboardInterrupt) as end:
            if not summary.frames:
                raise
            summary.stopped = isinstance(end, KeyboardInterrupt)
            summary.fault = str(end) or "stopped by the keyboard"
    return summary


FrameSink: TypeAlias = Callable[[Frame, TrackedFaces], None]


def _metadata(video: Video, analyze: FrameAnalyzer, start: float) -> dict[str, str]:
    """Return what the tables say of the video; :func:`_complete` adds what the frames tell."""
    return {
        "source": video.source.name,
        "rate": str(video.rate),
        "start_s": str(start),
        "smoothing": "one-euro" if analyze.smooth else "none",
        "version": version("facegeom"),
    }


def _complete(metadata: dict[str, str], summary: VideoSummary, tracked: TrackedFaces) -> None:
    """Note the size and the angle of view of the frames, and how many there are."""
    faces = tracked.faces
    if "width" not in metadata:
        metadata |= {"width": str(faces.width), "height": str(faces.height)}
        metadata |= {"fov_deg": str(faces.fov_deg), "fov_source": faces.fov_source}
    metadata |= {"frames": str(summary.frames), "seconds": str(summary.seconds)}


def _table_sinks(
    kind: str, base: Path, metadata: dict[str, str], summary: VideoSummary, stack: ExitStack
) -> Iterator[FrameSink]:
    """Open the tables of faces and of frames in a format; yield the functions that add a frame."""
    paths = base.with_name(f"{base.name}.{kind}"), base.with_name(f"{base.name}.frames.{kind}")
    opened: tuple[AbstractContextManager[Any], AbstractContextManager[Any]]
    if kind == "csv":
        opened = open_csv(paths[0], FacesCsv), open_csv(paths[1], FramesCsv)
    else:
        opened = open_table(paths[0], metadata), open_frames_table(paths[1], metadata)
    for path, table in zip(paths, opened, strict=True):
        yield stack.enter_context(_noted(path, table, summary)).write


@contextmanager
def _noted(path: Path, table: AbstractContextManager[Any], summary: VideoSummary) -> Iterator[Any]:
    """Open a table; note its file when it is written."""
    with table as writer:
        yield writer
    summary.files.append(path)


@contextmanager
def _overlay_sink(video: Video, base: Path, summary: VideoSummary) -> Iterator[FrameSink]:
    """Open the overlay video and yield the function that draws and appends a frame."""
    path = base.with_name(f"{base.name}.overlay{suffix_for(video)}")
    with open_writer(path, video) as writer:
        yield lambda frame, tracked: writer.write(draw_overlay(frame, tracked), frame.time_s)
    summary.files.append(path)
