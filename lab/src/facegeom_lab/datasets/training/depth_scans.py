"""Crops with measured depth for the two depth networks, from published sets of photos with range images.

Each face is found and placed by facegeom; its square of the photo and its depth are cut out once, with a
margin for the jitter of training. Depth is counted from the nose tip and scaled to a head of average size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from facegeom import FaceAnalyzer
from facegeom.depth.depth_map import SIZE_PX
from facegeom.errors import InputError
from facegeom_lab.datasets import registry
from facegeom_lab.datasets.records import FaceRecord
from facegeom_lab.datasets.training.depth_crops import (
    BELOW_MM,
    MM_PER_PX,
    NOSE_TIP,
    CropsOfDepth,
    warp,
    warp_depth,
)
from facegeom_lab.files import save_npz, weights_hash

PARALLEL_PX_PER_MM = {"texas3dfrd": 1 / 0.32}
"""Sets in parallel projection: pixels for each millimetre."""

FOCAL_PX = {"eurecom": 525.0, "biwi": 517.7, "superface": 525.0}
"""Focal length of the Kinects' colour cameras, pixels of the published photos."""

NAMES = (*PARALLEL_PX_PER_MM, *FOCAL_PX)
MARGIN = 1.3
STORED_PX = int(SIZE_PX * MARGIN)
"""Side of the stored window: the depth map's square and a margin."""

MOST, HELD_OUT = 3000, 5
"""Frames of a split at most, spread over the set; of the people, in the order of their names, every fifth
is held out."""

FARTHEST_MM = 60.0
"""Measured depth that differs more from the mesh's is hair, a hand or the background."""


class DepthScans(CropsOfDepth):
    """Samples as those of :class:`~facegeom_lab.datasets.training.depth_crops.DepthCrops`.

    Args:
        windows: (N, STORED_PX, STORED_PX, 3) uint8 RGB.
        behind_mm: (N, STORED_PX, STORED_PX) float16 behind the nose tip, NaN where unknown or no face.
        augment: whether crops are jittered, mirrored and degraded: for training.
        seed: of the random numbers.
    """

    def __init__(
        self, windows: np.ndarray, behind_mm: np.ndarray, augment: bool = False, seed: int = 0
    ) -> None:
        super().__init__((), augment, seed)
        self.windows, self.behind_mm = windows, behind_mm

    def __len__(self) -> int:
        return len(self.windows)

    def cut(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the crop (160, 160, 3) and its depth (80, 80)."""
        edge = (STORED_PX - SIZE_PX) / 2
        square = self.jittered(rng, np.array([[1, 0, edge], [0, 1, edge]]))
        behind = self.behind_mm[index].astype(np.float32)
        known = np.isfinite(behind)
        return warp(self.windows[index], square), warp_depth(np.where(known, behind, 0), known, square)


def load_scans(name: str, root: Path, split: str, cache: Path, augment: bool = False) -> DepthScans:
    """Find and cut out the faces of a set, or read them from the cache.

    Args:
        name: one of ``NAMES``.
        root: folder of the unpacked set.
        split: train or val; people do not cross, and records of a set's own test split are left out.
        cache: folder for the windows.
        augment: for training.

    Raises:
        InputError: a file is missing or damaged; the split has no face with depth.
    """
    records = [record for record in registry.load(name, root) if record.depth]
    records = [record for record in records if record.split != "test"] or records  # all of BIWI is for tests
    records = of_split(name, records, split)
    networks = weights_hash("onepass", "face", "eyes", "mouth")
    names = "\n".join(str(record.name) for record in records)
    key = hashlib.sha256(f"{networks}\n{names}".encode()).hexdigest()[:12]
    file = cache / f"{name}-{split}-{key}.npz"
    if not file.is_file():
        analyzer = FaceAnalyzer(depth="mesh", max_faces=1)
        found = [window for window in _windows(name, records, analyzer) if window is not None]
        if not found:
            raise InputError(
                f"expected faces with depth in the split {split} of {name} in {root}, found none"
            )
        windows, behind = zip(*found, strict=True)
        save_npz(file, windows=np.stack(windows), behind_mm=np.stack(behind))
    with np.load(file) as arrays:
        return DepthScans(arrays["windows"], arrays["behind_mm"], augment)


def of_split(name: str, records: Sequence[FaceRecord], split: str) -> list[FaceRecord]:
    """Return at most ``MOST`` records of the people of a split: the sets have too few people for a hash.

    Raises:
        InputError: fewer than two people.
    """
    people = sorted({person(name, record) for record in records})
    if len(people) < 2:
        raise InputError(
            f"expected photos with depth of at least two people in {name}, to hold one out, got {len(people)}"
        )
    held_out = set(people[::HELD_OUT])
    chosen = [record for record in records if (person(name, record) in held_out) == (split == "val")]
    return chosen[:: -(-len(chosen) // MOST)]


def person(name: str, record: FaceRecord) -> str:
    """Return who is in a record."""
    if name == "biwi":
        return record.source
    return Path(record.name).name.split("_")[1] if name == "texas3dfrd" else record.name.split("/")[0]


def _windows(
    name: str, records: Sequence[FaceRecord], analyzer: FaceAnalyzer
) -> Iterator[tuple[np.ndarray, np.ndarray] | None]:
    """Yield window and depth of each record; None where no face with a measured nose was found."""
    for record in tqdm(records, desc=f"faces of {name}"):
        photo = record.read()
        faces = analyzer(photo)
        assert record.depth is not None
        measured = record.depth()
        if measured.shape != photo.shape[:2]:
            raise InputError(
                f"expected depth of {photo.shape[:2]} pixels for {record.name}, got {measured.shape}"
            )
        yield cut_window(name, photo, measured, faces[0]) if len(faces) else None


def cut_window(
    name: str, photo: np.ndarray, measured_mm: np.ndarray, face: object
) -> tuple[np.ndarray, np.ndarray] | None:
    """Cut the window of a face and its depth; None where the nose tip was not measured.

    Args:
        name: of the set, for its camera.
        photo: (H, W, 3) uint8 RGB.
        measured_mm: (H, W) along the camera's axis, 0 where unknown.
        face: with its depth map.
    """
    mesh_px, depth = face.mesh_px, face.depth  # type: ignore[attr-defined]
    column, row = np.rint(mesh_px[NOSE_TIP, :2]).astype(int)
    tip = measured_mm[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
    if not (tip > 0).any():
        return None
    nose_mm = float(np.median(tip[tip > 0]))
    square = depth.image_from_depth.copy()
    mm_per_px = MM_PER_PX / np.sqrt(abs(np.linalg.det(square[:, :2])))  # of a head of average size
    px_per_mm = PARALLEL_PX_PER_MM.get(name) or FOCAL_PX[name] / nose_mm
    scale = px_per_mm * mm_per_px
    size = photo.shape[1::-1]
    placed = np.where(depth.mask, depth.z_mm, 0).astype(np.float32)
    inside, modelled = (
        cv2.warpAffine(each, square, size, flags=cv2.INTER_NEAREST)
        for each in (depth.mask.astype(np.uint8), placed)
    )
    behind = (measured_mm - nose_mm) * scale
    tip_mm = modelled[np.clip(row, 0, size[1] - 1), np.clip(column, 0, size[0] - 1)]
    face_px = (inside > 0) & (measured_mm > 0) & (np.abs(behind - (modelled - tip_mm)) < FARTHEST_MM)
    edge = (STORED_PX - SIZE_PX) / 2
    square[:, 2] += square[:, :2] @ (-edge, BELOW_MM / MM_PER_PX - edge)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    stored = (STORED_PX, STORED_PX)
    window = cv2.warpAffine(photo, square, stored, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    known = cv2.warpAffine(face_px.astype(np.uint8), square, stored, flags=flags)
    cut = cv2.warpAffine(behind.astype(np.float32), square, stored, flags=flags)
    return window, np.where(known > 0, cut, np.nan).astype(np.float16)
