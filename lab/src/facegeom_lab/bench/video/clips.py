"""Synthetic clips with known motion, made from the portrait that ships; jitter and lag measured on them."""

from dataclasses import dataclass
from importlib.resources import files
from math import cos, pi, sin

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.geometry import transforms
from facegeom.geometry.schemes import MESH478_EYE_CORNERS

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.floating]

SIZE_WH = (640, 360)
RATE = 30.0
"""Frames per second."""

PORTRAIT = "astronaut.jpg"
FACE_XY = (224.0, 121.0)
"""Centre of the portrait's face, pixels."""

ZOOM = 1.5


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip and the known motion of its content.

    Attributes:
        frames: (N, H, W, 3) uint8 RGB.
        maps: (N, 2, 3) affine transforms from pixels of the first frame to those of each frame.
    """

    frames: UInt8Array
    maps: FloatArray


def still(count: int, noise: float, seed: int) -> Clip:
    """Return a clip of the portrait at rest, with independent normal noise in each frame.

    Args:
        count: frames.
        noise: standard deviation in grey levels.
        seed: of the noise.
    """
    random = np.random.default_rng(seed)
    image = _warped(_portrait(), pose(0)).astype(np.float32)
    frames = np.empty((count, *image.shape), np.uint8)
    for frame in frames:
        noisy = image + noise * random.standard_normal(image.shape, np.float32)
        frame[:] = np.clip(np.rint(noisy), 0, 255)
    return Clip(frames, np.tile(np.eye(2, 3), (count, 1, 1)))


def moving(count: int, noise: float = 0.0, seed: int = 0) -> Clip:
    """Return a clip of the portrait that is shifted, zoomed and rotated smoothly and periodically.

    Frame 0 is that of :func:`still`. The face moves by up to about its own width a second and rotates by up
    to 28 degrees a second.
    """
    portrait, random = _portrait(), np.random.default_rng(seed)
    poses = [pose(index / RATE) for index in range(count)]
    frames = np.empty((count, SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    for frame, matrix in zip(frames, poses, strict=True):
        noisy = _warped(portrait, matrix) + noise * random.standard_normal(frame.shape, np.float32)
        frame[:] = np.clip(np.rint(noisy), 0, 255)
    back = np.linalg.inv(poses[0])
    return Clip(frames, np.stack([(matrix @ back)[:2] for matrix in poses]))


def pose(time_s: float) -> FloatArray:
    """Return the (3, 3) transform from pixels of the portrait to those of the clip at a time."""

    def oscillation(period_s: float) -> float:
        return sin(2 * pi * time_s / period_s)

    scale, angle = ZOOM * (1 + 0.2 * oscillation(5.0)), np.deg2rad(20 * oscillation(4.5))
    linear = scale * np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
    centre = np.array(
        [(SIZE_WH[0] - 1) / 2 + 100 * oscillation(4.0), (SIZE_WH[1] - 1) / 2 + 30 * oscillation(3.0)]
    )
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, centre - linear @ FACE_XY
    return matrix


def _portrait() -> Image.Image:
    with (files("facegeom") / "data" / PORTRAIT).open("rb") as stream:
        return Image.open(stream).convert("RGB")


def _warped(portrait: Image.Image, matrix: FloatArray) -> UInt8Array:
    """Warp the portrait into a frame (H, W, 3)."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # Pillow counts from the corner of the first pixel
    back = half @ np.linalg.inv(matrix) @ np.linalg.inv(half)
    data = tuple(back[:2].ravel().tolist())
    frame = portrait.transform(SIZE_WH, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
    return np.asarray(frame)


def jitter_percent(points_px: FloatArray) -> float:
    """Return the jitter of points tracked through a clip without motion.

    Args:
        points_px: (N, 478, 2) of the frames; NaN where no face was found.

    Returns:
        Standard deviation of a point over the frames, averaged over points, in percent of the distance
        between the outer eye corners.
    """
    mean, spread = np.nanmean(points_px, axis=0), np.nanvar(points_px, axis=0).sum(axis=1)
    first, second = MESH478_EYE_CORNERS
    return float(100 * np.sqrt(spread).mean() / np.linalg.norm(mean[first] - mean[second]))


def lag_frames(points_px: FloatArray, rest_px: FloatArray, maps: FloatArray) -> float:
    """Return the delay of tracked points behind their known motion, by least squares.

    A point that lags by L frames is off by -L times its velocity. Each point's mean error is not lag and is
    subtracted first.

    Args:
        points_px: (N, 478, 2) of the frames; NaN where no face was found.
        rest_px: (478, 2) the points in the first frame.
        maps: (N, 2, 3) transforms from the first frame to each frame.

    Returns:
        Lag in frames; negative for points that run ahead.
    """
    truth = transforms.apply(maps, rest_px)
    velocity, error = np.gradient(truth, axis=0), points_px - truth
    seen = np.isfinite(error).all(axis=(1, 2))
    velocity, error = (part[seen] - part[seen].mean(axis=0) for part in (velocity, error))
    return float(-(velocity * error).sum() / (velocity**2).sum())
