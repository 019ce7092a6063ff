"""Read videos and cameras: upright RGB frames with their timestamps, in order."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeom.errors import FacegeomError, InputError
from facegeom.image.reading import MAX_PIXELS

UInt8Array = npt.NDArray[np.uint8]

CAMERAS = {
    "linux": ("v4l2", "/dev/video{}"),
    "darwin": ("avfoundation", "{}"),
    "win32": ("dshow", "video={}"),
}
"""FFmpeg's input device and the pattern of a camera's name, by ``sys.platform``."""

AV_OPTIONS = {"options": {"protocol_whitelist": "file"}}
"""Arguments of every ``av.open`` for reading: a playlist must not reach the network."""

_DEFAULT_RATE = 30.0
"""Frames per second to assume when the file states no rate."""

_END_TOLERANCE_S = 1.0
"""A video that ends earlier than its stated duration by more than this is cut short."""

_MAX_DAMAGED_PACKETS = 1000
_NON_VIDEO_FORMATS = ("image2", "tty", "concat")
"""FFmpeg formats of photos, text and file lists, which FFmpeg also opens as videos."""


class VideoError(FacegeomError):
    """A video cannot be read, or not to its end."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One video frame.

    Attributes:
        index: 0, 1, 2 … in presentation order.
        time_s: presentation time in seconds, from the start of the file or from the camera's first frame.
        pixels: (H, W, 3) uint8 RGB, upright.
    """

    index: int
    time_s: float
    pixels: UInt8Array


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

    @property
    def av_arguments(self) -> tuple[str, str, str | None]:
        """File, mode and format for ``av.open``; "file:" keeps a name from being read as a protocol."""
        return (self.name if self.device else f"file:{self.name}"), "r", self.device

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
    """

    def __init__(self, source: Source, container: Any) -> None:
        self.source = source
        self._container = container
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = float(self._stream.average_rate or 0) or _DEFAULT_RATE
        self.start_s = (container.start_time or 0) / 1e6
        self.duration_s = None if source.device else _stated_duration_s(container, self._stream)
        self._damaged_packets = 0

    @property
    def frames(self) -> int | None:
        """Approximate number of frames; None if the file does not state it."""
        counted = int(self._stream.frames)
        return counted or (round(self.duration_s * self.rate) if self.duration_s else None)

    @property
    def time_base(self) -> Fraction:
        """Unit of the frames' timestamps, seconds."""
        base = self._stream.time_base
        return Fraction(base.numerator, base.denominator)

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame that can be read.

        Raises:
            VideoError: after the last frame, if the file is damaged or cut short.
        """
        count, time_s = 0, 0.0
        for frame in self._decode():
            if frame.time is not None:
                time_s = frame.time - self.start_s
            elif count:
                time_s += 1 / self.rate
            yield Frame(count, time_s, upright(frame))
            count += 1
        self._check_end(count, time_s)

    def _decode(self) -> Iterator[Any]:
        """Yield PyAV's frames; count and skip packets that cannot be decoded."""
        from av.error import FFmpegError

        packets = self._container.demux(self._stream)
        while True:
            try:
                frames = next(packets).decode()
            except StopIteration:
                return
            except FFmpegError:
                self._damaged_packets += 1
                if self._damaged_packets > _MAX_DAMAGED_PACKETS:
                    return
                continue
            yield from frames

    def _check_end(self, count: int, time_s: float) -> None:
        """Raise a VideoError if packets were skipped or frames are missing."""
        faults = [f"{self._damaged_packets} damaged packets were left out"] * bool(self._damaged_packets)
        if self.duration_s and time_s < self.duration_s - max(_END_TOLERANCE_S, 2 / self.rate):
            faults.append(f"it ends at {time_s:.1f} s of {self.duration_s:.1f} s")
        if not count:
            faults.append("no frame could be read")
        if faults:
            raise VideoError(f"{self.source.title} is damaged: {', '.join(faults)}; get a whole copy")


@contextmanager
def open_video(source: Source | str | os.PathLike[str]) -> Iterator[Video]:
    """Open a video file or a camera for the length of the ``with`` block.

    Args:
        source: a path, or :meth:`Source.camera`.

    Raises:
        VideoError: the file or camera does not exist, or is not a video.
    """
    import av

    opened = source if isinstance(source, Source) else Source(os.fspath(source))
    if opened.device is None:
        _check_file(Path(opened.name))
    try:
        container = av.open(*opened.av_arguments, **AV_OPTIONS)
    except (av.error.FFmpegError, ValueError) as error:
        camera_hint = "check its number and that no other program uses it"
        hint = camera_hint if opened.device else "expected a video file"
        raise VideoError(f"cannot open {opened.title}: {error}; {hint}") from error
    with container:
        _check_video(opened, container)
        yield Video(opened, container)


def upright(frame: Any) -> UInt8Array:
    """Return the pixels (H, W, 3) uint8 RGB of a PyAV frame, rotated as its metadata state."""
    if frame.width * frame.height > MAX_PIXELS:
        raise VideoError(
            f"expected frames of at most {MAX_PIXELS:,} pixels, got {frame.width} x {frame.height}"
        )
    pixels: UInt8Array = frame.to_ndarray(format="rgb24")
    quarter_turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


def _check_file(path: Path) -> None:
    if not path.is_file():
        problem = "a folder" if path.is_dir() else "no such file"
        raise VideoError(f"expected a video file, but {str(path)!r} is {problem}")


def _check_video(source: Source, container: Any) -> None:
    """Raise a VideoError if the opened container is a photo, text, or has no video stream."""
    kind = container.format.name
    if not source.device and (kind in _NON_VIDEO_FORMATS or kind.endswith("_pipe")):
        raise VideoError(
            f"expected a video, got {source.title}, a file of the kind {kind!r}; photos go to `analyze`"
        )
    if not container.streams.video:
        raise VideoError(
            f"{source.title} has no video stream, only {len(container.streams)} other streams; give a video"
        )


def _stated_duration_s(container: Any, stream: Any) -> float | None:
    """Return the stated duration of the video stream in seconds, or None.

    The container's duration counts only if there is no other stream: it may be that of the sound.
    """
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    only_stream = len(container.streams) == 1
    return container.duration / 1e6 if only_stream and container.duration else None
