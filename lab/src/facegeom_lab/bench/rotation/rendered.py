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
from facegeom_lab.bench.progress import track
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.synth.generate import MODEL_FILE, generator, load_backgrounds
from facegeom_lab.synth.model import load_model
from facegeom_lab.synth.scene import render_scene

FloatArray = npt.NDArray[np.floating]
Range = tuple[float, float]
Scene = tuple[np.random.Generator, Mapping[str, Any]]
"""Random generator of an image, and the parameter ranges of :func:`render_scene`."""


@dataclass(frozen=True)
class HeadSet:
    """A set of images with one head each; angles are uniform over their ranges, degrees."""

    seed: int
    count: int
    yaw_deg: Range
    pitch_deg: Range
    roll_deg: Range

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

    def scenes(self) -> Iterator[Scene]:
        """Yield the scenes head by head; equal random numbers repeat person, light and position."""
        for index in range(self.count):
            for yaw in range(-self.yaw_deg, self.yaw_deg + 1):
                angles: dict[str, Range] = {"yaw_deg": (yaw, yaw), "pitch_deg": (0, 0), "roll_deg": (0, 0)}
                yield generator(self.seed, index, "test"), {**angles, "face_px": self.face_px}


@dataclass(frozen=True, eq=False)
class RenderedHeads:
    """Images and their true rotations (N, 3, 3), head frame to camera frame."""

    photos: list[LabelledPhoto]
    rotation: FloatArray


def render_heads(data: Path, wanted: HeadSet | Turning, folder: Path) -> RenderedHeads:
    """Return the images of a set, 640 x 480, with people and backgrounds of the test split.

    They are rendered into ``folder`` once; the cache key covers the set and the renderer's code.
    """
    cache = folder / f"heads-{_key(wanted)}"
    truth = cache / "truth.npz"
    if not truth.is_file():
        _render(data, wanted, cache, truth)
    with np.load(truth) as stored:
        rotation, landmarks = stored["rotation"], stored["landmarks_px"]
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
    return RenderedHeads(photos, rotation)


def _render(data: Path, wanted: HeadSet | Turning, cache: Path, truth: Path) -> None:
    model = load_model(data / MODEL_FILE)
    backgrounds = load_backgrounds(data / "backgrounds", "test")
    cache.mkdir(parents=True, exist_ok=True)
    samples = []
    scenes = list(wanted.scenes())
    for index, (rng, ranges) in enumerate(track(scenes, f"rendering {len(scenes)} heads")):
        sample = render_scene(rng, model, backgrounds, **ranges)
        Image.fromarray(sample.image).save(cache / f"{index:04d}.png")
        samples.append((sample.rotation, sample.landmarks_px))
    rotation, landmarks = zip(*samples, strict=True)
    np.savez(truth, rotation=np.stack(rotation), landmarks_px=np.stack(landmarks))


def _key(wanted: HeadSet | Turning) -> str:
    digest = hashlib.sha256(repr(wanted).encode())
    for path in sorted(Path(facegeom_lab.synth.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
