"""Eight classes of head direction: faces of the data pack, profiled and rendered ones, in one packed file.

The class is the compass point that the nose points at in the picture, by sectors of 45 degrees (0 right, 1 up
and right, 2 up, … 7 down and right). Heads within ``LEAST_DEG`` of looking straight ahead have no direction;
those within ``MARGIN_DEG`` of a sector's edge have two: both are left out.
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
LEAST_DEG, MARGIN_DEG = 12.0, 5.0
SIZE_PX, STORED_PX = 96, 104
"""Side of the network's input, and of the stored crops that leave room to shift it."""

CROP_SCALE = 1.4
"""Side of the stored crop, of the face's square."""

SPLITS = ("train", "tune", "val")
MOST = {"train": 1000, "tune": 60, "val": 150}
"""Faces of a class in each split; classes with fewer keep what there is."""

HELD_OUT = 10
"""One person, or one rendered head, of so many is kept for ``val``, and one for ``tune``."""


@dataclass(frozen=True, eq=False)
class Directions:
    """One split: crops (N, 104, 104, 3) uint8 RGB and their classes (N,)."""

    crops: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """N faces of one origin: how to read picture i, points (N, 68, 2), classes (-1: none), splits (N,)."""

    read: Callable[[int], np.ndarray]
    landmarks: np.ndarray
    classes: np.ndarray
    splits: np.ndarray


def sectors(rotation: np.ndarray) -> np.ndarray:
    """(N, 3, 3) rotations as a crop shows the heads -> (N,) classes 0 to 7, -1 where there is none."""
    x, y = -rotation[:, 0, 2], rotation[:, 1, 2]  # of the nose, y up
    away_deg = np.degrees(np.arccos(rotation[:, 2, 2].clip(-1, 1)))
    turned = (np.degrees(np.arctan2(y, x)) + 22.5) % 360
    edge = np.minimum(turned % 45, 45 - turned % 45)
    clear = (away_deg >= LEAST_DEG) & (edge >= MARGIN_DEG)
    return np.where(clear, (turned // 45).astype(int) % CLASSES, -1)


MIRRORED = np.array([4, 3, 2, 1, 0, 7, 6, 5])
"""The class of each class's mirror image."""


def build(data: Path, labels: Path, rendered: Path | None, file: Path, seed: int = 0) -> Path:
    """Write the packed file of all splits, unless it is there already.

    Faces of the pack's ``val`` split are ``val``; of the others, persons by a hash of their name. Profiled
    faces follow their person. Rendered heads are all different people; they are dealt in turn.

    Args:
        data: the data pack.
        labels: mesh labels.
        rendered: folder of ``facegeom lab synth`` and ``profile``; None for real faces alone.
        file: to write, npz.
        seed: of the choice of faces and of what lies around them.

    Raises:
        InputError: a file is missing; a class has no face.
    """
    if file.is_file():
        return file
    rng = np.random.default_rng(seed)
    groups = [_real(data, labels), *(_made(data, rendered) if rendered else [])]
    around = read_images(background_files(data, "train"))
    arrays = {}
    for number, split in enumerate(SPLITS):
        chosen = _chosen(groups, number, MOST[split], rng)
        arrays[f"{split}_crops"] = np.stack(
            [_crop(groups[g], i, around, rng) for g, i, _ in tqdm(chosen, desc=split)]
        )
        arrays[f"{split}_classes"] = np.array([sector for *_, sector in chosen], np.int64)
    save_npz(file, **arrays)
    return file


def load(file: Path, split: str) -> Directions:
    """One split of a packed file: train, tune or val.

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
    """0 train, 1 tune, 2 val."""
    rest = crc32(person.encode()) % HELD_OUT
    return {0: 2, 1: 1}.get(rest, 0)


def _made(data: Path, rendered: Path) -> list[_Candidates]:
    persons = {row.file: row.person for row in face_rows(data)}
    groups = []
    if heads := sorted(rendered.glob("synth_*.npz")):
        pictures, table = rendered_faces(heads)
        dealt = np.select([np.arange(len(table)) % HELD_OUT == k for k in (0, 1)], [2, 1], 0)
        groups.append(_Candidates(pictures.__getitem__, table.landmarks, sectors(table.rotation), dealt))
    if profiles := sorted(rendered.glob("profile_*.npz")):
        pictures, table = profiled_faces(profiles)
        files = np.concatenate([np.load(shard)["files"] for shard in profiles])
        splits = np.array([_split_of(persons[str(file)]) for file in files])
        groups.append(_Candidates(pictures.__getitem__, table.landmarks, sectors(table.rotation), splits))
    return groups


def _chosen(
    groups: Sequence[_Candidates], split: int, most: int, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """Group, index and class of the faces of a split, at most so many of each class, in random order."""
    found = []
    for sector in range(CLASSES):
        there = [
            (number, int(index), sector)
            for number, group in enumerate(groups)
            for index in np.flatnonzero((group.classes == sector) & (group.splits == split))
        ]
        if not there:
            raise InputError(f"expected {SPLITS[split]} faces of every direction, found none of {sector}")
        found += [there[k] for k in rng.permutation(len(there))[:most]]
    return [found[k] for k in rng.permutation(len(found))]


def _crop(
    group: _Candidates, index: int, around: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    matrix = random_crop(rng, group.landmarks[index], 0.0, 0.5, STORED_PX, CROP_SCALE)
    return warp(group.read(index), matrix, random_patch(rng, around, STORED_PX))


def batch(split: Directions, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A training batch: crops (size, 96, 96, 3) uint8, shifted and mirrored, and their classes.

    All classes come equally often; those of few faces show theirs more often.
    """
    wanted = rng.permutation(np.arange(size) % CLASSES)
    rows = np.array([rng.choice(np.flatnonzero(split.classes == sector)) for sector in wanted])
    mirror, shift = rng.random(size) < 0.5, rng.integers(0, STORED_PX - SIZE_PX + 1, (size, 2))
    crops = np.empty((size, SIZE_PX, SIZE_PX, 3), np.uint8)
    for place, (row, (y, x)) in enumerate(zip(rows, shift, strict=True)):
        crop = split.crops[row, y : y + SIZE_PX, x : x + SIZE_PX]
        crops[place] = crop[:, ::-1] if mirror[place] else crop
    return crops, np.where(mirror, MIRRORED[wanted], wanted)


def middle(crops: np.ndarray) -> np.ndarray:
    """The middle (N, 96, 96, 3) of stored crops."""
    edge = (STORED_PX - SIZE_PX) // 2
    return crops[:, edge : edge + SIZE_PX, edge : edge + SIZE_PX]
