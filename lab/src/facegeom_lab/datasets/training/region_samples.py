"""Training samples of the regions' networks: eyes and mouths, rare states as often as common ones."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import IterableDataset
from tqdm import tqdm

from facegeom.geometry import topology
from facegeom.geometry.rotation import rotation_from_6d, rotation_from_angles
from facegeom.geometry.schemes import ARKIT52, IBUG68_MIRROR
from facegeom.geometry.transforms import apply, box_to_square, invert
from facegeom.models import weights
from facegeom.models.engine import Engine
from facegeom.models.face import CROP_PX as FACE_CROP_PX
from facegeom.models.regions import CROP_PX, Region
from facegeom_lab.datasets.training.augment import degrade, own_generator, random_patch
from facegeom_lab.datasets.training.face_labels import FaceLabels
from facegeom_lab.datasets.training.face_samples import close_view, warp
from facegeom_lab.measures.motion import iris_offset, lid_gap, mouth_gap, mouth_width, seen_eyes
from facegeom_lab.synth.model import mirrored_names

STATES: dict[str, tuple[tuple[Callable[[np.ndarray], np.ndarray], np.ndarray], ...]] = {
    "eyes": ((lid_gap, np.arange(0.05, 0.5, 0.05)), (iris_offset, np.arange(0.2, 0.81, 0.06))),
    "mouth": ((mouth_gap, np.arange(0.05, 0.8, 0.08)), (mouth_width, np.arange(0.4, 0.8, 0.04))),
}
"""What each region does, and the bins within which samples are counted."""

SHAPES: dict[str, tuple[str, ...]] = {
    "eyes": (
        *("eyeBlink", "eyeWide", "eyeSquint", "cheekSquint", "browDown", "browInnerUp", "browOuterUp"),
        *("eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeLookDown"),
    ),
    "mouth": tuple(name for name in ARKIT52 if name.startswith(("jaw", "mouth", "noseSneer", "cheek"))),
}
"""Expression coefficients that each region shows; of the eyes' those of the eye's own side."""

FEWEST = 100
"""Bins count as if they held so many samples at least."""

HIDDEN_WEIGHT = 0.3
"""Eyes that are turned away weigh so much of what common ones do."""


def sampling_frequency(region: Region, labels: FaceLabels, evenness: float) -> np.ndarray:
    """Return how often to draw each of N faces, (N, S): rare states as often as common ones.

    Args:
        region: the part of the face.
        labels: of the faces; those without a mesh are never drawn.
        evenness: 0 keeps the frequencies, 1 makes all bins equally frequent.
    """
    weight = labels.mesh_weight[:, region.mesh_indices].mean(axis=2)
    known = weight.any(axis=1)
    if not known.any():
        return np.asarray(weight)
    mesh, frequency = labels.mesh[known], np.ones((int(known.sum()), weight.shape[1]))
    for measure, edges in STATES[region.name]:
        bins = np.digitize(measure(mesh), edges)
        counts = np.maximum(np.bincount(bins.ravel(), minlength=len(edges) + 1), FEWEST)
        frequency *= (counts[bins] / counts.sum()) ** -evenness
    if region.paired:
        frequency[~seen_eyes(mesh)] = HIDDEN_WEIGHT * np.median(frequency)
    weight[known] *= frequency / frequency.mean()
    return np.asarray(weight)


@dataclass(frozen=True)
class FirstLooks:
    """What the face network predicts for N images, each seen V times, in pixels of the images.

    Attributes:
        landmarks: (N, V, 68, 2).
        mesh: (N, V, 478, 3).
        rotation: (N, V, 3, 3).
    """

    landmarks: np.ndarray
    mesh: np.ndarray
    rotation: np.ndarray


def first_looks(
    images: Sequence[np.ndarray],
    labels: FaceLabels,
    backgrounds: Sequence[np.ndarray],
    views: int,
    seed: int = 0,
    strength: float = 1.0,
    weights_set: str = "int8",
) -> FirstLooks:
    """Run the face network that ships on crops as the detector gives them, half of them degraded.

    Args:
        images: (H, W, 3 or 4) uint8, RGB or RGBA with alpha 0 where there is no photo.
        labels: of the images.
        backgrounds: photos without a face, for padding and occluders.
        views: V.
        seed: of the random numbers.
        strength: of the crops' deviations; 0 for exact crops that are not degraded.
        weights_set: of the face network, as the option ``weights`` of the analyzer.
    """
    engine, rng = Engine(weights.of_set("face", weights_set)), np.random.default_rng(seed)
    parts = []
    for start in tqdm(range(0, len(images), 16), desc="first looks"):
        rows = np.repeat(np.arange(start, min(start + 16, len(images))), views)
        cuts = [close_view(rng, labels.landmarks[row], 0.6 * strength, FACE_CROP_PX) for row in rows]
        crops = [
            warp(images[row], matrix, random_patch(rng, backgrounds, FACE_CROP_PX))
            for row, (matrix, _) in zip(rows, cuts, strict=True)
        ]
        crops = [degrade(rng, crop, backgrounds) if rng.random() < strength / 2 else crop for crop in crops]
        _, _, vectors, landmarks, mesh, *_ = engine.batched(np.stack(crops))
        back = invert(np.stack([matrix for matrix, _ in cuts]))
        upright = rotation_from_angles(0, 0, -np.array([turn for _, turn in cuts]))
        scale = np.sqrt(np.abs(np.linalg.det(back[:, :, :2])))[:, None, None] * FACE_CROP_PX
        middle = (FACE_CROP_PX - 1) / 2
        flat = apply(back, mesh[..., :2] * FACE_CROP_PX + middle)
        parts.append(
            (
                apply(back, landmarks * FACE_CROP_PX + middle),
                np.concatenate([flat, mesh[..., 2:] * scale], axis=-1),
                upright @ rotation_from_6d(vectors),
            )
        )
    joined = (np.concatenate(each).astype(np.float32) for each in zip(*parts, strict=True))
    return FirstLooks(*(each.reshape(len(images), views, *each.shape[1:]) for each in joined))


class Sample(NamedTuple):
    """A crop (64, 64, 3) uint8; first look, points (K + L, 2), crop units; weights (K + L,), shapes (C,)."""

    crop: np.ndarray
    first: np.ndarray
    points: np.ndarray
    weight: np.ndarray
    shapes: np.ndarray


class RegionCrops(IterableDataset):
    """Endless batches of crops with targets in crop units.

    Batches hold ``crop`` (B, 3, 64, 64) uint8, ``first`` and ``points`` (B, K + L, 2), ``weight`` (B, K + L),
    ``shapes`` (B, C), the coefficients of :data:`SHAPES`, NaN where unknown. Left eyes are mirrored.

    Args:
        region: the part of the face.
        images: (H, W, 3 or 4) uint8, RGB or RGBA with alpha 0 where there is no photo.
        labels: of the images.
        looks: of the face network at the images.
        frequency: (N, S) of each sample.
        backgrounds: photos without a face, for padding and occluders.
        batch: samples of a batch.
        seed: of the random numbers.
    """

    def __init__(
        self,
        region: Region,
        images: Sequence[np.ndarray],
        labels: FaceLabels,
        looks: FirstLooks,
        frequency: np.ndarray,
        backgrounds: Sequence[np.ndarray],
        batch: int,
        seed: int = 0,
    ) -> None:
        self.images, self.backgrounds, self.batch, self.seed = images, backgrounds, batch, seed
        self.sides, self.views = frequency.shape[1], looks.mesh.shape[1]
        self.chance = np.cumsum(frequency.ravel() / frequency.sum())
        self.targets = RegionTargets(region, labels, looks)
        self.rng: np.random.Generator | None = None

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        cv2.setNumThreads(0)
        if self.rng is None:  # goes on in the next epoch, which asks for a new iterator
            self.rng = own_generator(self.seed)
        while True:
            chosen = np.searchsorted(self.chance, self.rng.random(self.batch)).clip(max=len(self.chance) - 1)
            yield collate(
                [self._sample(index // self.sides, index % self.sides, self.rng) for index in chosen.tolist()]
            )

    def _sample(self, index: int, side: int, rng: np.random.Generator) -> Sample:
        jitter = Jitter(
            turn_deg=float(rng.normal(0, 3)),
            size=float(np.exp(rng.normal(0, 0.04))),
            shift=np.clip(rng.normal(0, 0.015, 2), -0.05, 0.05),
            mirrored=bool(side) or (self.sides == 1 and rng.random() < 0.5),
        )
        view, outside = int(rng.integers(self.views)), _outside(rng, self.backgrounds)
        crop, *targets = self.targets.cut(self.images[index], index, view, side, jitter, outside)
        return Sample(degrade(rng, crop, self.backgrounds), *targets)


@dataclass(frozen=True)
class Jitter:
    """Deviation of a crop from the one that the first look asks for.

    Attributes:
        turn_deg: rotation.
        size: factor of the side.
        shift: (2,) in sides of the crop.
        mirrored: the crop is the mirror image; always so for left eyes.
    """

    turn_deg: float = 0.0
    size: float = 1.0
    shift: np.ndarray = field(default_factory=lambda: np.zeros(2))
    mirrored: bool = False


class RegionTargets:
    """Crops and targets of one region.

    Args:
        region: the part of the face.
        labels: of N images; meshes weigh 0 where there is none.
        looks: of the face network at the images.
    """

    def __init__(self, region: Region, labels: FaceLabels, looks: FirstLooks) -> None:
        self.region, self.labels, self.looks = region, labels, looks
        mesh, rotation = (each.reshape(-1, *each.shape[2:]) for each in (looks.mesh, looks.rotation))
        self.frames = region.frames(mesh, rotation).reshape(*looks.mesh.shape[:2], -1, 2, 3)
        indices, ibug68 = region.mesh_indices, region.ibug68_indices
        self.mirrored = (indices[-1], ibug68[-1]) if region.paired else _swapped(indices[0], ibug68[0])
        self.shapes = shape_indices(region)

    def cut(
        self, image: np.ndarray, index: int, view: int, side: int, jitter: Jitter, outside: np.ndarray
    ) -> Sample:
        """Cut the region of an image, 0 right or 1 left, where a first look sees it."""
        region, labels, looks = self.region, self.labels, self.looks
        step = rotation_from_angles(0, 0, jitter.turn_deg)[:2, :2] * jitter.size
        if jitter.mirrored and not region.paired:
            step = step * (-1, 1)
        frame = self.frames[index, view, side]
        image_from_unit = np.column_stack([frame[:, :2] @ step, frame[:, :2] @ jitter.shift + frame[:, 2]])
        unit_from_image = invert(image_from_unit)
        crop = warp(image, _CROP_FROM_UNIT @ np.vstack([unit_from_image, (0, 0, 1)]), outside)
        mesh, ibug68 = (
            self.mirrored if jitter.mirrored else (region.mesh_indices[0], region.ibug68_indices[0])
        )
        first, points = (
            apply(unit_from_image, np.concatenate([whole[mesh, :2], inner[ibug68]]).astype(np.float64))
            for whole, inner in (
                (looks.mesh[index, view], looks.landmarks[index, view]),
                (labels.mesh[index], labels.landmarks[index]),
            )
        )
        weight = (labels.mesh_weight[index, mesh], labels.landmarks_weight[index, ibug68])
        shapes = labels.expression[index, self.shapes[int(jitter.mirrored)]]
        return Sample(crop, first, points, np.concatenate(weight), shapes)


def shape_indices(region: Region) -> np.ndarray:
    """Return the indices (2, C) of :data:`SHAPES` among the 52, as they are and for mirrored crops."""
    names = SHAPES[region.name]
    if not region.paired:
        own = np.array([ARKIT52.index(name) for name in names])
        return np.stack([own, mirrored_names()[own]])
    sides = ("Right", "Left")
    return np.array(
        [[ARKIT52.index(name if name in ARKIT52 else name + side) for name in names] for side in sides]
    )


_CROP_FROM_UNIT = invert(box_to_square(np.array([0, 0, CROP_PX, CROP_PX]) - 0.5, 1))


def _swapped(mesh: np.ndarray, ibug68: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mirror images of the indices of a region in the middle of the face."""
    return topology.mirror()[mesh], IBUG68_MIRROR[ibug68]


def _outside(rng: np.random.Generator, backgrounds: Sequence[np.ndarray]) -> np.ndarray:
    """Return what lies outside of the photo: black, a grey, or another photo."""
    kind = rng.random()
    if kind < 0.6:
        return np.full((CROP_PX, CROP_PX, 3), 0 if kind < 0.3 else rng.integers(256), np.uint8)
    return random_patch(rng, backgrounds, CROP_PX)


def collate(samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
    """Stack samples to a batch."""
    crops, *others = (np.stack(each) for each in zip(*samples, strict=True))
    batch = {
        name: torch.from_numpy(each.astype(np.float32))
        for name, each in zip(Sample._fields[1:], others, strict=True)
    }
    return {"crop": torch.from_numpy(crops).permute(0, 3, 1, 2), **batch}
