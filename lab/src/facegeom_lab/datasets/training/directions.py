"""Data set of eight head directions: real, profiled and rendered faces, in one packed file.

The class is the sector of 45 degrees in which the nose points in the image (0 right, 1 up and right, 2 up,
… 7 down and right). Heads within ``MIN_AWAY_DEG`` of frontal, and within ``MARGIN_DEG`` of a sector's edge,
are left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.geometry.placement import fit_canonical_head
from facegeom_lab.datasets.published.pack import (
    background_files,
    face_rows,
    mesh_labels,
    read_face_rgba,
    read_images,
)
from facegeom_lab.datasets.training.augment import random_patch
from facegeom_lab.datasets.training.face_labels import landmark_map, profiled_faces, rendered_faces
from facegeom_lab.datasets.training.face_samples import random_crop, warp
from facegeom_lab.files import save_npz

CLASSES = 8
MIN_AWAY_DEG, MARGIN_DEG = 12.0, 5.0
SIZE_PX, STORED_PX = 96, 104
"""Side of the network's input, and of the stored crops, which leave room to shift it."""

CROP_SCALE = 1.4
"""Side of the stored crop, in multiples of the face's square."""

SPLITS = ("train", "tune", "val")
FACES_PER_CLASS = {"train": 1000, "tune": 60, "val": 150}
"""Largest count of faces of a class in each split."""

HELD_OUT = 10
"""One of this many persons, or rendered heads, is in ``val``, and one in ``tune``."""


@dataclass(frozen=True, eq=False)
class Directions:
    """One split: crops (N, 104, 104, 3) uint8 RGB and their classes (N,)."""

    crops: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """N faces of one origin.

    Attributes:
        read: reads image i.
        landmarks: (N, 68, 2) pixels.
        classes: (N,) of the directions, -1 without one.
        splits: (N,) index in SPLITS.
    """

    read: Callable[[int], np.ndarray]
    landmarks: np.ndarray
    classes: np.ndarray
    splits: np.ndarray


def sectors(rotation: np.ndarray) -> np.ndarray:
    """Return the classes (N,), 0 to 7 or -1 without one, of rotations (N, 3, 3) as a crop shows the heads."""
    x, y = -rotation[:, 0, 2], rotation[:, 1, 2]  # of the nose, y up
    away_deg = np.degrees(np.arccos(rotation[:, 2, 2].clip(-1, 1)))
    turned = (np.degrees(np.arctan2(y, x)) + 22.5) % 360
    edge = np.minimum(turned % 45, 45 - turned % 45)
    clear = (away_deg >= MIN_AWAY_DEG) & (edge >= MARGIN_DEG)
    return np.where(clear, (turned // 45).astype(int) % CLASSES, -1)


MIRRORED = np.array([4, 3, 2, 1, 0, 7, 6, 5])
"""Class of each class's mirror image."""


def build(data: Path, labels: Path, rendered: Path | None, file: Path, seed: int = 0) -> Path:
    """Write the packed file of all splits, unless it is there already.

    Faces of the pack's ``val`` split are ``val``; the others are divided by a hash of the person's name.
    Profiled faces follow their person. Rendered heads are different people; they are divided by their index.

    Args:
        data: the data pack.
        labels: mesh labels.
        rendered: folder of ``facegeom lab synth`` and ``profile``; None for real faces alone.
        file: to write, npz.
        seed: of the choice of faces and of their backgrounds.

    Raises:
        InputError: a file is missing; a class has no face.
    """
    if file.is_file():
        return file
    rng = np.random.default_rng(seed)
    groups = [_real(data, labels), *(_synthetic(data, rendered) if rendered else [])]
    backgrounds = read_images(background_files(data, "train"))
    arrays = {}
    for number, split in enumerate(SPLITS):
        chosen = _choose(groups, number, FACES_PER_CLASS[split], rng)
        arrays[f"{split}_crops"] = np.stack(
            [_crop(groups[g], i, backgrounds, rng) for g, i, _ in tqdm(chosen, desc=split)]
        )
        arrays[f"{split}_classes"] = np.array([sector for *_, sector in chosen], np.int64)
    save_npz(file, **arrays)
    return file


def load(file: Path, split: str) -> Directions:
    """Load one split of a packed file: train, tune or val.

    Raises:
        InputError: no such file or split.
    """
    if not file.is_file() or split not in SPLITS:
        raise InputError(f"expected one of {', '.join(SPLITS)} in {file}, got {split!r}, or no such file")
    with np.load(file) as arrays:
        return Directions(arrays[f"{split}_crops"], arrays[f"{split}_classes"])


def _real(data: Path, labels: Path) -> _Candidates:
    table = mesh_labels(labels)
    rows = face_rows(data)
    chosen = [i for i, row in enumerate(rows) if row.split in ("train", "val") and table["keep"][i]]
    mesh = table["mesh"][chosen].astype(np.float64)
    rotation = fit_canonical_head(mesh).rotation
    splits = [SPLITS.index("val") if rows[i].split == "val" else _split_of(rows[i].person) for i in chosen]
    files = [data / "faces" / rows[i].file for i in chosen]
    return _Candidates(
        lambda index: read_face_rgba(files[index]),
        landmark_map(labels).apply(mesh[..., :2]),
        sectors(rotation),
        np.array(splits),
    )


def _split_of(person: str) -> int:
    """Return 0 for train, 1 for tune, 2 for val."""
    rest = crc32(person.encode()) % HELD_OUT
    return {0: 2, 1: 1}.get(rest, 0)


def _synthetic(data: Path, rendered: Path) -> list[_Candidates]:
    persons = {row.file: row.person for row in face_rows(data)}
    groups = []
    if heads := sorted(rendered.glob("synth_*.npz")):
        images, table = rendered_faces(heads)
        splits = np.select([np.arange(len(table)) % HELD_OUT == k for k in (0, 1)], [2, 1], 0)
        groups.append(_Candidates(images.__getitem__, table.landmarks, sectors(table.rotation), splits))
    if profiles := sorted(rendered.glob("profile_*.npz")):
        images, table = profiled_faces(profiles)
        files = np.concatenate([np.load(shard)["files"] for shard in profiles])
        splits = np.array([_split_of(persons[str(file)]) for file in files])
        groups.append(_Candidates(images.__getitem__, table.landmarks, sectors(table.rotation), splits))
    return groups


def _choose(
    groups: Sequence[_Candidates], split: int, limit: int, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """Return group, index and class of a split's faces, at most ``limit`` of a class, in random order."""
    chosen = []
    for sector in range(CLASSES):
        there = [
            (number, int(index), sector)
            for number, group in enumerate(groups)
            for index in np.flatnonzero((group.classes == sector) & (group.splits == split))
        ]
        if not there:
            raise InputError(f"expected {SPLITS[split]} faces of every direction, found none of {sector}")
        chosen += [there[k] for k in rng.permutation(len(there))[:limit]]
    return [chosen[k] for k in rng.permutation(len(chosen))]


def _crop(
    group: _Candidates, index: int, backgrounds: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    matrix = random_crop(rng, group.landmarks[index], 0.0, 0.5, STORED_PX, CROP_SCALE)
    return warp(group.read(index), matrix, random_patch(rng, backgrounds, STORED_PX))


def batch(split: Directions, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw a training batch: crops (size, 96, 96, 3) uint8, shifted and mirrored, and their classes.

    All classes are equally frequent; classes of few faces repeat them.
    """
    wanted = rng.permutation(np.arange(size) % CLASSES)
    rows = np.array([rng.choice(np.flatnonzero(split.classes == sector)) for sector in wanted])
    mirror, shift = rng.random(size) < 0.5, rng.integers(0, STORED_PX - SIZE_PX + 1, (size, 2))
    crops = np.empty((size, SIZE_PX, SIZE_PX, 3), np.uint8)
    for k, (row, (y, x)) in enumerate(zip(rows, shift, strict=True)):
        crop = split.crops[row, y : y + SIZE_PX, x : x + SIZE_PX]
        crops[k] = crop[:, ::-1] if mirror[k] else crop
    return crops, np.where(mirror, MIRRORED[wanted], wanted)


def centre_crops(crops: np.ndarray) -> np.ndarray:
    """Cut the middle (N, 96, 96, 3) of stored crops."""
    edge = (STORED_PX - SIZE_PX) // 2
    return crops[:, edge : edge + SIZE_PX, edge : edge + SIZE_PX]
