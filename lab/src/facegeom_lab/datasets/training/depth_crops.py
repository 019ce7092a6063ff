"""Crops with depth for the two depth networks, from shards of rendered heads and of fitted faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from facegeom.depth.depth_map import SIDE_MM, SIZE_PX, depth_squares
from facegeom.errors import InputError
from facegeom.geometry.camera import Camera
from facegeom_lab.datasets.training.augment import degrade, own_generator
from facegeom_lab.synth.anatomy import from_counts

NOSE_TIP = 4
"""Index in the 478 points."""

LABEL_PX = SIZE_PX // 2
MM_PER_PX = SIDE_MM / SIZE_PX
OUTSIDE = (127, 127, 127)

BELOW_MM = 4.0
"""Shift of the crop: the mesh that the runtime predicts ends lower on the forehead than the head model's."""

SHIFT_MM, SCALE, TURN_DEG = 3.5, 0.03, 3.5
"""Standard deviations of the crop's jitter in training: a little more than the error of predicted meshes."""


@dataclass(frozen=True, eq=False)
class DepthTable:
    """N images of one size with depth.

    Attributes:
        images: (N, S, S, 3) uint8 RGB.
        depth: (N, S, S) uint16, encoded by :mod:`facegeom_lab.synth.anatomy`.
        mesh_mm: (N, 478, 3) camera frame.
        translation_mm: (N, 3) the head's origin, camera frame.
        fov_deg: (N,) field of view.
    """

    images: np.ndarray
    depth: np.ndarray
    mesh_mm: np.ndarray
    translation_mm: np.ndarray
    fov_deg: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


def read_tables(folder: Path) -> list[DepthTable]:
    """Read each shard ``synth_*.npz`` and ``fit_*.npz`` of a folder.

    Raises:
        InputError: there is no shard, or one without depth.
    """
    shards = [*sorted(folder.glob("synth_*.npz")), *sorted(folder.glob("fit_*.npz"))]
    if not shards:
        raise InputError(
            f"expected shards with depth in {folder}, found none; "
            "make them with `facegeom lab synth --depth` and `facegeom lab fit`"
        )
    return [_read(shard) for shard in shards]


def _read(shard: Path) -> DepthTable:
    with np.load(shard) as arrays:
        if "depth" not in arrays:
            raise InputError(f"{shard} has no depth; make it with `facegeom lab synth --depth`")
        names = ("images", "depth", "mesh_mm", "translation", "fov_deg")
        return DepthTable(*(arrays[name] for name in names))


class CropsOfDepth(Dataset):
    """Upright crops and their depth behind the nose tip.

    Samples: ``crop`` (3, 160, 160) uint8; ``depth`` (80, 80) float32 millimetres, NaN outside the face.
    Millimetres are those of a head of average size, as everywhere in facegeom: a crop does not show
    the scale.

    Args:
        backgrounds: photos without a face, for occluders; without any these are of one colour.
        augment: whether crops are jittered, mirrored and degraded: for training.
        seed: of the random numbers.
    """

    def __init__(self, backgrounds: Sequence[np.ndarray], augment: bool, seed: int) -> None:
        self.backgrounds, self.augment, self.seed = backgrounds, augment, seed
        self.rng: np.random.Generator | None = None

    def cut(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the crop (160, 160, 3) uint8 and its depth (80, 80), jittered in training."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        cv2.setNumThreads(0)
        if self.rng is None:
            self.rng = own_generator(self.seed)
        crop, depth = self.cut(index, self.rng)
        if self.augment:
            if self.rng.random() < 0.5:
                crop, depth = np.ascontiguousarray(crop[:, ::-1]), depth[:, ::-1].copy()
            crop = degrade(self.rng, crop, self.backgrounds)
        return {"crop": torch.from_numpy(crop).permute(2, 0, 1), "depth": torch.from_numpy(depth)}

    def jittered(self, rng: np.random.Generator, square: np.ndarray) -> np.ndarray:
        """Shift, rotate and scale the crop at random about its middle, in training."""
        if not self.augment:
            return square
        angle, size = np.deg2rad(rng.normal(0, TURN_DEG)), np.exp(rng.normal(0, SCALE))
        matrix = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = np.full(2, (SIZE_PX - 1) / 2)
        shift = middle - matrix @ middle + rng.normal(0, SHIFT_MM / MM_PER_PX, 2)
        return np.column_stack([square[:, :2] @ matrix, square[:, :2] @ shift + square[:, 2]])


class DepthCrops(CropsOfDepth):
    """Crops of rendered heads and fitted faces.

    Args:
        tables: of :func:`read_tables`.
        backgrounds: photos without a face, for occluders.
        augment: for training.
        seed: of the random numbers.
    """

    def __init__(
        self,
        tables: Sequence[DepthTable],
        backgrounds: Sequence[np.ndarray] = (),
        augment: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(backgrounds, augment, seed)
        self.tables = tables
        self.starts = np.cumsum([0, *(len(table) for table in tables)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def cut(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the crop and its depth."""
        number = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self._cut(self.tables[number], index - int(self.starts[number]), rng)

    def _cut(self, table: DepthTable, row: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image, origin_mm = table.images[row], table.translation_mm[row].astype(np.float64)
        camera = Camera(image.shape[1], image.shape[0], float(table.fov_deg[row]))
        mesh = table.mesh_mm[row].astype(np.float64)
        mesh_px = to_pixels(mesh, origin_mm, camera)
        square = depth_squares(mesh_px[None])[0]
        square[:, 2] += square[:, :2] @ (0, BELOW_MM / MM_PER_PX)
        square = self.jittered(rng, square)
        mm_per_px = MM_PER_PX / np.sqrt(abs(np.linalg.det(square[:, :2])))
        depth = from_counts(table.depth[row], float(origin_mm[2]))
        along = along_sight(depth, origin_mm, camera)
        distance = np.linalg.norm(origin_mm)
        nose = mesh[NOSE_TIP] @ origin_mm / distance
        behind = np.where(depth > 0, along - nose, 0) * (camera.focal_px / distance) * mm_per_px
        return warp(image, square), warp_depth(behind.astype(np.float32), depth > 0, square)


def to_pixels(mesh_mm: np.ndarray, origin_mm: np.ndarray, camera: Camera) -> np.ndarray:
    """Project a mesh (478, 3) as in ``Faces.mesh_px``: z along the line of sight to the head, in pixels."""
    distance = np.linalg.norm(origin_mm)
    behind = (mesh_mm @ origin_mm / distance - distance) * camera.focal_px / distance
    return np.concatenate([camera.project(mesh_mm), behind[:, None]], axis=1)


def along_sight(depth_mm: np.ndarray, origin_mm: np.ndarray, camera: Camera) -> np.ndarray:
    """Convert a depth map (H, W) to distances along the line of sight to the head."""
    unit = origin_mm / np.linalg.norm(origin_mm)
    column = (np.arange(camera.width) - camera.centre_px[0]) / camera.focal_px * unit[0]
    row = (np.arange(camera.height) - camera.centre_px[1]) / camera.focal_px * unit[1]
    return depth_mm * (column[None] + row[:, None] + unit[2])


def warp(image: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Cut the crop (160, 160, 3) of an image; ``square`` (2, 3) is the transform of :func:`depth_squares`."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, square, (SIZE_PX, SIZE_PX), flags=flags, borderValue=OUTSIDE)


def warp_depth(behind_mm: np.ndarray, face: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Cut the depth (80, 80) of a crop: the mean of the face's pixels around, NaN where they are few."""
    half = np.array(square, np.float64)
    half[:, 2] += half[:, :2] @ (0.5, 0.5)
    half[:, :2] *= 2
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    fraction, total = (
        cv2.warpAffine(each, half, (LABEL_PX, LABEL_PX), flags=flags)
        for each in (face.astype(np.float32), np.where(face, behind_mm, 0).astype(np.float32))
    )
    known = fraction > 0.5
    return np.where(known, total / np.where(known, fraction, 1), np.nan).astype(np.float32)
