"""Rendered heads with known rotation; rendered once, kept as images."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

import facegeom_lab.synth
from facegeom.geometry.boxes import face_box
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_from_angles, rotation_to_line_of_sight
from facegeom_lab.bench.progress import track
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.files import save_npz
from facegeom_lab.synth.generate import MODEL_FILE, generator, load_backgrounds
from facegeom_lab.synth.model import load_model
from facegeom_lab.synth.scene import render_scene, render_seen

FloatArray = npt.NDArray[np.floating]
Range = tuple[float, float]
Scene = tuple[np.random.Generator, Mapping[str, Any]]
"""Random generator of an image, and the parameters of the set's renderer."""


_TRUTH = ("camera_rotation", "translation_mm", "landmarks_px")
"""What is kept beside the images."""


@dataclass(frozen=True)
class HeadSet:
    """A set of images with one head each; angles in the camera frame are uniform over ranges, degrees."""

    seed: int
    count: int
    yaw_deg: Range
    pitch_deg: Range
    roll_deg: Range

    render = staticmethod(render_scene)

    def scenes(self) -> Iterator[Scene]:
        """Yield the scenes, each with another person."""
        ranges = {"yaw_deg": self.yaw_deg, "pitch_deg": self.pitch_deg, "roll_deg": self.roll_deg}
        for index in range(self.count):
            yield generator(self.seed, index, "test"), ranges


@dataclass(frozen=True)
class Turning:
    """Heads that turn from ``-yaw_deg`` to ``yaw_deg`` in steps of 1°, all else fixed."""

    seed: int
    count: int
    yaw_deg: int
    face_px: Range = (140, 140)

    render = staticmethod(render_scene)

    def scenes(self) -> Iterator[Scene]:
        """Yield the scenes head by head; equal random numbers repeat person, light and position."""
        for index in range(self.count):
            for yaw in range(-self.yaw_deg, self.yaw_deg + 1):
                angles: dict[str, Range] = {"yaw_deg": (yaw, yaw), "pitch_deg": (0, 0), "roll_deg": (0, 0)}
                yield generator(self.seed, index, "test"), {**angles, "face_px": self.face_px}


@dataclass(frozen=True)
class PlacedHeads:
    """Heads at chosen places of photos with chosen angles of view; angles as seen are uniform over ranges.

    Attributes:
        seed: of the set.
        count: persons; each stands at every place under every angle of view.
        size_wh: of the images.
        fov_deg: angles of view.
        places: middles of the faces, in half widths and half heights from the middle of the image.
        face_px: range of the longer side of the face.
        yaw_deg: range, degrees.
        pitch_deg: range, degrees.
        roll_deg: range, degrees.
    """

    seed: int
    count: int
    size_wh: tuple[int, int]
    fov_deg: tuple[float, ...]
    places: tuple[tuple[float, float], ...]
    face_px: Range
    yaw_deg: Range = (0, 0)
    pitch_deg: Range = (0, 0)
    roll_deg: Range = (0, 0)

    render = staticmethod(render_seen)

    def scenes(self) -> Iterator[Scene]:
        """Yield the scenes person by person, then by angle of view, then by place."""
        for index in range(self.count):
            own = np.random.default_rng((self.seed, index))
            ranges = (self.yaw_deg, self.pitch_deg, self.roll_deg)
            seen = rotation_from_angles(*(own.uniform(*limits) for limits in ranges))
            face_px = float(own.uniform(*self.face_px))
            for camera in self.cameras():
                for place in self.places:
                    target = camera.centre_px + np.array(place) * self.size_wh / 2
                    scene = {"camera": camera, "seen": seen, "target_px": target, "face_px": face_px}
                    yield generator(self.seed, index, "test"), scene

    def cameras(self) -> list[Camera]:
        """Return the cameras, one for each angle of view."""
        return [Camera(*self.size_wh, fov) for fov in self.fov_deg]


@dataclass(frozen=True, eq=False)
class RenderedHeads:
    """Images and the true rotations of their heads.

    Attributes:
        photos: N images.
        rotation: (N, 3, 3) as seen: head frame to the frame of the line of sight.
        camera_rotation: (N, 3, 3) head frame to camera frame.
        translation_mm: (N, 3) origins of the heads in the camera frame.
    """

    photos: list[LabelledPhoto]
    rotation: FloatArray
    camera_rotation: FloatArray
    translation_mm: FloatArray


AnySet = HeadSet | Turning | PlacedHeads


def render_heads(data: Path, wanted: AnySet, folder: Path) -> RenderedHeads:
    """Return the images of a set, with people and backgrounds of the test split.

    They are rendered into ``folder`` once; the cache key covers the set and the renderer's code.
    """
    cache = folder / f"heads-{_key(wanted)}"
    truth = cache / "truth.npz"
    if not truth.is_file():
        _render(data, wanted, cache, truth)
    with np.load(truth) as stored:
        rotation, translation, landmarks = (stored[name] for name in _TRUTH)
    sight = rotation_to_line_of_sight(translation.astype(np.float64))
    photos = [
        LabelledPhoto(
            cache / f"{i:04d}.png",
            "rendered",
            1,
            face_box(points)[None],
            np.full((1, 4), np.nan),
            points[None],
        )
        for i, points in enumerate(landmarks)
    ]
    return RenderedHeads(photos, np.swapaxes(sight, 1, 2) @ rotation, rotation, translation)


def _render(data: Path, wanted: AnySet, cache: Path, truth: Path) -> None:
    model = load_model(data / MODEL_FILE)
    backgrounds = load_backgrounds(data / "backgrounds", "test")
    cache.mkdir(parents=True, exist_ok=True)
    samples = []
    scenes = list(wanted.scenes())
    for index, (rng, parameters) in enumerate(track(scenes, f"rendering {len(scenes)} heads")):
        sample = wanted.render(rng, model, backgrounds, **parameters)
        Image.fromarray(sample.image).save(cache / f"{index:04d}.png")
        samples.append((sample.rotation, sample.translation_mm, sample.landmarks_px))
    columns = (np.stack(column) for column in zip(*samples, strict=True))
    save_npz(truth, **dict(zip(_TRUTH, columns, strict=True)))


def _key(wanted: AnySet) -> str:
    digest = hashlib.sha256(repr((wanted, _TRUTH)).encode())
    for path in sorted(Path(facegeom_lab.synth.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
