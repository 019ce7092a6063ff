"""A whole video: read, track, smooth, write. The generator is the API, the run is the command's."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, TypeAlias

from facegeom.analyzer import FaceAnalyzer
from facegeom.geometry.camera import DEFAULT_FOV_DEG
from facegeom.video.overlay import drawn
from facegeom.video.reading import Frame, Source, Video, VideoError, open_video
from facegeom.video.smoothing import FaceSmoother
from facegeom.video.table import open_table
from facegeom.video.tracking import DETECT_EVERY, FaceTracker, TrackedFaces
from facegeom.video.writing import ending, open_writer


class FrameFaces(NamedTuple):
    """The faces of one frame.

    Attributes:
        frame: its number, from 0.
        time_s: when the frame is shown, seconds.
        tracked: its faces and their numbers.
    """

    frame: int
    time_s: float
    tracked: TrackedFaces


class FrameAnalyzer:
    """Frames in their order in, tracked and smoothed faces out.

    Args:
        analyzer: finds and reads the faces; by default one with default settings.
        detect_every: frames from one search to the next.
        smooth: whether the faces are smoothed.
    """

    def __init__(
        self, analyzer: FaceAnalyzer | None = None, detect_every: int = DETECT_EVERY, smooth: bool = True
    ) -> None:
        analyzer = analyzer or FaceAnalyzer()
        self._track = FaceTracker(analyzer, detect_every)
        self._smooth = FaceSmoother(analyzer.fov_deg or DEFAULT_FOV_DEG) if smooth else None

    def __call__(self, frame: Frame) -> TrackedFaces:
        """The faces of the next frame."""
        tracked = self._track(frame.pixels, frame.time_s)
        return self._smooth(tracked, frame.time_s) if self._smooth else tracked


def analyze_video(
    source: Source | str | os.PathLike[str],
    analyzer: FaceAnalyzer | None = None,
    detect_every: int = DETECT_EVERY,
    smooth: bool = True,
) -> Iterator[FrameFaces]:
    """The faces of a video, frame by frame, in constant memory.

    Args:
        source: path of a video file, or :meth:`facegeom.video.Source.camera`.
        analyzer: finds and reads the faces; by default one with default settings.
        detect_every: frames from one search to the next; faces that are there are followed without it.
        smooth: whether the faces are smoothed.

    Yields:
        Index, time in seconds, and faces of each frame; frames without a face too.

    Raises:
        VideoError: at once, if there is no such video; after the last frame that can be read, if it is
            damaged.
    """
    analyze = FrameAnalyzer(analyzer, detect_every, smooth)
    with open_video(source) as video:
        for frame in video:
            yield FrameFaces(frame.index, frame.time_s, analyze(frame))


@dataclass
class Summary:
    """What a run did.

    Attributes:
        frames: that were read.
        rows: faces of all frames.
        persons: numbers of the tracks.
        seconds: of the video.
        files: that were written.
        fault: why the run ended before the video did; None if it did not.
    """

    frames: int = 0
    rows: int = 0
    seconds: float = 0.0
    persons: set[int] = field(default_factory=set)
    files: list[Path] = field(default_factory=list)
    fault: str | None = None

    def add(self, frame: Frame, tracked: TrackedFaces) -> None:
        """Count a frame."""
        self.frames, self.seconds = frame.index + 1, frame.time_s
        self.rows += len(tracked.ids)
        self.persons.update(tracked.ids.tolist())


def run_video(
    source: Source,
    out: Path,
    analyze: FrameAnalyzer,
    overlay: bool = True,
    seconds: float | None = None,
    watch: Callable[[Video, Frame], object] = lambda video, frame: None,
) -> Summary:
    """Write ``OUT/NAME.parquet`` and ``OUT/NAME.overlay.mp4``; each appears whole or not at all.

    A video that breaks off, and Ctrl-C, end the run: what was done until then is kept and counted.

    Args:
        source: a file or a camera.
        out: folder of the results, made as needed.
        analyze: the frames' analyzer.
        overlay: whether the video with the faces drawn over it is written.
        seconds: stop there; None for the whole video, which for a camera has no end.
        watch: called with each frame that is done.

    Raises:
        VideoError: the video cannot be opened, or no frame of it read.
        OutputError: a result cannot be written.
    """
    summary = Summary()
    with open_video(source) as video, ExitStack() as stack:
        sinks = [stack.enter_context(_table(video, out, summary))]
        if overlay:
            sinks.append(stack.enter_context(_overlay(video, out, summary)))
        try:
            for frame in takewhile(lambda frame: seconds is None or frame.time_s < seconds, video):
                tracked = analyze(frame)
                for sink in sinks:
                    sink(frame, tracked)
                summary.add(frame, tracked)
                watch(video, frame)
        except (VideoError, KeyboardInterrupt) as end:
            if not summary.frames:
                raise
            summary.fault = str(end) or "stopped by the keyboard"
    return summary


Sink: TypeAlias = Callable[[Frame, TrackedFaces], None]


@contextmanager
def _table(video: Video, out: Path, summary: Summary) -> Iterator[Sink]:
    path, about = out / f"{video.source.stem}.parquet", {"source": video.source.name, "rate": str(video.rate)}
    with open_table(path, about) as table:
        yield table.write
        about |= {"frames": str(summary.frames), "seconds": str(summary.seconds)}
    summary.files.append(path)


@contextmanager
def _overlay(video: Video, out: Path, summary: Summary) -> Iterator[Sink]:
    path = out / f"{video.source.stem}.overlay{ending(video)}"
    with open_writer(path, video) as writer:
        yield lambda frame, tracked: writer.write(drawn(frame, tracked), frame.time_s)
    summary.files.append(path)
