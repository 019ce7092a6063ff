"""Animations of one face of a video: the CSV of Live Link Face, the moving mesh as glTF, the head as BVH."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from facegeom.depth.surface import Surface
from facegeom.export import bvh, glb, livelink
from facegeom.export.files import replacing
from facegeom.geometry import topology
from facegeom.geometry.rotation import geodesic_deg
from facegeom.geometry.schemes import MESH478_EYE_ENDS, MESH478_IRISES
from facegeom.results import Face
from facegeom.results.measures import known
from facegeom.video.frames import Frame, UInt8Array
from facegeom.video.tracking import TrackedFaces

FloatArray = npt.NDArray[np.floating]

ANIMATIONS = {"livelink": "livelink.csv", "glb": "glb", "bvh": "bvh"}
"""Formats of animations, and the endings of their files."""

TOLERANCE_MM, MAX_SHAPES = 0.1, 64
"""Shapes are added until they give the meshes back to so many millimetres, root mean square, or so many."""

_MORE_FRONTAL_DEG = 2.0

MOST_STEADY_FRAMES = 1_000_000
"""Longer motions of a steady rate get a lower one."""

MOST_TAKES = 8
"""Persons whose frames are kept: of more, the one with the fewest is left out."""


def motion_of(face: Face) -> tuple[FloatArray, FloatArray]:
    """Return coefficients (52,) and gaze (2, 3) of a face.

    Raises:
        InputError: it comes from a file of an older version, without them.
    """
    return known(face.expression, "expression"), known(face.gaze, "gaze")


def live_link_numbers(face: Face) -> npt.NDArray[np.float64]:
    """Return the 61 numbers of a face in Live Link Face; raise an InputError as :func:`motion_of`."""
    expression, gaze = motion_of(face)
    return livelink.values(expression, face.rotation, gaze)


def main_face(tracked: TrackedFaces) -> Face | None:
    """Return the face with the lowest track id: of those in the frame the one that is known longest."""
    return tracked.faces[0] if len(tracked.ids) else None


class LiveLinkTake:
    """Append rows to an open CSV file, one for each frame."""

    def __init__(self, writer: Any, rate: float) -> None:
        self._writer, self._rate = writer, rate
        writer.writerow(livelink.CSV_HEADER)

    def write(self, frame: Frame, tracked: TrackedFaces) -> None:
        """Append the row of a frame."""
        face = main_face(tracked)
        numbers = None if face is None else live_link_numbers(face)
        self._writer.writerow(livelink.csv_row(numbers, frame.time_s, self._rate))


class LongestTake:
    """Collect the main face of each frame, each person's frames apart, and encode the longest of these takes.

    Args:
        make: makes an empty take.
    """

    def __init__(self, make: "Callable[[], MovingFace | MovingHead]") -> None:
        self._make = make
        self._takes: dict[int, MovingFace | MovingHead] = {}

    def write(self, frame: Frame, tracked: TrackedFaces) -> None:
        """Note the main face of a frame."""
        if (face := main_face(tracked)) is None:
            return
        track_id = int(tracked.ids[0])
        if track_id not in self._takes:
            if len(self._takes) == MOST_TAKES:
                del self._takes[min(self._takes, key=lambda each: self._takes[each].frames)]
            self._takes[track_id] = self._make()
        self._takes[track_id].write(frame, face)

    def encode(self) -> bytes:
        """Encode the face with most frames; nothing that moves, if there was none."""
        return max(self._takes.values(), key=lambda take: take.frames, default=self._make()).encode()


class _Take:
    """What was collected of one face: times, and three arrays for each."""

    def __init__(self) -> None:
        self._times_s: list[float] = []
        self._faces: list[tuple[FloatArray, FloatArray, FloatArray]] = []

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self._times_s)


class MovingFace(_Take):
    """Collect the meshes of a face, 6 kB for each frame.

    The texture is the frame in which the face is most frontal.
    """

    def __init__(self) -> None:
        super().__init__()
        self._turned_deg = np.inf
        self._image: UInt8Array | None = None
        self._pixels_xy: FloatArray = np.zeros((0, 2))

    def write(self, frame: Frame, face: Face) -> None:
        """Note the face of a frame that is later than the last."""
        if self._times_s and frame.time_s <= self._times_s[-1]:
            return  # glTF's times rise
        self._times_s.append(frame.time_s)
        in_head = (face.mesh_mm - face.translation_mm) @ face.camera_rotation
        self._faces.append((in_head, face.camera_rotation, face.translation_mm))
        turned_deg = float(geodesic_deg(face.rotation, np.eye(3)))
        if turned_deg < self._turned_deg - _MORE_FRONTAL_DEG:
            self._turned_deg, self._image = turned_deg, frame.pixels.copy()
            self._pixels_xy = face.mesh_px[:, :2]

    def encode(self) -> bytes:
        """Encode the glTF: an empty scene, if there was no face."""
        if not self._times_s:
            return glb.encode_nothing()
        meshes, rotations, translations = map(np.stack, zip(*self._faces, strict=True))
        rest, shapes, weights = shapes_of(meshes)
        surface, times_s = Surface(rest, with_eyes(), self._pixels_xy), np.array(self._times_s)
        moving = glb.MovingMesh(surface, shapes, times_s, weights, rotations, translations)
        return glb.encode_animation(moving, self._image)


class MovingHead(_Take):
    """Collect the head and the gaze of a face, of each frame."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate

    def write(self, frame: Frame, face: Face) -> None:
        """Note the face of a frame."""
        self._times_s.append(frame.time_s)
        self._faces.append((face.camera_rotation, face.translation_mm, motion_of(face)[1]))

    def encode(self) -> bytes:
        """Encode the BVH from the first face on, at a steady rate: a face stays until the next one."""
        if not self._times_s:
            return bvh.encode(np.zeros((0, 3, 3)), np.zeros((0, 3)), np.zeros((0, 2, 3)), self._rate)
        times_s = np.array(self._times_s) - self._times_s[0]
        rate = min(self._rate, MOST_STEADY_FRAMES / max(times_s[-1], 1))
        steady_s = np.arange(round(times_s[-1] * rate) + 1) / rate
        last = np.searchsorted(times_s, steady_s + 0.5 / rate) - 1
        rotations, translations, gaze = (np.stack(each)[last] for each in zip(*self._faces, strict=True))
        return bvh.encode(rotations, translations, gaze, rate)


def with_eyes() -> npt.NDArray[np.int32]:
    """Return the triangles (T, 3) of the mesh, and others from the lids to the irises' centres."""
    *_, first, second = topology.openings()
    eyes = [
        (after, point, iris[0])
        for (corner, _), iris in zip(MESH478_EYE_ENDS, MESH478_IRISES, strict=True)
        for lids in (first, second)
        for point, after in zip(lids, lids[1:] + lids[:1], strict=True)
        if corner in lids
    ]
    return np.concatenate([topology.triangles(), np.array(eyes, np.int32)])


def shapes_of(meshes_mm: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Split meshes into their mean and the fewest shapes that give them back: principal components.

    Args:
        meshes_mm: (N, V, 3).

    Returns:
        The mean (V, 3), the shapes (K, V, 3), and weights (N, K) in [-1, 1].
    """
    flat = meshes_mm.reshape(len(meshes_mm), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    centred = flat - mean
    square = np.linalg.qr(centred, mode="r") if len(centred) > centred.shape[1] else centred
    sizes, axes = np.linalg.svd(square, full_matrices=False)[1:]
    left = np.sqrt(np.cumsum(sizes[::-1] ** 2)[::-1] / (len(flat) * meshes_mm.shape[1]))
    count = min(int(np.count_nonzero(left > TOLERANCE_MM)), MAX_SHAPES)
    weights = centred @ axes[:count].T
    largest = np.maximum(np.abs(weights).max(axis=0, initial=0), 1e-9)
    shapes = axes[:count] * largest[:, None]
    return mean.reshape(-1, 3), shapes.reshape(count, *meshes_mm.shape[1:]), weights / largest


@contextmanager
def open_animation(path: Path, kind: str, rate: float) -> Iterator[LiveLinkTake | LongestTake]:
    """Open an animation for writing; it appears under its name if the block ends without an error.

    Args:
        path: path of the file.
        kind: of :data:`ANIMATIONS`.
        rate: frames a second.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing(path) as temporary:
        if kind == "livelink":
            with temporary.open("w", newline="", encoding="ascii") as file:
                yield LiveLinkTake(csv.writer(file), rate)
        else:
            moving = LongestTake(MovingFace if kind == "glb" else lambda: MovingHead(rate))
            yield moving
            temporary.write_bytes(moving.encode())
