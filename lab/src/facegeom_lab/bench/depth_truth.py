"""Pictures with known depth: rendered heads in whole photos, and real faces with the fitted head model."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import facegeom_lab.synth
from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import average_head
from facegeom.geometry.transforms import apply
from facegeom_lab.bench.progress import track
from facegeom_lab.datasets.training.depth_crops import NOSE_TIP, along_sight, to_pixels
from facegeom_lab.fitting.run import run as fit
from facegeom_lab.synth.depth import from_counts, to_counts
from facegeom_lab.synth.generate import MODEL_FILE, generator, load_backgrounds
from facegeom_lab.synth.model import load_model
from facegeom_lab.synth.scene import Sample, render_scene

FloatArray = npt.NDArray[np.floating]

SEED = 4711
FACE_PX = (100.0, 280.0)


@dataclass(frozen=True, eq=False)
class KnownDepth:
    """A picture with one face of known depth.

    Attributes:
        path: the picture.
        fov_deg: angle of view; None where it is not known.
        pixels_xy: (K, 2) pixels of the picture that show the face.
        behind_mm: (K,) their depth behind the nose tip, along the line of sight to the head, in millimetres
            of a head of average size.
        enlarged: how many times larger than average the head itself is.
    """

    path: Path
    fov_deg: float | None
    pixels_xy: FloatArray
    behind_mm: FloatArray
    enlarged: float


def rendered(data: Path, count: int, folder: Path) -> list[KnownDepth]:
    """Heads in pictures of 640 x 480, of people, lights and backgrounds of the test split.

    Rendered into ``folder`` unless they are there; the key covers the renderer's code.
    """
    home = folder / f"depth-{_key()}"
    truth = home / f"truth-{count}.npz"
    if not truth.is_file():
        _render(data, count, home, truth)
    with np.load(truth) as stored:
        columns = [stored[name] for name in ("mesh_mm", "translation", "fov_deg")]
    return [_of_picture(home, index, *row) for index, row in enumerate(zip(*columns, strict=True))]


def _key() -> str:
    digest = hashlib.sha256(repr((SEED, FACE_PX)).encode())
    for path in sorted(Path(facegeom_lab.synth.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _render(data: Path, count: int, home: Path, truth: Path) -> None:
    model = load_model(data / MODEL_FILE)
    backgrounds = load_backgrounds(data / "backgrounds", "test")
    home.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in track(range(count), f"rendering {count} heads with depth"):
        rng = generator(SEED, index, "test")
        sample = render_scene(rng, model, backgrounds, face_px=FACE_PX, depth=True)
        rows.append(_keep(sample, home, index))
    mesh, translation, fov = zip(*rows, strict=True)
    np.savez(truth, mesh_mm=np.stack(mesh), translation=np.stack(translation), fov_deg=np.array(fov))


def _keep(sample: Sample, home: Path, index: int) -> tuple[FloatArray, FloatArray, float]:
    if sample.depth_mm is None or sample.mesh_mm is None:
        raise ValueError("a sample rendered with depth has a depth map and a mesh")
    Image.fromarray(sample.image).save(home / f"{index:04d}.png")
    Image.fromarray(to_counts(sample.depth_mm, sample.translation_mm[2])).save(
        home / f"{index:04d}.depth.png"
    )
    return sample.mesh_mm, sample.translation_mm, sample.fov_deg


def _of_picture(home: Path, index: int, mesh: FloatArray, place: FloatArray, fov_deg: float) -> KnownDepth:
    with Image.open(home / f"{index:04d}.depth.png") as picture:
        counts = np.asarray(picture).astype(np.uint16)
    pixels, behind, enlarged = known(counts, mesh, place, float(fov_deg))
    return KnownDepth(home / f"{index:04d}.png", float(fov_deg), pixels, behind, enlarged)


def known(
    counts: npt.NDArray[np.uint16], mesh_mm: FloatArray, place_mm: FloatArray, fov_deg: float
) -> tuple[FloatArray, FloatArray, float]:
    """Pixels (K, 2), depths (K,) and the enlargement of :class:`KnownDepth`, of one stored depth map."""
    height, width = counts.shape
    camera, place = Camera(width, height, fov_deg), place_mm.astype(np.float64)
    depth = from_counts(counts, float(place[2]))
    distance = float(np.linalg.norm(place))
    nose = float(mesh_mm[NOSE_TIP].astype(np.float64) @ place) / distance
    pixels_per_mm = camera.focal_px / distance
    of_average = float(average_head(to_pixels(mesh_mm, place, camera)).scale)
    row, column = np.nonzero(depth)
    behind = (along_sight(depth, place, camera)[row, column] - nose) * pixels_per_mm / of_average
    return np.column_stack([column, row]).astype(float), behind, of_average / pixels_per_mm


def fitted(data: Path, labels: Path, split: str, every: int, folder: Path) -> list[KnownDepth]:
    """Labelled faces of a split with the depth of the fitted head model, fitted into ``folder`` once."""
    home = folder / f"fit-{split}-{every}"
    fit(data, labels, split, home, every)
    return [face for shard in sorted(home.glob("fit_*.npz")) for face in _of_shard(data, shard)]


def _of_shard(data: Path, shard: Path) -> list[KnownDepth]:
    names = ("files", "depth", "mesh_mm", "translation", "fov_deg", "photo_from_picture")
    with np.load(shard) as stored:
        rows: Sequence[tuple[FloatArray, ...]] = list(zip(*(stored[name] for name in names), strict=True))
    faces = []
    for file, counts, mesh, place, fov_deg, square in rows:
        pixels, behind, enlarged = known(counts.astype(np.uint16), mesh, place, float(fov_deg))
        path = data / "faces" / str(file)
        faces.append(KnownDepth(path, None, apply(square, pixels), behind, enlarged))
    return faces
