"""Frames in and out: upright square RGB pixels, and the colours and the shape of the pixels of the source."""

import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeom.errors import FacegeomError
from facegeom.image.reading import MAX_PIXELS

UInt8Array = npt.NDArray[np.uint8]

UNSPECIFIED = 2
"""FFmpeg's number of a matrix, of primaries and of a transfer that a file does not state."""

_BT709, _BT601, _FULL, _LIMITED = 1, 5, 2, 1
_SCALER_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""The scaler's matrix for FFmpeg's number of a matrix: BT.709, FCC, BT.601 twice, SMPTE 240M, BT.2020."""

_SD_WH = (1279, 576)
"""Larger videos that state no matrix have BT.709's, others BT.601's, as players assume."""

_LARGEST_RATIO = 10
"""Pixels that are longer than this are a mistake of the file and taken as square."""


class VideoError(FacegeomError):
    """A video cannot be read, or not to its end."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One video frame.

    Attributes:
        index: 0, 1, 2 … in presentation order.
        time_s: presentation time in seconds, from the start of the file or from the camera's first frame.
        pixels: (H, W, 3) uint8 RGB, upright, square pixels.
        damaged: whether the decoder had to guess a part of it, or of a frame that it builds on.
    """

    index: int
    time_s: float
    pixels: UInt8Array
    damaged: bool = False


@dataclass(frozen=True)
class Colours:
    """What the numbers of a video's pixels mean, by FFmpeg's numbers.

    Attributes:
        matrix: from RGB to luma and chroma: 1 BT.709, 5 or 6 BT.601, 9 BT.2020.
        range: 1 limited (16 to 235), 2 full (0 to 255), 0 not stated: limited.
        primaries: 1 BT.709, 5 or 6 BT.601, 9 BT.2020.
        transfer: 1 BT.709, 6 BT.601, 14 and 15 BT.2020, 16 PQ, 18 HLG.
    """

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    def scaler_matrix(self, width: int, height: int) -> int:
        """Return the scaler's number of the matrix for a video of this size, pixels as stored."""
        is_large = width > _SD_WH[0] or height > _SD_WH[1]
        return _SCALER_MATRICES.get(self.matrix, _BT709 if is_large else _BT601)

    @property
    def scaler_range(self) -> int:
        """The scaler's number of the range."""
        return _FULL if self.range == _FULL else _LIMITED

    def written(self, width: int, height: int) -> "Colours":
        """Return the colours to write for a source of this size: its own, or the nearest that are no RGB."""
        if self.matrix in _SCALER_MATRICES or self.matrix == UNSPECIFIED:
            return self
        return replace(self, matrix=self.scaler_matrix(width, height), range=_LIMITED)


@dataclass(frozen=True)
class Encoding:
    """How a video stores its pictures.

    Attributes:
        width: pixels as stored.
        height: pixels as stored.
        pixel_ratio: width over height of a stored pixel.
        colours: meaning of the numbers.
    """

    width: int
    height: int
    pixel_ratio: Fraction = Fraction(1)
    colours: Colours = Colours()

    @classmethod
    def of_stream(cls, stream: Any) -> "Encoding":
        """Return the encoding that a PyAV video stream states."""
        context = stream.codec_context
        ratio = stream.sample_aspect_ratio or context.sample_aspect_ratio or Fraction(1)
        if not Fraction(1, _LARGEST_RATIO) <= ratio <= _LARGEST_RATIO:
            ratio = Fraction(1)
        named = (context.color_range, context.color_primaries, context.color_trc)
        colours = Colours(int(context.colorspace), *(int(number or 0) for number in named))
        return cls(context.width, context.height, ratio, colours)

    def to_frame_pixels(self, frame: Any) -> UInt8Array:
        """Return the pixels (H, W, 3) uint8 RGB of a PyAV frame: square, and upright as its metadata state.

        Raises:
            VideoError: the frame is too large.
        """
        width, height = square_size(frame.width, frame.height, self.pixel_ratio)
        if width * height > MAX_PIXELS:
            raise VideoError(f"expected frames of at most {MAX_PIXELS:,} pixels, got {width} x {height}")
        colours = self.colours
        matrix, full = int(frame.colorspace), int(frame.color_range) == _FULL
        if matrix in _SCALER_MATRICES or full:
            colours = Colours(matrix if matrix in _SCALER_MATRICES else colours.matrix, _FULL if full else 1)
        pixels: UInt8Array = frame.to_ndarray(
            format="rgb24",
            width=width,
            height=height,
            src_colorspace=colours.scaler_matrix(frame.width, frame.height),
            src_color_range=colours.scaler_range,
            dst_colorspace=_BT601,  # RGB has no matrix; old versions of PyAV need one that differs
        )
        return upright(pixels, display_matrix(frame))


def square_size(width: int, height: int, pixel_ratio: Fraction) -> tuple[int, int]:
    """Return the size with square pixels; the shorter side of the pixels is enlarged, none is lost."""
    if pixel_ratio > 1:
        return max(1, round(width * pixel_ratio)), height
    return width, max(1, round(height / pixel_ratio))


def display_matrix(frame: Any) -> tuple[int, int, int, int]:
    """Return a, b, c, d of a PyAV frame, which is shown with x' = a x + c y, y' = b x + d y."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = struct.unpack_from("=5i", bytes(data))
            return a, b, c, d
    return 1, 0, 0, 1


def upright(pixels: UInt8Array, matrix: tuple[int, int, int, int]) -> UInt8Array:
    """Return the pixels (H, W, 3) as shown: the nearest of the eight turns and mirrorings of the matrix."""
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = np.swapaxes(pixels, 0, 1), c, b
    if a < 0:
        pixels = pixels[:, ::-1]
    if d < 0:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
