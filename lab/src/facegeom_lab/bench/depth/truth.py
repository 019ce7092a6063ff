"""Images with known depth: rendered heads in whole photos, and real faces with the fitted head model."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import facegeom_lab.synth
from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import fit_canonical_head
from facegeom.geometry.transforms import apply
from facegeom_lab.bench.progress import track
from facegeom_lab.datasets.training.depth_crops import NOSE_TIP, along_sight, to_pixels
from facegeom_lab.files import save_npz
from facegeom_lab.fitting.head_fit import run as fit
from facegeom_lab.synth.anatomy import from_counts, to_counts
from facegeom_lab.synth.generate import MODEL_FILE, generator, load_backgrounds
from facegeom_lab.synth.model import load_model
from facegeom_lab.synth.scene import Sample, render_scene

FloatArray = npt.NDArray[np.floating]

SEED = 4711
FACE_PX = (100.0, 280.0)


@dataclass(frozen=True, eq=False)
class KnownDepth:
    """Ground truth of an image with one face.

    Attributes:
        path: file of the image.
        fov_deg: field of view; None if unknown.
        pixels_xy: (K, 2) pixels of the image that show the face.
        behind_mm: (K,) their depth behind the nose tip, along the line of sight to the head, in millimetres
            of a head of average size.
        enlarged: size of the head itself relative to the average head.
    """

    path: Path
    fov_deg: float | None
    pixels_xy: FloatArray
    behind_mm: FloatArray
    enlarged: float


def rendered(data: Path, count: int, folder: Path) -> list[KnownDepth]:
    """Return heads in images of 640 x 480, with people, lights and backgrounds of the test split.

    They are rendered into ``folder`` once; the cache key covers the renderer's code.
    """
    cache = folder / f"depth-{_key()}"
    truth = cache / f"truth-{count}.npz"
    if not truth.is_file():
        _render(data, count, cache, truth)
    with np.load(truth) as stored:
        columns = [stored[name] for name in ("mesh_mm", "translation", "fov_deg")]
    return [_load_render(cache, index, *row) for index, row in enumerate(zip(*columns, strict=True))]


def _key() -> str:
    digest = hashlib.sha256(repr((SEED, FACE_PX)).encode())
    for path in sorted(Path(facegeom_lab.synth.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _render(data: Path, count: int, cache: Path, truth: Path) -> None:
    model = load_model(data / MODEL_FILE)
    backgrounds = load_backgrounds(data / "backgrounds", "test")
    cache.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in track(range(count), f"rendering {count} heads with depth"):
        rng = generator(SEED, index, "test")
        sample = render_scene(rng, model, backgrounds, face_px=FACE_PX, depth=True)
        rows.append(_save_render(sample, cache, index))
    mesh, translation, fov = zip(*rows, strict=True)
    save_npz(truth, mesh_mm=np.stack(mesh), translation=np.stack(translation), fov_deg=np.array(fov))


def _save_render(sample: Sample, cache: Path, index: int) -> tuple[FloatArray, FloatArray, float]:
    if sample.depth_mm is None or sample.mesh_mm is None:
        raise ValueError("a sample rendered with depth has a depth map and a mesh")
    Image.fromarray(sample.image).save(cache / f"{index:04d}.png")
    Image.fromarray(to_counts(sample.depth_mm, sample.translation_mm[2])).save(
        cache / f"{index:04d}.depth.png"
    )
    return sample.mesh_mm, sample.translation_mm, sample.fov_deg


def _load_render(
    cache: Path, index: int, mesh: FloatArray, translation: FloatArray, fov_deg: float
) -> KnownDepth:
    with Image.open(cache / f"{index:04d}.depth.png") as image:
        counts = np.asarray(image).astype(np.uint16)
    pixels, behind, enlarged = known(counts, mesh, translation, float(fov_deg))
    return KnownDepth(cache / f"{index:04d}.png", float(fov_deg), pixels, behind, enlarged)


def known(
    counts: npt.NDArray[np.uint16], mesh_mm: FloatArray, translation_mm: FloatArray, fov_deg: float
) -> tuple[FloatArray, FloatArray, float]:
    """Decode a stored depth map into the arrays of :class:`KnownDepth`.

    Args:
        counts: (H, W) stored depth.
        mesh_mm: (478, 3) mesh of the head, relative to its translation.
        translation_mm: (3,) of the head in the camera frame.
        fov_deg: field of view.

    Returns:
        ``pixels_xy`` (K, 2), ``behind_mm`` (K,) and ``enlarged``.
    """
    height, width = counts.shape
    camera, translation = Camera(width, height, fov_deg), translation_mm.astype(np.float64)
    depth = from_counts(counts, float(translation[2]))
    distance = float(np.linalg.norm(translation))
    nose = float(mesh_mm[NOSE_TIP].astype(np.float64) @ translation) / distance
    pixels_per_mm = camera.focal_px / distance
    pixels_per_average_mm = float(fit_canonical_head(to_pixels(mesh_mm, translation, camera)).scale)
    row, column = np.nonzero(depth)
    behind = (
        (along_sight(depth, translation, camera)[row, column] - nose) * pixels_per_mm / pixels_per_average_mm
    )
    return np.column_stack([column, row]).astype(float), behind, pixels_per_average_mm / pixels_per_mm


def fitted(data: Path, labels: Path, split: str, every: int, folder: Path) -> list[KnownDepth]:
    """Return every ``every``-th labelled face of a split with the depth of the head model fitted to it.

    The fits are kept in ``folder``.
    """
    cache = folder / f"fit-{split}-{every}"
    fit(data, labels, split, cache, every)
    return [face for shard in sorted(cache.glob("fit_*.npz")) for face in _load_shard(data, shard)]


def _load_shard(data: Path, shard: Path) -> list[KnownDepth]:
    names = ("files", "depth", "mesh_mm", "translation", "fov_deg", "photo_from_picture")
    with np.load(shard) as stored:
        rows: Sequence[tuple[FloatArray, ...]] = list(zip(*(stored[name] for name in names), strict=True))
    faces = []
    for file, counts, mesh, translation, fov_deg, photo_from_crop in rows:
        pixels, behind, enlarged = known(counts.astype(np.uint16), mesh, translation, float(fov_deg))
        path = data / "faces" / str(file)
        faces.append(KnownDepth(path, None, apply(photo_from_crop, pixels), behind, enlarged))
    return faces
