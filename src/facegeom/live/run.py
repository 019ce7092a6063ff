"""Live from a camera or a file: the newest frame is analyzed, and its faces are sent at once."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from threading import Condition, Event, Thread
from typing import NamedTuple

import numpy as np

from facegeom.errors import InputError
from facegeom.live.protocols import LiveFrame
from facegeom.live.sending import Target
from facegeom.video.frames import Frame, VideoError
from facegeom.video.reading import Source, open_video
from facegeom.video.run import FrameAnalyzer, end_time
from facegeom.video.tracking import TrackedFaces

PAUSES_S = (0.5, 10.0)
"""A camera that vanished is opened again after the first pause, which doubles up to the last."""

_KEPT_LATENCIES = 36_000
_OPENING_S = 5.0  # a camera may take so long to give its first frame
_WAIT_S = 0.5  # a wait without an end would not see Ctrl-C on Windows
_TICK_S = 1e-6  # frame times are rounded


class Arrival(NamedTuple):
    """A frame that was read.

    Attributes:
        frame: number and time of the frame count on where a camera is opened again.
        rate: frames a second of the source.
        arrived_s: when it was read, by :func:`time.perf_counter`.
    """

    frame: Frame
    rate: float
    arrived_s: float


@dataclass
class LiveSummary:
    """What was sent.

    Attributes:
        frames: frames that were analyzed and sent.
        left_out: frames that came while the one before was still analyzed.
        faces: faces that were tracked.
        seconds: from the first frame to the last packet.
        latencies_s: from frame to packet, of the last 36,000 frames.
        fault: what is wrong with the file; None if nothing is.
    """

    frames: int = 0
    left_out: int = 0
    faces: int = 0
    seconds: float = 0.0
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_LATENCIES))
    fault: str | None = None

    def latency_ms(self, percent: float) -> float:
        """Return the time from frame to packet that so many percent of the frames do not exceed."""
        return 1e3 * float(np.percentile(self.latencies_s, percent)) if self.latencies_s else 0.0


def run_live(
    source: Source,
    targets: Sequence[Target],
    analyze: FrameAnalyzer,
    fps: float | None = None,
    seconds: float | None = None,
    realtime: bool = True,
    say: Callable[[str], object] = lambda text: None,
) -> LiveSummary:
    """Analyze a camera or a file and send the faces of each frame, until it ends or Ctrl-C.

    Args:
        source: a camera, which is opened again when it vanishes, or a file.
        targets: receivers of all frames.
        analyze: analyzer of the frames; it is reset.
        fps: use at most so many frames a second; None for all.
        seconds: stop after this time of the source; None to go on.
        realtime: play a file at its own speed and leave out frames that come too soon, as with a camera;
            without it each frame of a file is sent, as fast as it can be.
        say: called with what a person should know: a camera that vanished, packets that cannot be sent.

    Raises:
        InputError: ``fps`` or ``seconds`` is not above 0.
        VideoError: the source cannot be opened, or none of its frames read.
    """
    most_fps, end_s = check_fps(fps), end_time(0.0, seconds)

    def read(stop: Event) -> Iterator[Arrival]:
        return read_arrivals(source, most_fps, end_s, realtime, say, stop)

    analyze.reset()
    summary, slots, begun_s = LiveSummary(), Slots(), None
    faults = {target.url: target.fault for target in targets}
    newest = _Newest(read, end_s if source.device else inf) if realtime or source.device else None
    try:
        for arrival in newest or read(Event()):
            begun_s = arrival.arrived_s if begun_s is None else begun_s
            frame = slots.frame(arrival, analyze(arrival.frame))
            for target in targets:
                target.send(frame)
                if target.fault and not faults[target.url]:
                    say(f"cannot send to {target.url}: {target.fault}; going on")
                faults[target.url] = target.fault
            now_s = time.perf_counter()
            summary.latencies_s.append(now_s - arrival.arrived_s)
            summary.frames, summary.seconds = summary.frames + 1, now_s - begun_s
            summary.faces = max(summary.faces, *(each + 1 for each in frame.ids.values()), 0)
    except KeyboardInterrupt:
        pass  # the way to end it
    except VideoError as error:
        if not summary.frames:
            raise
        summary.fault = str(error)
    finally:
        if newest:
            newest.stop()
            summary.left_out = newest.left_out
    return summary


def check_fps(fps: float | None) -> float:
    """Return the largest number of frames a second; raise an InputError if there is none."""
    if fps is None:
        return inf
    if not (isfinite(fps) and fps > 0):
        raise InputError(f"fps: expected more than 0 frames a second, got {fps:g}")
    return fps


class Slots:
    """Places of faces at the receivers: a face keeps its own while it is seen, a new one gets a free one."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}

    def frame(self, arrival: Arrival, tracked: TrackedFaces) -> LiveFrame:
        """Return what is sent of a frame."""
        ids = tracked.ids.tolist()
        self._slots = {id_: slot for id_, slot in self._slots.items() if id_ in ids}
        for id_ in [each for each in ids if each not in self._slots]:
            self._slots[id_] = min(set(range(len(ids))) - set(self._slots.values()))
        faces = {self._slots[id_]: face for id_, face in zip(ids, tracked.faces, strict=True)}
        width, height = tracked.faces.width, tracked.faces.height
        frame, by_slot = arrival.frame, {slot: id_ for id_, slot in self._slots.items()}
        ordered = dict(sorted(faces.items()))
        return LiveFrame(frame.index, frame.time_s, arrival.rate, width, height, ordered, by_slot)


def read_arrivals(
    source: Source,
    fps: float,
    end_s: float,
    realtime: bool,
    say: Callable[[str], object],
    stop: Event,
) -> Iterator[Arrival]:
    """Yield frames as they come, at most ``fps`` a second, until a time of the source or until ``stop``."""
    due_s, begun = -inf, None
    for frame, rate in _camera_frames(source, end_s, say, stop) if source.device else _file_frames(source):
        now_s = time.perf_counter()
        if stop.is_set() or frame.time_s >= end_s - _TICK_S:
            return
        if frame.time_s < due_s - _TICK_S:
            continue
        due_s = 1 / fps + (due_s if frame.time_s < due_s + 1 / fps else frame.time_s)
        if realtime and not source.device:
            begun = now_s - frame.time_s if begun is None else begun
            stop.wait(max(0.0, begun + frame.time_s - now_s))
            now_s = time.perf_counter()
        yield Arrival(frame, rate, now_s)


def _file_frames(source: Source) -> Iterator[tuple[Frame, float]]:
    with open_video(source) as video:
        for frame in video:
            yield frame, video.rate


def _camera_frames(
    source: Source, end_s: float, say: Callable[[str], object], stop: Event
) -> Iterator[tuple[Frame, float]]:
    """Yield the frames of a camera; open it again, after growing pauses, when it vanished before the end."""
    begun_s, index, offset_s, pause_s = time.monotonic(), 0, 0.0, 0.0
    while not stop.is_set() and time.monotonic() - begun_s < end_s:
        try:
            with open_video(source) as video:
                for frame in video:
                    if pause_s:
                        offset_s, pause_s = time.monotonic() - begun_s - frame.time_s, 0.0
                        say(f"{source.title} is back")
                    yield replace(frame, index=index, time_s=offset_s + frame.time_s), video.rate
                    index += 1
        except VideoError:
            if not index:
                raise
        if not pause_s:
            say(f"{source.title} is lost; it will be opened again when it is back, Ctrl-C ends")
        pause_s = min(2 * pause_s, PAUSES_S[1]) or PAUSES_S[0]
        stop.wait(pause_s)


class _Newest:
    """Read in a thread of its own and give the newest frame; older ones are left out.

    It ends after ``limit_s`` seconds of waiting though no frame comes: a camera may stall.
    """

    def __init__(self, read: Callable[[Event], Iterator[Arrival]], limit_s: float) -> None:
        self.left_out, self._stop = 0, Event()
        self._last_s = time.monotonic() + limit_s + _OPENING_S
        self._condition = Condition()
        self._newest: Arrival | None = None
        self._ended = False
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, args=(read,), daemon=True)  # a camera may block for ever
        self._thread.start()

    def _run(self, read: Callable[[Event], Iterator[Arrival]]) -> None:
        error = None
        try:
            for arrival in read(self._stop):
                with self._condition:
                    self.left_out += self._newest is not None
                    self._newest = arrival
                    self._condition.notify()
        except Exception as caught:  # raised where the frames are used
            error = caught
        with self._condition:
            self._ended, self._error = True, error
            self._condition.notify()

    def __iter__(self) -> Iterator[Arrival]:
        """Yield the newest frame each time; raise what reading raised, after the last one."""
        while True:
            with self._condition:
                while not (self._newest or self._ended or time.monotonic() > self._last_s):
                    self._condition.wait(_WAIT_S)
                arrival, self._newest = self._newest, None
            if arrival is None:
                break
            yield arrival
        if self._error:
            raise self._error

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(_WAIT_S)
