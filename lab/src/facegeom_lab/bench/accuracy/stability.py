"""How far points move when a photo changes in a way that no eye sees."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from facegeom.geometry.schemes import MESH478_EYE_CORNERS
from facegeom.results import Faces
from facegeom_lab.bench.accuracy.copies import Change, UInt8Array, changed_copies
from facegeom_lab.bench.context import MESH_TITLE, SCENE_MESH_OPTIONS, Bench
from facegeom_lab.measures.tables import Cell, Table

FloatArray = npt.NDArray[np.floating]

FOLDER = "stability"
SAME_FACE = 0.25
"""Largest distance of the middles of one face's meshes in two photos, in widths of the mesh."""

_PROTOCOL = (
    "`val` scenes as PNG beside a copy that no eye tells apart, own detection; the faces found in both. "
    "Movement of the mesh's 478 points in 2D, in % of the distance of points 33 and 263: mean over points "
    "and faces, the worst face's mean, the worst point. Shifted photos are means of neighbouring pixels; "
    "their points are moved back by half a pixel. Pitch: largest change. MediaPipe: static, refined, up to "
    "12 faces."
)


class Meshes(Protocol):
    """Faces of one photo with their meshes: facegeom's and a peer's."""

    @property
    def mesh_px(self) -> FloatArray:
        """Meshes (N, 478, 3)."""


def brighter(pixels: UInt8Array) -> UInt8Array:
    """Add one grey level to every value."""
    return np.minimum(pixels.astype(np.int16) + 1, 255).astype(np.uint8)


def shifted(pixels: UInt8Array) -> UInt8Array:
    """Move a photo by half a pixel to the right and down."""
    wide = np.pad(pixels, ((1, 0), (1, 0), (0, 0)), mode="edge").astype(np.uint16)
    quarter = wide[1:, 1:] + wide[:-1, 1:] + wide[1:, :-1] + wide[:-1, :-1]
    return ((quarter + 2) // 4).astype(np.uint8)


CHANGES: dict[str, tuple[str, Change, float]] = {
    "one grey level brighter": ("bright.png", brighter, 0.0),
    "JPEG of quality 98": ("98.jpg", np.array, 0.0),
    "shifted by half a pixel": ("shifted.png", shifted, 0.5),
}
"""Ending of the copy's name, how it is made, and by how many pixels its points move."""


def stability(bench: Bench) -> list[Table]:
    """Measure the movements, one table with rows for each change and system."""
    scenes = bench.scene_sets()["val scenes"]
    folder = bench.cache / FOLDER
    plain = changed_copies(scenes, folder, "plain.png", np.array)
    rows: list[tuple[Cell, ...]] = []
    for title, (ending, change, shift_px) in CHANGES.items():
        changed = changed_copies(scenes, folder, ending, change)
        rows.append(
            (title, "facegeom", *_row(bench.predictions(plain), bench.predictions(changed), shift_px))
        )
        if "mediapipe" in bench.peers:
            before, after = (
                bench.peer_predictions("mediapipe", "mesh", SCENE_MESH_OPTIONS, photos)
                for photos in (plain, changed)
            )
            rows.append((title, MESH_TITLE, *_row(before, after, shift_px)))
    columns = ("change", "system", "mean, %", "worst face, %", "worst point, %", "pitch, °", "faces")
    return [Table("Stability: unseen changes of pixels", _PROTOCOL, columns, rows)]


def _row(before: Sequence[Meshes], after: Sequence[Meshes], shift_px: float) -> tuple[Cell, ...]:
    """Summarise the movements between two lists of faces."""
    moved, pitch = [], []
    for first, second in zip(before, after, strict=True):
        for one, other in _same_faces(first.mesh_px, second.mesh_px):
            a, b = first.mesh_px[one], second.mesh_px[other]
            right, left = MESH478_EYE_CORNERS
            eyes = np.linalg.norm(a[right, :2] - a[left, :2])
            moved.append(100 * np.linalg.norm(b[:, :2] - shift_px - a[:, :2], axis=1) / eyes)
            if isinstance(first, Faces) and isinstance(second, Faces):
                pitch.append(abs(first[one].pitch_deg - second[other].pitch_deg))
    if not moved:
        return None, None, None, None, 0
    all_moved = np.stack(moved)
    worst = (
        float(all_moved.mean(axis=1).max()),
        float(all_moved.max()),
        float(max(pitch)) if pitch else None,
    )
    return float(all_moved.mean()), *worst, len(moved)


def _same_faces(first: FloatArray, second: FloatArray) -> list[tuple[int, int]]:
    """Return pairs of indices of the meshes (N, 478, 3) and (M, 478, 3) of the same faces."""
    if not len(first) or not len(second):
        return []
    middles = [meshes[..., :2].mean(axis=1) for meshes in (first, second)]
    distance = np.linalg.norm(middles[0][:, None] - middles[1][None], axis=-1)
    width = np.ptp(first[..., 0], axis=1)
    nearest = distance.argmin(axis=1)
    return [(i, int(j)) for i, j in enumerate(nearest) if distance[i, j] < SAME_FACE * width[i]]
