"""Overlay videos out: H.264 in MP4 with the times of the frames that came in, and their sound."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeom.errors import OutputError
from facegeom.export.files import replacing
from facegeom.video.reading import OPTIONS, Video

UInt8Array = npt.NDArray[np.uint8]

CODECS = ("libx264", "mpeg4")
"""The first that this PyAV can encode is used."""

_CLOCK = Fraction(1, 90_000)
"""Unit of the times that are written, seconds; divides those of the usual frame rates."""

_QUALITY = {"libx264": {"crf": "18", "preset": "veryfast"}, "mpeg4": {"qscale": "3"}}

_FORMATS = {".mp4": "mp4", ".mkv": "matroska"}

MP4_SOUND = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
"""Audio codecs that players expect in MP4; others are kept in Matroska."""


class VideoWriter:
    """Frames into an open video file. Get one from :func:`open_writer`."""

    def __init__(self, container: Any, video: Video, sound: "_Sound | None") -> None:
        self._container, self._rate, self._sound = container, video.rate, sound
        self._stream: Any = None
        self._last = -1

    def write(self, pixels: UInt8Array, time_s: float) -> None:
        """Append a frame.

        Args:
            pixels: (H, W, 3) uint8 RGB; the first frame decides the size of all.
            time_s: when it is shown; later than the frame before.
        """
        import av

        if self._stream is None:
            self._stream = self._open_stream(pixels)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts = self._last = max(self._last + 1, round(time_s / _CLOCK))
        frame.time_base = _CLOCK
        self._container.mux(self._stream.encode(frame))
        if self._sound:
            self._sound.copy_until(time_s)

    def _open_stream(self, pixels: UInt8Array) -> Any:
        codec = _codec()
        stream = self._container.add_stream(codec, rate=round(self._rate) or 1, options=_QUALITY[codec])
        stream.height, stream.width = (
            max(2, side - side % 2) for side in pixels.shape[:2]
        )  # 4:2:0 halves both
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _CLOCK
        if self._sound:
            self._sound.join(self._container)
        return stream

    def finish(self) -> None:
        """Write what the encoder still holds, and the rest of the sound."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
            if self._sound:
                self._sound.copy_until(None)


class _Sound:
    """The first audio stream of a file, copied packet by packet, without decoding."""

    def __init__(self, container: Any, start_s: float) -> None:
        self._stream = container.streams.audio[0]
        base = self._stream.time_base
        self._second = Fraction(base.denominator, base.numerator)
        self._start = round(start_s * self._second)
        self._packets = (packet for packet in container.demux(self._stream) if packet.dts is not None)
        self._next: Any = None
        self._target: Any = None

    @property
    def codec(self) -> str:
        """FFmpeg's name of the audio codec."""
        return str(self._stream.codec_context.name)

    def join(self, container: Any) -> None:
        """Add a stream of the same kind to what is written."""
        self._target = container.add_stream_from_template(self._stream)
        self._container = container

    def copy_until(self, time_s: float | None) -> None:
        """Copy the packets up to a time; all that are left for None."""
        from av.error import FFmpegError

        limit = None if time_s is None else self._start + round(time_s * self._second)
        while True:
            try:
                packet = self._next or next(self._packets, None)
            except FFmpegError:  # the same damage ends the pictures, whose reader reports it
                packet = None
            self._next = packet
            if packet is None or (limit is not None and packet.dts > limit):
                return
            self._next = None
            self._copy(packet)

    def _copy(self, packet: Any) -> None:
        packet.dts -= self._start
        packet.pts = packet.dts if packet.pts is None else packet.pts - self._start
        packet.stream = self._target
        self._container.mux(packet)


def ending(video: Video) -> str:
    """ ".mp4", or ".mkv" where the sound could not be copied into MP4."""
    with _sound_of(video) as sound:
        return ".mp4" if sound is None or sound.codec in MP4_SOUND else ".mkv"


@contextmanager
def open_writer(path: Path, video: Video) -> Iterator[VideoWriter]:
    """A video file to write, there under its name once the block has ended without an error.

    Args:
        path: of the file, ending in ".mp4" or ".mkv" as :func:`ending` says.
        video: whose frame rate and sound are kept.

    Raises:
        OutputError: the file cannot be written.
    """
    import av

    with replacing(path) as temporary, _sound_of(video) as sound:
        try:
            with av.open(str(temporary), "w", format=_FORMATS[path.suffix]) as container:
                writer = VideoWriter(container, video, sound)
                yield writer
                writer.finish()
        except av.error.FFmpegError as error:
            raise OutputError(f"cannot write the video {str(path)!r}: {error}; check the folder") from error


@contextmanager
def _sound_of(video: Video) -> Iterator[_Sound | None]:
    """The sound of the file, read beside its pictures; None for cameras and silent files."""
    import av

    if video.source.device:
        yield None
        return
    with av.open(*video.source.address, **OPTIONS) as container:
        yield _Sound(container, video.start_s) if container.streams.audio else None


def _codec() -> str:
    import av

    known = [name for name in CODECS if name in av.codecs_available]
    if not known:
        raise OutputError(
            f"expected a PyAV that encodes {' or '.join(CODECS)}; install av from the package index"
        )
    return known[0]
