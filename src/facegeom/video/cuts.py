"""Find hard cuts: the frames that show another scene than the frame before."""

import numpy as np
import numpy.typing as npt
from PIL import Image

THUMBNAIL_WH = (32, 18)
"""Size of the grey images that are compared: motion inside a scene changes them little."""

MIN_CHANGE = 10.0
"""A cut changes cells of the thumbnail by more than this, grey levels …"""

MIN_CHANGED = 0.5
"""… at least this fraction of them, which something that passes the camera does not …"""

MAX_CORRELATION = 0.65
"""… leaves at most this correlation, which a change of light does not lower …"""

MAX_SHIFT_XY = (5, 3)
"""Shifts of the thumbnail that are tried: a camera that is moved shows the same scene, shifted."""

MIN_RATIO = 3.0
"""… and changes them so many times more than the frames before, which a moving camera does not."""

_KEEP = 0.8
"""Weight of the past in the running mean of the changes."""


class CutDetector:
    """Tell for each frame, given in order, whether a new scene begins with it."""

    def __init__(self) -> None:
        self._last: npt.NDArray[np.float32] | None = None
        self._mean_change = 0.0

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> bool:
        """Return whether the frame (H, W, 3) starts another scene; False for the first frame."""
        step = max(1, min(pixels.shape[0] // 72, pixels.shape[1] // 128))  # no need to read every pixel
        small = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
        thumbnail = np.asarray(small.convert("L").resize(THUMBNAIL_WH, Image.Resampling.BOX), np.float32)
        last, self._last = self._last, thumbnail
        if last is None:
            return False
        changes = np.abs(thumbnail - last)
        change = float(changes.mean())
        is_cut = (
            float((changes > MIN_CHANGE).mean()) >= MIN_CHANGED
            and change >= MIN_RATIO * self._mean_change
            and correlation(last, thumbnail) <= MAX_CORRELATION
        )
        self._mean_change = _KEEP * self._mean_change + (1 - _KEEP) * change
        return is_cut


def correlation(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    """Return the largest correlation, in [-1, 1], of two grey images (H, W), one of them shifted a little.

    A flat image has the correlation 0 with every other one.
    """
    height, width = first.shape
    best = -1.0
    for y in range(-MAX_SHIFT_XY[1], MAX_SHIFT_XY[1] + 1):
        for x in range(-MAX_SHIFT_XY[0], MAX_SHIFT_XY[0] + 1):
            one = first[max(0, y) : height + min(0, y), max(0, x) : width + min(0, x)]
            other = second[max(0, -y) : height + min(0, -y), max(0, -x) : width + min(0, -x)]
            one, other = one - one.mean(), other - other.mean()
            norm = float(np.sqrt((one**2).sum() * (other**2).sum()))
            best = max(best, float((one * other).sum()) / norm if norm > one.size else 0.0)
    return best
