"""Videos and cameras in: upright RGB frames with their times, one after the other."""

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
"""FFmpeg's input device and the name of a camera in it, by ``sys.platform``."""

_FALLBACK_RATE = 30.0
_ENDS_EARLY_S = 1.0
"""A video that stops so much before its announced end is cut short."""

_MAX_DAMAGED = 1000
_NO_VIDEOS = ("image2", "tty", "concat")
"""FFmpeg's names of what it opens as a video besides: photos, text, lists of other files."""

OPTIONS = {"options": {"protocol_whitelist": "file"}}  # a playlist must not reach the network


class VideoError(FacegeomError):
    """A video cannot be read, or not to its end."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        index: 0, 1, 2 … in the order of showing.
        time_s: when it is shown, seconds from the beginning of the file or from the camera's first frame.
        pixels: (H, W, 3) uint8 RGB, upright.
    """

    index: int
    time_s: float
    pixels: UInt8Array


@dataclass(frozen=True)
class Source:
    """What to open: a file, or a camera.

    Attributes:
        name: path of the file, or the device's name of the camera.
        device: FFmpeg's input device; None for a file.
    """

    name: str
    device: str | None = None

    @classmethod
    def camera(cls, number_or_name: int | str) -> "Source":
        """A camera by its number from 0, or by its name where the system names them (Windows).

        Raises:
            InputError: facegeom does not know the cameras of this system.
        """
        if sys.platform not in CAMERAS:
            raise InputError(f"expected a camera on {', '.join(CAMERAS)}, got {sys.platform}; use a file")
        device, pattern = CAMERAS[sys.platform]
        return cls(pattern.format(number_or_name), device)

    @property
    def address(self) -> tuple[str, str, str | None]:
        """File, mode and format for ``av.open``; "file:" keeps a name from being read as a protocol."""
        return (self.name if self.device else f"file:{self.name}"), "r", self.device

    @property
    def stem(self) -> str:
        """Name of the outputs, without ending."""
        return Path(self.name).stem if self.device is None else "camera"

    @property
    def title(self) -> str:
        """For messages."""
        return f"camera {self.name!r}" if self.device else repr(self.name)


class Video:
    """An open video. Get one from :func:`open_video`, iterate over it once.

    Attributes:
        source: what was opened.
        rate: average frames per second.
        start_s: the container's clock at the beginning of the file.
        duration_s: as announced by the file; None if it does not say, and for cameras.
    """

    def __init__(self, source: Source, container: Any) -> None:
        self.source = source
        self._container = container
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = float(self._stream.average_rate or 0) or _FALLBACK_RATE
        self.start_s = (container.start_time or 0) / 1e6
        self.duration_s = None if source.device else _announced(container, self._stream)
        self._damaged = 0

    @property
    def frames(self) -> int | None:
        """How many frames to expect, roughly; None if the file does not say."""
        counted = int(self._stream.frames)
        return counted or (round(self.duration_s * self.rate) if self.duration_s else None)

    @property
    def time_base(self) -> Fraction:
        """The clock of the file's frames, seconds."""
        base = self._stream.time_base
        return Fraction(base.numerator, base.denominator)

    def __iter__(self) -> Iterator[Frame]:
        """All frames that can be read.

        Raises:
            VideoError: after the last of them, if the file is damaged or cut short.
        """
        count, time_s = 0, 0.0
        for frame in self._decoded():
            if frame.time is not None:
                time_s = frame.time - self.start_s
            elif count:
                time_s += 1 / self.rate
            yield Frame(count, time_s, upright(frame))
            count += 1
        self._check_end(count, time_s)

    def _decoded(self) -> Iterator[Any]:
        """Frames as PyAV gives them; packets that cannot be decoded are counted and left out."""
        from av.error import FFmpegError

        packets = self._container.demux(self._stream)
        while True:
            try:
                frames = next(packets).decode()
            except StopIteration:
                return
            except FFmpegError:
                self._damaged += 1
                if self._damaged > _MAX_DAMAGED:
                    return
                continue
            yield from frames

    def _check_end(self, count: int, time_s: float) -> None:
        faults = [f"{self._damaged} damaged packets were left out"] * bool(self._damaged)
        if self.duration_s and time_s < self.duration_s - max(_ENDS_EARLY_S, 2 / self.rate):
            faults.append(f"it ends at {time_s:.1f} s of {self.duration_s:.1f} s")
        if not count:
            faults.append("no frame could be read")
        if faults:
            raise VideoError(f"{self.source.title} is damaged: {', '.join(faults)}; get a whole copy")


@contextmanager
def open_video(source: Source | str | os.PathLike[str]) -> Iterator[Video]:
    """A video file, or a camera, open as long as the block lasts.

    Args:
        source: a path, or :meth:`Source.camera`.

    Raises:
        VideoError: there is no such file or camera, or it is no video.
    """
    import av

    what = source if isinstance(source, Source) else Source(os.fspath(source))
    if what.device is None:
        _check_file(Path(what.name))
    try:
        container = av.open(*what.address, **OPTIONS)
    except (av.error.FFmpegError, ValueError) as error:
        hint = (
            "check its number and that no other program uses it" if what.device else "expected a video file"
        )
        raise VideoError(f"cannot open {what.title}: {error}; {hint}") from error
    with container:
        _check_video(what, container)
        yield Video(what, container)


def upright(frame: Any) -> UInt8Array:
    """The pixels (H, W, 3) uint8 RGB of a PyAV frame, turned as its metadata say."""
    if frame.width * frame.height > MAX_PIXELS:
        raise VideoError(
            f"expected frames of at most {MAX_PIXELS:,} pixels, got {frame.width} x {frame.height}"
        )
    pixels: UInt8Array = frame.to_ndarray(format="rgb24")
    quarter_turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


def _check_file(path: Path) -> None:
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise VideoError(f"expected a video file, but {str(path)!r} is {what}")


def _check_video(source: Source, container: Any) -> None:
    kind = container.format.name
    if not source.device and (kind in _NO_VIDEOS or kind.endswith("_pipe")):
        raise VideoError(
            f"expected a video, got {source.title}, a file of the kind {kind!r}; photos go to `analyze`"
        )
    if not container.streams.video:
        raise VideoError(
            f"{source.title} has no picture, only {len(container.streams)} other streams; give a video"
        )


def _announced(container: Any, stream: Any) -> float | None:
    """Seconds that the file says its pictures last; that of the whole file may be that of its sound."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1
    return container.duration / 1e6 if alone and container.duration else None
