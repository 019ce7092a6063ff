"""Write overlay videos: H.264 in MP4 with the timestamps, the colours and the sound of the input."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np

from facegeom.errors import OutputError
from facegeom.export.files import replacing
from facegeom.video.frames import UInt8Array
from facegeom.video.reading import AHEAD_S, BACK_S, Video

_TIME_BASE = Fraction(1, 90_000)
"""Unit of the written timestamps, seconds; the frame durations of the usual rates are multiples of it."""

_QUALITY = {"libx264": {"crf": "18", "preset": "veryfast"}, "mpeg4": {"qscale": "3"}}
_FORMATS = {".mp4": "mp4", ".mkv": "matroska"}

MP4_SOUND = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
"""Audio codecs that players expect in MP4; others are kept in Matroska."""


class VideoWriter:
    """Append frames to an open video file. Get one from :func:`open_writer`."""

    def __init__(self, container: Any, video: Video, sound: "_SoundCopier | None") -> None:
        self._container, self._video, self._sound = container, video, sound
        stored = video.encoding
        self._colours = stored.colours.written(stored.width, stored.height)
        self._matrix = self._colours.scaler_matrix(stored.width, stored.height)
        self._stream: Any = None
        self._first_s, self._last_pts = 0.0, -1
        self.warning: str | None = None
        """What the video lacks of the sound, though the input is whole."""

    def write(self, pixels: UInt8Array, time_s: float) -> None:
        """Append a frame.

        Args:
            pixels: (H, W, 3) uint8 RGB; the first frame sets the size of the video.
            time_s: presentation time in the input, later than that of the frame before. The first frame
                written starts the video, unless it is the input's first.
        """
        import av

        if self._stream is None:
            self._first_s = time_s if time_s * self._video.rate > 1.5 else 0.0
            self._stream = self._open_stream(pixels)
        rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        colours = self._colours
        frame = rgb.reformat(
            self._stream.width,
            self._stream.height,
            self._stream.pix_fmt,
            dst_colorspace=self._matrix,
            dst_color_range=colours.scaler_range,
        )
        frame.colorspace, frame.color_range = colours.matrix, colours.range
        frame.pts = self._last_pts = max(self._last_pts + 1, round((time_s - self._first_s) / _TIME_BASE))
        frame.time_base = _TIME_BASE
        self._container.mux(self._stream.encode(frame))
        if self._video.jumps_s:
            self._sound = None  # its times would no longer be those of the pictures
        if self._sound:
            self._sound.copy_until(time_s)

    def _open_stream(self, pixels: UInt8Array) -> Any:
        """Add the video stream, of the size of these pixels and the input's colours, and the sound."""
        import av

        codec, colours = "libx264" if "libx264" in av.codecs_available else "mpeg4", self._colours
        stream = self._container.add_stream(codec, rate=round(self._video.rate) or 1, options=_QUALITY[codec])
        height, width = pixels.shape[:2]
        stream.height, stream.width = (max(2, side - side % 2) for side in (height, width))  # 4:2:0: even
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = _TIME_BASE
        context.colorspace, context.color_range = colours.matrix, colours.range
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        if self._sound:
            try:
                self._sound.add_stream_to(self._container, self._first_s)
            except ValueError:  # "format does not support codec"
                codec, self._sound = self._sound.codec, None
                self.warning = f"the overlay is silent: no file that it may be written to holds {codec} sound"
        return stream

    def finish(self) -> None:
        """Write the encoder's remaining frames, and the rest of the sound if the input was read whole."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
            if self._sound and self._video.reached_end:
                self._sound.copy_until(None)
            if self._sound and self._sound.jumps:
                self.warning = "the sound of the overlay ends where the clock of the sound jumps"


class _SoundCopier:
    """Copy the first audio stream of a file packet by packet, without decoding."""

    def __init__(self, container: Any, start_s: float) -> None:
        self._stream = container.streams.audio[0]
        self._units_per_s = 1 / self._stream.time_base
        self._file_start = self._start = round(start_s * self._units_per_s)
        self._packets = (packet for packet in container.demux(self._stream) if packet.dts is not None)
        self._last_dts, self.jumps = nan, False
        self._next = self._read()

    @property
    def codec(self) -> str:
        """FFmpeg's name of the audio codec; a decoder's may differ, as "mp3float"."""
        return str(self._stream.codec_context.codec.canonical_name)

    def add_stream_to(self, container: Any, first_s: float) -> None:
        """Add a stream of the same codec to the output container, which starts at a time of the input."""
        self._target = container.add_stream_from_template(self._stream)
        self._container = container
        self._start += round(first_s * self._units_per_s)

    def copy_until(self, time_s: float | None) -> None:
        """Copy the packets up to a time; all that are left if it is None."""
        limit = inf if time_s is None else self._file_start + round(time_s * self._units_per_s)
        while self._next is not None and self._next.dts <= limit:
            packet, self._next = self._next, self._read()
            if self._start > self._file_start and packet.dts < self._start:
                continue  # before the first frame that is written
            packet.dts -= self._start
            packet.pts = packet.dts if packet.pts is None else packet.pts - self._start
            packet.stream = self._target
            self._container.mux(packet)

    def _read(self) -> Any:
        """Return the next packet; None at the end, or where the clock goes back or jumps ahead."""
        from av.error import FFmpegError

        with suppress(FFmpegError):  # the same damage ends the video stream, whose reader reports it
            for packet in self._packets:
                step_s = (packet.dts - self._last_dts) / self._units_per_s
                if -BACK_S <= step_s <= 0:
                    continue  # files take rising times only
                self._last_dts, self.jumps = packet.dts, step_s < 0 or step_s > AHEAD_S
                return None if self.jumps else packet
        return None


def suffix_for(video: Video) -> str:
    """Return ".mp4", or ".mkv" if MP4 cannot hold the video's sound."""
    with _open_sound(video) as sound:
        return ".mp4" if sound is None or sound.codec in MP4_SOUND else ".mkv"


@contextmanager
def open_writer(path: Path, video: Video) -> Iterator[VideoWriter]:
    """Open a video file for writing; it appears under its name when the block ends without an error.

    Args:
        path: path of the file, with the suffix ".mp4" or ".mkv" that :func:`suffix_for` returns.
        video: the input, whose frame rate and sound are kept.

    Raises:
        OutputError: the file cannot be written.
    """
    import av

    with replacing(path) as temporary, _open_sound(video) as sound:
        try:
            with av.open(str(temporary), "w", format=_FORMATS[path.suffix]) as container:
                writer = VideoWriter(container, video, sound)
                yield writer
                writer.finish()
        except av.error.FFmpegError as error:
            raise OutputError(f"cannot write the video {str(path)!r}: {error}; check the folder") from error


@contextmanager
def _open_sound(video: Video) -> Iterator[_SoundCopier | None]:
    """Open the sound of the input a second time; yield None for cameras, silent files, unknown codecs."""
    if video.source.device:
        yield None
        return
    with video.source.open_container() as container:
        readable = container.streams.audio and container.streams.audio[0].codec_context is not None
        yield _SoundCopier(container, video.start_s) if readable else None
