"""Training samples of FPNet: windows of a distillation set, shifted, rotated, mirrored and recoloured."""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from facegeom.errors import InputError
from facegeom_lab.datasets.training.augment import recolour
from facegeom_lab.networks.cascade import FPNet
from facegeom_lab.teachers.distillation import FACE, INSIDE, OUTSIDE, STORED_PX
from facegeom_lab.teachers.pose import FOREIGN

SHIFT, SCALE, TURN_DEG = 0.05, 0.06, 12.0
"""Standard deviations of a window's shift, in sides, of the logarithm of its side, and of its rotation."""

MIRRORED_VECTORS = np.array([1, -1, -1, -1, 1, 1], np.float32)
"""Raw vectors of the mirrored head, element by element: R becomes M·R·M with M = diag(-1, 1, 1)."""


class PoseWindows(Dataset):
    """Windows with the teacher's predictions.

    Samples: ``window`` (3, 48, 48) uint8; ``face`` 0 or 1; ``offsets`` (4,) of the face's square from the
    window's edges, in window sides; ``raw`` (6,), the teacher's rotation vectors.

    Args:
        folder: of the shards of ``facegeom lab build-pose-set``.
        teacher: whose vectors are learned; faces without them are left out.
        plain: no augmentation: for validation.

    Attributes:
        kind: (N,) FACE, OUTSIDE or INSIDE.
        raw: (N, 6) the teacher's vectors of the stored windows.
        rotation: (N, 3, 3) the labels' rotations, NaN where unknown.

    Raises:
        InputError: there are no shards, or none of the teacher's predictions in them.
    """

    def __init__(self, folder: Path, teacher: str, plain: bool = False) -> None:
        self.plain, self._folder = plain, folder
        arrays = _read_shards(folder, teacher)
        known = np.isfinite(arrays["raw"]).all(axis=1) | (arrays["kind"] != FACE)
        known &= balanced(arrays["kind"])
        self.turn_deg = 0.0 if teacher in FOREIGN else TURN_DEG
        self._known = known
        self.windows, self.kind = arrays["windows"][known], arrays["kind"][known]
        self.offsets = np.nan_to_num(arrays["offsets"][known])
        self.raw = np.nan_to_num(arrays["raw"][known])
        self.rotation = arrays["rotation"][known]

    def __len__(self) -> int:
        return len(self.kind)

    def predictions_of(self, teacher: str) -> np.ndarray:
        """Return another teacher's vectors (N, 6) of the same windows, NaN where it has none.

        Raises:
            InputError: the set has no predictions of that teacher.
        """
        return _read_shards(self._folder, teacher)["raw"][self._known]

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        cv2.setNumThreads(0)
        offsets, raw = self.offsets[index], self.raw[index]
        if self.plain:
            window = _warp_window(self.windows[index], np.zeros(2), np.eye(2))
        else:
            rng = np.random.default_rng(torch.randint(2**31, (2,)).tolist())
            window, offsets, raw = self._augmented(rng, self.windows[index], offsets, raw)
        return {
            "window": torch.from_numpy(np.ascontiguousarray(window)).permute(2, 0, 1),
            "face": torch.tensor(float(self.kind[index] == FACE)),
            "offsets": torch.as_tensor(offsets, dtype=torch.float32),
            "raw": torch.as_tensor(raw, dtype=torch.float32),
        }

    def _augmented(
        self, rng: np.random.Generator, stored: np.ndarray, offsets: np.ndarray, raw: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shift = np.clip(rng.normal(0, SHIFT, 2), -0.12, 0.12)
        scale = float(np.clip(np.exp(rng.normal(0, SCALE)), 0.85, 1.15))
        angle = np.deg2rad(np.clip(rng.normal(0, self.turn_deg), -30, 30))
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        # A window's point lies in the stored one at shift + scale · rotationᵀ · point, in sides.
        window = recolour(rng, _warp_window(stored, shift, scale * rotation.T))
        edges = np.array([-0.5, -0.5, 0.5, 0.5])
        face = offsets + edges
        middle, half = (face[:2] + face[2:]) / 2, (face[2:] - face[:2]) / (2 * scale)
        middle = rotation @ (middle - shift) / scale
        offsets = np.concatenate([middle - half, middle + half]) - edges
        vectors = raw.reshape(2, 3).copy()
        vectors[:, :2] = vectors[:, :2] @ rotation.T
        raw = vectors.reshape(6)
        if rng.random() < 0.5:
            window, raw = window[:, ::-1], raw * MIRRORED_VECTORS
            offsets = offsets[[2, 1, 0, 3]] * (-1, 1, -1, 1)
        return window, offsets, raw


def balanced(kind: np.ndarray) -> np.ndarray:
    """Choose windows of a set (N,): all faces, and two outside of faces for each one inside a face.

    Of the kind that has too many, evenly spread ones are kept.
    """
    chosen = kind == FACE
    outside, inside = (np.flatnonzero(kind == each) for each in (OUTSIDE, INSIDE))
    count = min(len(inside), len(outside) // 2) if len(inside) and len(outside) > 1 else 0
    for rows, wanted in ((outside, 2 * count or len(outside)), (inside, count or len(inside))):
        chosen[rows[np.linspace(0, len(rows) - 1, wanted).round().astype(int)]] = True
    return chosen


def _warp_window(stored: np.ndarray, shift: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """Cut the window (48, 48, 3) of a stored one.

    Its points, relative to its middle, are mapped by ``linear`` (2, 2); its middle is shifted by ``shift``
    (2,), in sides.
    """
    middle, own = (STORED_PX - 1) / 2, np.full(2, (FPNet.WINDOW - 1) / 2)
    corner = middle + shift * FPNet.WINDOW - linear @ own
    back = np.column_stack([linear, corner])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(stored, back, (FPNet.WINDOW,) * 2, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _read_shards(folder: Path, teacher: str) -> dict[str, np.ndarray]:
    files = sorted(folder.glob("poses_*.npz"))
    if not files:
        raise InputError(f"expected the shards of `facegeom lab build-pose-set` in {folder}, found none")
    names = {
        "windows": "windows",
        "kind": "kind",
        "offsets": "offsets",
        "rotation": "rotation",
        "raw": f"raw_{teacher}",
    }
    parts = []
    for file in files:
        with np.load(file) as arrays:
            if names["raw"] not in arrays.files:
                known = ", ".join(
                    name.removeprefix("raw_") for name in arrays.files if name.startswith("raw_")
                )
                raise InputError(
                    f"expected predictions of the teacher {teacher} in {file}; it has those of {known}"
                )
            parts.append({name: arrays[stored] for name, stored in names.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
