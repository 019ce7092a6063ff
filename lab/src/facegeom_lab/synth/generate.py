"""Sets of rendered heads: deterministic shards that resume, and a contact sheet.

Image `i` of a set with seed `s` takes all random numbers from one generator, seeded with
`2 * (s * 1_000_000 + i)` in the split `train` and one more in `test`: no person is in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count as count_from
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw
from rich.progress import Progress

from facegeom.errors import InputError, OutputError
from facegeom.geometry.camera import Camera
from facegeom_lab.datasets.published.pack import free_background_files, read_images
from facegeom_lab.files import save_npz
from facegeom_lab.synth.anatomy import from_counts, to_counts
from facegeom_lab.synth.basel import load_basel
from facegeom_lab.synth.lights import read_probes
from facegeom_lab.synth.model import HeadModel, arkit_coefficients, load_model, sample_expression, simplify
from facegeom_lab.synth.motion import sample_motion
from facegeom_lab.synth.scene import Expressions, Image, Sample, render
from facegeom_lab.synth.wardrobe import Studio

SHARD = 500
MODEL_FILE = "ict_facekit_light.npz"
DEPTH_EXTENT = (0.48, 0.7)
"""Range of ``extent`` in sets with depth: the face fills an image of 160 pixels."""

STUDIO_EXTENT = (0.38, 0.66)
"""Range of ``extent`` in sets of a studio."""

BACKGROUNDS = {"train": range(200), "test": range(200, 300)}
"""Numbers of the background photos (NNN.jpg) of each split."""


def run(
    data: Path,
    count: int,
    out: Path,
    seed: int = 0,
    split: str = "train",
    size: int = 224,
    preview: Path | None = None,
    depth: bool = False,
    model: Path | None = None,
    free: bool = False,
    motions: bool = False,
    max_yaw_deg: float = 90.0,
) -> list[Path]:
    """Render a set with a progress bar: `facegeom lab synth`.

    Args:
        data: folder with `ict_facekit_light.npz` and `backgrounds/NNN.jpg`.
        count: total number of images.
        out: folder of the shards; finished ones are kept.
        seed: of the set, 0 to 999,999.
        split: train or test: other people, other backgrounds.
        size: side of the images, pixels.
        preview: file of a contact sheet of the first images, if wanted.
        depth: whether to store depth maps; the heads are then those of a simplified model.
        model: file of the Basel Face Model, in place of ``data/ict_facekit_light.npz``.
        free: whether to use nothing but sources whose terms let weights be shipped: photos of
            ``free/backgrounds``, light of ``free/hdri``; heads then wear masks, hats and scarves.
        motions: whether expressions are those of :mod:`facegeom_lab.synth.motion`.
        max_yaw_deg: of the heads, to both sides.

    Returns:
        The shards.

    Raises:
        InputError: an argument is out of range, data is missing, or `out` holds another set.
    """
    if free and model:
        raise InputError("a free set is made of the ICT head; leave out the Basel Face Model")
    data = Path(data)
    if free:
        photos, studio = load_studio(data, split)
    else:
        photos, studio = load_backgrounds(data / "backgrounds", split), None
    head = load_basel(model) if model else load_model(Path(data) / MODEL_FILE)
    head = simplify(head) if depth else head
    with Progress() as progress:
        task = progress.add_task(f"rendering {split} heads", total=count)
        shards = synthesise(
            *(head, photos, count, out, seed, split, size),
            advance=lambda done: progress.advance(task, done),
            depth=depth,
            studio=studio,
            expressions=sample_motion if motions else sample_expression,
            max_yaw_deg=max_yaw_deg,
        )
    if preview is not None:
        contact_sheet(read_samples(shards, limit=40)).save(preview)
    return shards


def load_studio(data: Path, split: str) -> tuple[list[Image], Studio]:
    """Read what free sets are made of beside the head: the split's background photos, and light probes."""
    photos = read_images(free_background_files(data, "train" if split == "train" else "val"))
    return photos, Studio(read_probes(data / "free" / "hdri"))


BACK_PX, BEHIND_DEG = 128, 120.0
"""Side of the crops of heads from behind, and the least angle between face and camera."""


def render_backs(data: Path, out: Path, count: int, seed: int = 77) -> None:
    """Write crops (n, 128, 128, 3) of heads from behind to ``out``, as ``crops``: no face is seen."""
    model, (photos, studio) = load_model(data / MODEL_FILE), load_studio(data, "train")
    crops: list[Image] = []
    for index in count_from(0):
        rng = generator(seed, index, "train")
        sample = render(rng, model, photos, 160, studio=studio, extent=(0.4, 0.7), yaw_deg=(135, 225))
        if sample.rotation[2, 2] < np.cos(np.deg2rad(BEHIND_DEG)):
            top, left = rng.integers(0, 160 - BACK_PX + 1, 2)
            crops.append(sample.image[top : top + BACK_PX, left : left + BACK_PX])
        if len(crops) == count:
            break
    save_npz(out, crops=np.stack(crops))


def synthesise(
    model: HeadModel,
    backgrounds: Sequence[Image],
    count: int,
    out: Path,
    seed: int = 0,
    split: str = "train",
    size: int = 224,
    advance: Callable[[int], object] = lambda done: None,
    shard: int = SHARD,
    depth: bool = False,
    studio: Studio | None = None,
    expressions: Expressions = sample_expression,
    max_yaw_deg: float = 90.0,
) -> list[Path]:
    """Write `synth_0000.npz`, `synth_0001.npz`, ...: `shard` images each, the last one with the rest.

    Arrays: images (n, S, S, 3) uint8 RGB, landmarks_px (n, 68, 2), rotation (n, 3, 3), translation (n, 3)
    millimetres, mesh_mm (n, 478, 3) camera frame, visible (n, 68) bool, fov_deg (n,), and seed, split, drawn
    (how expressions were) for checking. Finished shards are kept. With depth also: depth (n, S, S) uint16,
    counts of :mod:`facegeom_lab.synth.anatomy`.
    Of models whose expressions have ARKit's names also: arkit (n, 52), the coefficients. In a studio also:
    identity (n, K) and expression (n, E), the model's coefficients.

    Args:
        model: the head.
        backgrounds: (h, w, 3) uint8 RGB photos without faces.
        count: total number of images.
        out: folder of the shards.
        seed: of the set, 0 to 999,999.
        split: train or test.
        size: side of the images, pixels.
        advance: called with the number of images just finished.
        shard: images in a shard.
        studio: light of real places, and things to wear.
        depth: whether to store depth maps.
        expressions: draws the expressions.
        max_yaw_deg: of the heads, to both sides.

    Returns:
        Paths of all shards.
    """
    _check(count, seed, split, size)
    yaw_deg = (-max_yaw_deg, max_yaw_deg)
    draw = partial(render, studio=studio, expressions=expressions, yaw_deg=yaw_deg)
    if depth:
        draw = partial(draw, depth=True, extent=DEPTH_EXTENT)
    elif studio:
        draw = partial(draw, extent=STUDIO_EXTENT)
    drawn = f"{getattr(expressions, '__name__', '')} to {max_yaw_deg:g} degrees"
    paths = []
    for number, start in enumerate(range(0, count, shard)):
        path = Path(out) / f"synth_{number:04d}.npz"
        indices = range(start, min(start + shard, count))
        if _finished(path, len(indices), (seed, split, size, depth, studio is not None, drawn)):
            advance(len(indices))
        else:
            samples = []
            for index in indices:
                samples.append(draw(generator(seed, index, split), model, backgrounds, size))
                advance(1)
            about = {"seed": np.array(seed), "split": np.array(split), "drawn": np.array(drawn)}
            save_npz(path, **_pack(samples, model, studio is not None), **about)
        paths.append(path)
    return paths


def generator(seed: int, index: int, split: str) -> np.random.Generator:
    """Return the generator of image `index` of the set `seed`; even seeds are train, odd ones test."""
    return np.random.default_rng(2 * (seed * 1_000_000 + index) + (split == "test"))


def load_backgrounds(folder: Path, split: str) -> list[Image]:
    """Read the split's background photos as (h, w, 3) uint8 RGB.

    Raises:
        InputError: an unknown split, or no photo found.
    """
    if split not in BACKGROUNDS:
        raise InputError(f"expected the split to be one of {sorted(BACKGROUNDS)}, got {split!r}")
    wanted = {f"{number:03d}" for number in BACKGROUNDS[split]}
    photos = []
    for path in sorted(folder.glob("*.jpg")):
        if path.stem in wanted:
            with PillowImage.open(path) as photo:
                photos.append(np.array(photo.convert("RGB")))
    if not photos:
        raise InputError(f"expected background photos NNN.jpg in {folder}, found none for the split {split}")
    return photos


def read_samples(shards: Sequence[Path], limit: int | None = None) -> list[Sample]:
    """Read the first `limit` samples of the shards, all by default."""
    samples: list[Sample] = []
    for path in shards:
        with np.load(path) as arrays:
            names = ("images", "landmarks_px", "rotation", "translation", "visible", "fov_deg")
            columns = [arrays[name] for name in names]
            blank: list[Any] = [None] * len(columns[0])
            depth, meshes = blank, arrays.get("mesh_mm", blank)
            if "depth" in arrays:
                origins = arrays["translation"][:, 2]
                depth = [from_counts(*each) for each in zip(arrays["depth"], origins, strict=True)]
            columns += [depth, meshes]
        samples += [Sample(*row) for row in zip(*columns, strict=True)]
        if limit is not None and len(samples) >= limit:
            break
    return samples[:limit]


def contact_sheet(samples: Sequence[Sample], columns: int = 8) -> PillowImage.Image:
    """Draw images side by side with points (hidden ones red) and axes (x red, y green, nose blue)."""
    tiles = [_annotated(sample) for sample in samples]
    width, height = tiles[0].size
    rows = -(-len(tiles) // columns)
    sheet = PillowImage.new("RGB", (columns * width, rows * height))
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % columns * width, number // columns * height))
    return sheet


def _annotated(sample: Sample) -> PillowImage.Image:
    image = PillowImage.fromarray(sample.image)
    pen = ImageDraw.Draw(image)
    for (x, y), seen in zip(sample.landmarks_px, sample.visible68, strict=True):
        pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(60, 255, 60) if seen else (255, 40, 40))
    camera = Camera(image.width, image.height, sample.fov_deg)
    ends = camera.project(
        60 * np.concatenate([np.zeros((1, 3)), np.eye(3) * [1, 1, -1]]) @ sample.rotation.T
        + sample.translation_mm
    )
    for end, colour in zip(ends[1:], ((255, 0, 0), (0, 255, 0), (80, 80, 255)), strict=True):
        pen.line([tuple(ends[0]), tuple(end)], fill=colour, width=2)
    return image


def _pack(samples: Sequence[Sample], model: HeadModel, studio: bool) -> dict[str, np.ndarray]:
    depth = [
        to_counts(sample.depth_mm, sample.translation_mm[2])
        for sample in samples
        if sample.depth_mm is not None
    ]
    meshes = [sample.mesh_mm for sample in samples if sample.mesh_mm is not None]
    more = ({"depth": np.stack(depth)} if depth else {}) | ({"mesh_mm": np.stack(meshes)} if meshes else {})
    if "jawOpen" in model.expression_names:
        drawn = [sample.expression for sample in samples if sample.expression is not None]
        more["arkit"] = np.stack([arkit_coefficients(each, model.expression_names) for each in drawn])
    for name in ("identity", "expression"):
        if studio:
            more[name] = np.stack([getattr(sample, name) for sample in samples])
    return more | {
        "images": np.stack([sample.image for sample in samples]),
        "landmarks_px": np.stack([sample.landmarks_px for sample in samples]),
        "rotation": np.stack([sample.rotation for sample in samples]),
        "translation": np.stack([sample.translation_mm for sample in samples]),
        "visible": np.stack([sample.visible68 for sample in samples]),
        "fov_deg": np.array([sample.fov_deg for sample in samples], dtype=np.float32),
    }


def _check(count: int, seed: int, split: str, size: int) -> None:
    if count < 1 or size < 32:
        raise InputError(f"expected at least 1 image of at least 32 px, got {count} of {size} px")
    if not 0 <= seed < 1_000_000 or split not in BACKGROUNDS:
        raise InputError(
            f"expected a seed of 0 to 999999 and a split of train or test, got {seed} and {split!r}"
        )


def _finished(path: Path, count: int, wanted: tuple[int, str, int, bool, bool, str]) -> bool:
    """Return whether the shard is there with enough images; ``wanted`` is the set it should be of.

    Raises:
        OutputError: it belongs to another set.
    """
    if not path.is_file():
        return False
    with np.load(path) as arrays:
        kind = ("depth" in arrays, "identity" in arrays)
        drawn = str(arrays["drawn"]) if "drawn" in arrays else wanted[-1]  # shards of older versions
        found = (int(arrays["seed"]), str(arrays["split"]), arrays["images"].shape[1], *kind, drawn)
        held = len(arrays["rotation"])
    if found != wanted:
        raise OutputError(
            f"{path} holds the set (seed, split, size, depth, studio, expressions) {found}, "
            f"not {wanted}: choose another folder"
        )
    return held == count
