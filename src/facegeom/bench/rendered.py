"""Rendered heads with known rotation for the benchmark: drawn once, kept as pictures."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import facegeom.lab.synth
from facegeom.bench.data import Picture
from facegeom.bench.progress import track
from facegeom.geometry.boxes import face_box
from facegeom.lab.synth.generate import MODEL_FILE, generator, load_backgrounds
from facegeom.lab.synth.model import load_model
from facegeom.lab.synth.scene import render_scene

FloatArray = npt.NDArray[np.floating]
Range = tuple[float, float]


@dataclass(frozen=True)
class HeadSet:
    """A set of pictures with one head each; angles are even over their ranges, degrees."""

    seed: int
    count: int
    yaw_deg: Range
    pitch_deg: Range
    roll_deg: Range


@dataclass(frozen=True, eq=False)
class Heads:
    """The pictures and their true rotations (N, 3, 3), head frame to camera frame."""

    pictures: list[Picture]
    rotation: FloatArray


def heads(data: Path, wanted: HeadSet, folder: Path) -> Heads:
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


def _render(data: Path, wanted: HeadSet, home: Path, truth: Path) -> None:
    model = load_model(data / MODEL_FILE)
    backgrounds = load_backgrounds(data / "backgrounds", "test")
    home.mkdir(parents=True, exist_ok=True)
    samples = []
    for index in track(range(wanted.count), f"rendering {wanted.count} heads"):
        sample = render_scene(
            generator(wanted.seed, index, "test"),
            model,
            backgrounds,
            yaw_deg=wanted.yaw_deg,
            pitch_deg=wanted.pitch_deg,
            roll_deg=wanted.roll_deg,
        )
        Image.fromarray(sample.image).save(home / f"{index:04d}.png")
        samples.append((sample.rotation, sample.landmarks_px))
    rotation, landmarks = zip(*samples, strict=True)
    np.savez(truth, rotation=np.stack(rotation), landmarks_px=np.stack(landmarks))


def _key(wanted: HeadSet) -> str:
    digest = hashlib.sha256(repr(wanted).encode())
    for path in sorted(Path(facegeom.lab.synth.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
