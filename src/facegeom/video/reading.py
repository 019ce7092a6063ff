"""Read videos and cameras: frames with their timestamps, in order, and what is damaged."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from facegeom.errors import InputError
from facegeom.video.frames import Encoding, Frame, VideoError

CAMERAS = {
    "linux": ("v4l2", "/dev/video{}"),
    "darwin": ("avfoundation", "{}"),
    "win32": ("dshow", "video={}"),
}
"""FFmpeg's input device and the pattern of a camera's name, by ``sys.platform``."""

_DEFAULT_RATE, _RATES, _MOST_RATE = 30.0, (1e-3, 1e3), 9e4
"""Frames per second to assume when the file states none within the limits; beyond the last of these the times
of the frames are of no use, either."""

BACK_S, AHEAD_S = 0.1, 600.0
"""A clock that goes back by at most the first stands still; one that goes back by more, or ahead by more than
the second, has jumped, and the frame follows the last one at the video's rate."""

_END_TOLERANCE_S = {"mov,mp4,m4a,3gp,3g2,mj2": 0.25, "matroska,webm": 0.25, "flv": 0.25, "avi": 0.25}
_LOOSE_END_TOLERANCE_S = 1.0
"""A video that ends earlier than its stated duration by more than this is cut short."""

_DURATION_FROM_ZERO = ("matroska,webm", "flv", "nut")
"""Formats that may state the duration as the time of the end, counted from 0, not from the first frame."""

_MAX_DAMAGED_PACKETS, _MOST_NAMED = 1000, 5
_CAMERA_PAUSE_S, _CAMERA_SILENCE_S = 0.003, 10.0
_TICK_S = 1e-6  # frame times are rounded
_NON_VIDEO_FORMATS = ("image2", "tty", "concat")
"""FFmpeg formats of photos, text and file lists, which FFmpeg also opens as videos."""


@dataclass(frozen=True)
class Source:
    """A video file or a camera.

    Attributes:
        name: path of the file, or device name of the camera.
        device: FFmpeg's input device; None for a file.
    """

    name: str
    device: str | None = None

    @classmethod
    def camera(cls, number_or_name: int | str) -> "Source":
        """Return a camera by its number, from 0, or on Windows by its name.

        Raises:
            InputError: facegeom does not know the cameras of this system.
        """
        if sys.platform not in CAMERAS:
            raise InputError(f"expected a camera on {', '.join(CAMERAS)}, got {sys.platform}; use a file")
        device, pattern = CAMERAS[sys.platform]
        return cls(pattern.format(number_or_name), device)

    def open_container(self) -> Any:
        """Open it with PyAV; a name is not read as a protocol, and a playlist does not reach the network."""
        import av

        name, options = self.name if self.device else f"file:{self.name}", {"protocol_whitelist": "file"}
        if self.device == "avfoundation":
            options["framerate"] = "30"  # FFmpeg's default, 29.97, is refused by built-in cameras
        return av.open(name, "r", self.device, options=options)

    @property
    def stem(self) -> str:
        """Name of the output files, without suffix."""
        return Path(self.name).stem if self.device is None else "camera"

    @property
    def title(self) -> str:
        """Name of the source in messages."""
        return f"camera {self.name!r}" if self.device else repr(self.name)


class Video:
    """An open video. Get one from :func:`open_video` and iterate over it once.

    Attributes:
        source: the file or camera.
        rate: average frames per second.
        start_s: the container's timestamp at the start of the file, seconds.
        duration_s: stated duration in seconds; None for cameras and for files that do not state it.
        encoding: how the pictures are stored.
        damaged_packets: packets that could not be decoded so far.
        damaged_frames: frames so far that the decoder had to guess parts of.
        jumps_s: times of the last frames before the clock of the file jumped.
        reached_end: whether the last frame was read.
    """

    def __init__(self, source: Source, container: Any) -> None:
        self.source = source
        self._container = container
        self._stream = _video_streams(container)[0]
        self._stream.thread_type = "SLICE" if source.device else "AUTO"  # threads by frames keep frames back
        if not source.device and self._stream.codec_context.name == "mjpeg":  # conceals damage in silence
            self._stream.codec_context.options = {"err_detect": "explode"}
        stated = float(self._stream.average_rate or 0)
        self._untimed = stated > _MOST_RATE
        self.rate = stated if _RATES[0] <= stated <= _RATES[1] else _DEFAULT_RATE
        self.start_s = (container.start_time or 0) / 1e6
        self._is_end_of_video = bool(self._stream.duration)
        self._end_s = None if source.device else _stated_end_s(container, self._stream, self.start_s)
        self.duration_s = None if self._end_s is None else self._end_s - self.start_s
        self.encoding = Encoding.of_stream(self._stream)
        self.damaged_packets = self.damaged_frames = self._damaged_sound = 0
        self._read_end_s, self.reached_end = self.start_s, False
        self._is_damaged, self._corrupt_pts = False, set[int]()
        self.jumps_s: list[float] = []

    @property
    def frames(self) -> int | None:
        """Approximate number of frames; None if the file does not state it."""
        counted = int(self._stream.frames)
        if self.duration_s and abs(counted - self.duration_s * self.rate) > 0.1 * counted:
            counted = 0  # some files count ticks
        return counted or (round(self.duration_s * self.rate) if self.duration_s else None)

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame that can be read; see :meth:`between`."""
        return self.between()

    def between(self, first_s: float = 0.0, end_s: float = inf) -> Iterator[Frame]:
        """Yield the frames from one time on, up to another one. Earlier frames are decoded and counted only.

        Args:
            first_s: time of the first frame, seconds.
            end_s: time after the last frame.

        Raises:
            VideoError: after the last frame, if what was read is damaged or cut short; or there is no frame.
        """
        time_s, shift_s, count, yielded = 0.0, -self.start_s, 0, 0
        for index, frame in enumerate(self._decode()):
            next_s = time_s + min(index, 1) / self.rate
            stated_s = next_s if frame.time is None or self._untimed else frame.time + shift_s
            if -BACK_S <= stated_s - time_s <= AHEAD_S:
                time_s = max(time_s, stated_s)
            else:
                self.jumps_s.append(time_s)
                shift_s += next_s - stated_s
                time_s = next_s
            if time_s >= end_s - _TICK_S:
                self._check(yielded, count, time_s)
                return
            count = index + 1
            damaged = self._note_damage(frame)
            if time_s >= first_s - _TICK_S:
                yielded += 1
                yield Frame(index, time_s, self.encoding.to_frame_pixels(frame), damaged)
        self.reached_end = True
        self._check(yielded, count, time_s)

    def _decode(self) -> Iterator[Any]:
        """Yield PyAV's frames; count and skip packets that cannot be decoded."""
        from av.error import FFmpegError

        streams, silent_s = [self._stream] if self.source.device else [], 0.0
        packets = self._container.demux(*streams)
        while self.damaged_packets <= _MAX_DAMAGED_PACKETS:
            frames = []
            try:
                packet = next(packets)
                self._note_packet(packet)
                if packet.stream is self._stream:  # the last packet of each stream has no index of its own
                    frames = packet.decode()
                silent_s = 0.0
            except StopIteration:
                return
            except BlockingIOError:  # a camera of macOS has no frame yet, which ends the iterator
                silent_s += _CAMERA_PAUSE_S
                if not self.source.device or silent_s > _CAMERA_SILENCE_S:
                    return
                time.sleep(_CAMERA_PAUSE_S)
                packets = self._container.demux(*streams)
            except (FFmpegError, AttributeError):  # the second: a stream that turned into one of data
                self.damaged_packets += 1
                self._is_damaged = True
            yield from frames

    def _note_packet(self, packet: Any) -> None:
        """Note how far the file goes, and the packets that are cut short."""
        is_video = packet.stream is self._stream
        start = packet.dts if packet.pts is None else packet.pts
        if start is not None and (is_video or not self._is_end_of_video):
            end_s = float((start + (packet.duration or 0)) * packet.time_base)
            self._read_end_s = max(self._read_end_s, end_s)
        if packet.is_corrupt and is_video and packet.pts is not None:
            self._corrupt_pts.add(packet.pts)
        elif packet.is_corrupt and self._container.format.name != "mpegts":  # may be cut inside a packet
            self._damaged_sound += 1

    def _note_damage(self, frame: Any) -> bool:
        """Return whether a frame is damaged: itself, or one since the last key frame, on which it builds."""
        if frame.key_frame:
            self._is_damaged = False
        if frame.is_corrupt or frame.pts in self._corrupt_pts:
            self._corrupt_pts.discard(frame.pts)
            self._is_damaged = True
        self.damaged_frames += self._is_damaged
        return self._is_damaged

    def _check(self, yielded: int, count: int, time_s: float) -> None:
        """Raise a VideoError if packets were skipped, frames are damaged, or frames are missing."""
        self.damaged_packets += len(self._corrupt_pts) if self.reached_end else 0  # no frame came of these
        counted = (
            (self.damaged_packets, "packet", "left out"),
            (self.damaged_frames, "frame", "filled in by the decoder"),
            (self._damaged_sound, "packet", "in the sound"),
        )
        faults = [
            f"{number} damaged {noun}{' was' if number == 1 else 's were'} {fate}"
            for number, noun, fate in counted
            if number
        ]
        tolerance_s = _END_TOLERANCE_S.get(self._container.format.name, _LOOSE_END_TOLERANCE_S)
        missing_s = self._end_s - self._read_end_s if self._end_s and self.reached_end else 0.0
        if missing_s > max(tolerance_s, 2 / self.rate):
            faults.append(f"it ends at {time_s:.1f} s of {self.duration_s:.1f} s")
        if self.jumps_s:
            places = ", ".join(f"{each:.1f}" for each in self.jumps_s[:_MOST_NAMED])
            faults.append(f"its clock jumps after {places} s; times go on evenly there, and the sound ends")
        if self._untimed:
            faults.append(f"its frames have no usable times, {self.rate:g} a second were assumed")
        if not count:
            faults.append("no frame could be read")
        if faults:
            raise VideoError(f"{self.source.title} is damaged: {', '.join(faults)}; get a whole copy")
        if not yielded:
            which = "last" if self.reached_end else "next"
            raise VideoError(
                f"{self.source.title} has no frame in the chosen time; its {which} one is at {time_s:.1f} s"
            )


@contextmanager
def open_video(source: Source | str | os.PathLike[str]) -> Iterator[Video]:
    """Open a video file or a camera for the length of the ``with`` block.

    Args:
        source: a path, or :meth:`Source.camera`.

    Raises:
        VideoError: the file or camera does not exist, or is not a video.
    """
    from av.error import FFmpegError

    opened = source if isinstance(source, Source) else Source(os.fspath(source))
    if opened.device is None and not os.path.isfile(opened.name):
        problem = "a folder" if os.path.isdir(opened.name) else "no such file"
        raise VideoError(f"expected a video file, but {opened.title} is {problem}")
    try:
        container = opened.open_container()
    except (FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VideoError(f"cannot open {opened.title}: {reason}; {_hint(opened)}") from error
    with container:
        kind = container.format.name
        if not opened.device and (kind in _NON_VIDEO_FORMATS or kind.endswith("_pipe")):
            raise VideoError(
                f"expected a video, got {opened.title}, a file of the kind {kind!r}; photos go to `analyze`"
            )
        if not _video_streams(container):
            others = len(container.streams)
            raise VideoError(f"{opened.title} has no video stream, only {others} other streams; give a video")
        if _video_streams(container)[0].codec_context is None:
            raise VideoError(
                f"{opened.title} is damaged or of an unknown codec; get a whole copy, or convert it"
            )
        yield Video(opened, container)


def _hint(source: Source) -> str:
    """Return what to do about a source that cannot be opened."""
    if source.device:
        return "check its number and that no other program uses it"
    try:
        with open(source.name, "rb") as file:
            is_mp4 = file.read(12)[4:8] == b"ftyp"
    except OSError:
        return "check its permissions"
    return "it is cut short, its index is missing; get a whole copy" if is_mp4 else "expected a video file"


def _video_streams(container: Any) -> list[Any]:
    """Return the video streams of an open container, without cover pictures."""
    streams = container.streams.video
    return [each for each in streams if not each.disposition & type(each.disposition).attached_pic]


def _stated_end_s(container: Any, stream: Any, start_s: float) -> float | None:
    """Return the time of the end that a file states, seconds on the clock of its timestamps, or None.

    The video stream's own duration counts; if there is none, that of the longest stream.
    """
    if stream.duration and stream.time_base:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if not container.duration:
        return None
    duration_s = container.duration / 1e6
    from_zero = container.format.name in _DURATION_FROM_ZERO and duration_s > start_s
    return float(duration_s) if from_zero else start_s + duration_s
