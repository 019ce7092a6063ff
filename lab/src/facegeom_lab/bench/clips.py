"""Clips made from the portrait that ships: their faces are known at every frame."""

from dataclasses import dataclass
from importlib.resources import files
from math import cos, pi, sin

import numpy as np
import numpy.typing as npt
from PIL import Image

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.floating]

SIZE_WH = (640, 360)
RATE = 30.0
PORTRAIT = "astronaut.jpg"
FACE_XY = (224.0, 121.0)
"""Middle of the portrait's face, pixels."""

ZOOM = 1.5


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip and where the portrait lies in each of its frames.

    Attributes:
        frames: (N, H, W, 3) uint8 RGB.
        maps: (N, 2, 3) from pixels of the first frame to those of each frame.
    """

    frames: UInt8Array
    maps: FloatArray


def still(count: int, noise: float, seed: int) -> Clip:
    """The portrait at rest, each frame with its own normal noise of so many grey levels."""
    random = np.random.default_rng(seed)
    picture = _shown(_portrait(), pose(0)).astype(np.float32)
    frames = np.empty((count, *picture.shape), np.uint8)
    for frame in frames:
        noisy = picture + noise * random.standard_normal(picture.shape, np.float32)
        frame[:] = np.clip(np.rint(noisy), 0, 255)
    return Clip(frames, np.tile(np.eye(2, 3), (count, 1, 1)))


def moving(count: int, noise: float = 0.0, seed: int = 0) -> Clip:
    """The portrait shifted, zoomed and turned, smoothly and without end; frame 0 is that of :func:`still`.

    The face moves by up to about its own width a second and turns by up to 28 degrees a second.
    """
    portrait, random = _portrait(), np.random.default_rng(seed)
    poses = [pose(index / RATE) for index in range(count)]
    frames = np.empty((count, SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    for frame, matrix in zip(frames, poses, strict=True):
        noisy = _shown(portrait, matrix) + noise * random.standard_normal(frame.shape, np.float32)
        frame[:] = np.clip(np.rint(noisy), 0, 255)
    back = np.linalg.inv(poses[0])
    return Clip(frames, np.stack([(matrix @ back)[:2] for matrix in poses]))


def pose(time_s: float) -> FloatArray:
    """(3, 3) from pixels of the portrait to those of the clip, at a time."""

    def swing(period_s: float) -> float:
        return sin(2 * pi * time_s / period_s)

    scale, angle = ZOOM * (1 + 0.2 * swing(5.0)), np.deg2rad(20 * swing(4.5))
    turn = scale * np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
    middle = np.array([(SIZE_WH[0] - 1) / 2 + 100 * swing(4.0), (SIZE_WH[1] - 1) / 2 + 30 * swing(3.0)])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = turn, middle - turn @ FACE_XY
    return matrix


def _portrait() -> Image.Image:
    with (files("facegeom") / "data" / PORTRAIT).open("rb") as stream:
        return Image.open(stream).convert("RGB")


def _shown(portrait: Image.Image, matrix: FloatArray) -> UInt8Array:
    """The frame (H, W, 3) that shows the portrait through a map."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # Pillow counts from the corner of the first pixel
    back = half @ np.linalg.inv(matrix) @ np.linalg.inv(half)
    data = tuple(back[:2].ravel().tolist())
    shown = portrait.transform(SIZE_WH, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
    return np.asarray(shown)
