"""Rendered heads with known rotation for the benchmark: drawn once, kept as pictures."""

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
from facegeom_lab.datasets.pack_photos import Picture
from facegeom_lab.synth.generate import MODEL_FILE, generator, load_backgrounds
from facegeom_lab.synth.model import load_model
from facegeom_lab.synth.scene import render_scene

FloatArray = npt.NDArray[np.floating]
Range = tuple[float, float]
Scene = tuple[np.random.Generator, Mapping[str, Any]]
"""Random numbers of a picture, and the ranges that :func:`render_scene` is told to keep to."""


@dataclass(frozen=True)
class HeadSet:
    """A set of pictures with one head each; angles are even over their ranges, degrees."""

    seed: int
    count: int
    yaw_deg: Range
    pitch_deg: Range
    roll_deg: Range

    def scenes(self) -> Iterator[Scene]:
        """Another person in each."""
        ranges = {"yaw_deg": self.yaw_deg, "pitch_deg": self.pitch_deg, "roll_deg": self.roll_deg}
        for index in range(self.count):
            yield generator(self.seed, index, "test"), ranges


@dataclass(frozen=True)
class Turning:
    """Some heads, each turned from ``-yaw_deg`` to ``yaw_deg`` in steps of 1°, all else as it was."""

    seed: int
    count: int
    yaw_deg: int
    face_px: Range = (140, 140)

    def scenes(self) -> Iterator[Scene]:
        """Head after head; the same random numbers make the same person, light and place again."""
        for index in range(self.count):
            for yaw in range(-self.yaw_deg, self.yaw_deg + 1):
                turn: dict[str, Range] = {"yaw_deg": (yaw, yaw), "pitch_deg": (0, 0), "roll_deg": (0, 0)}
                yield generator(self.seed, index, "test"), {**turn, "face_px": self.face_px}


@dataclass(frozen=True, eq=False)
class Heads:
    """The pictures and their true rotations (N, 3, 3), head frame to camera frame."""

    pictures: list[Picture]
    rotation: FloatArray


def heads(data: Path, wanted: HeadSet | Turning, folder: Path) -> Heads:
    """The set's pictures, 640 x 480, of the test split (people and backgrounds that nobody trained on).

    Rendered into ``folder`` unless they are there; the key covers the set and the renderer's code.
    """
    home = folder / f"heads-{_key(wanted)}"
    truth = home / "truth.npz"
    if not truth.is_file():
        _render(data, wanted, home, truth)
    with np.load(truth) as stored:
        rotation, landmarks = stored["rotation"], stored["landmarks_px"]
    pictures = [
        Picture(
            home / f"{i:04d}.png",
            "rendered",
            1,
            face_box(points)[None],
            np.full((1, 4), np.nan),
            points[None],
        )
        for i, points in enumerate(landmarks)
    ]
    return Heads(pictures, rotation)


def _render(data: Path, wanted: HeadSet | Turning, home: Path, truth: Path) -> None:
    model = load_model(data / MODEL_FILE)
    backgrounds = load_backgrounds(data / "backgrounds", "test")
    home.mkdir(parents=True, exist_ok=True)
    samples = []
    scenes = list(wanted.scenes())
    for index, (rng, ranges) in enumerate(track(scenes, f"rendering {len(scenes)} heads")):
        sample = render_scene(rng, model, backgrounds, **ranges)
        Image.fromarray(sample.image).save(home / f"{index:04d}.png")
        samples.append((sample.rotation, sample.landmarks_px))
    rotation, landmarks = zip(*samples, strict=True)
    np.savez(truth, rotation=np.stack(rotation), landmarks_px=np.stack(landmarks))


def _key(wanted: HeadSet | Turning) -> str:
    digest = hashlib.sha256(repr(wanted).encode())
    for path in sorted(Path(facegeom_lab.synth.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
