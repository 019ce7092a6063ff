"""How much smoothing leaves of quick movements: blinks and lips with known motion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from facegeom.analyzer import FaceAnalyzer
from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import place
from facegeom.geometry.schemes import MESH478_LIDS
from facegeom.results import Faces
from facegeom.video import FaceSmoother, FaceTracker, TrackedFaces
from facegeom_lab.bench.video import clips
from facegeom_lab.measures.tables import Cell, Table

FloatArray = npt.NDArray[np.floating]

LIDS = {upper: lower for eye in MESH478_LIDS for upper, lower in eye}
LIPS = {13: 14}
"""Upper points of the mesh and the lower ones that they come down to."""

BLINK_S, FIRST_S, PERIOD_S = 0.1, 0.7, 1.01
"""Duration of a blink, middle of the first, and time to the next: no whole number of frames."""

LIPS_HZ = (3, 6)

_PROTOCOL = (
    "The faces of the still clip above as the networks see them, noise and all, whose lids or lips are shut "
    "by a known fraction, then smoothed. Blinks of 100 ms, a squared cosine, one every 1.01 s: depth after "
    "smoothing over the depth in the frames. Lips that open and shut 3 and 6 times a second: slope of their "
    "way over the true one."
)


def shut(faces: Faces, fraction: float, pairs: Mapping[int, int]) -> Faces:
    """Return faces whose upper points came down to the lower ones by a fraction of the way."""
    mesh = faces.mesh_px.copy()
    upper, lower = list(pairs), list(pairs.values())
    mesh[:, upper] += np.float32(fraction) * (mesh[:, lower] - mesh[:, upper])
    mesh_mm, translation_mm = place(mesh, Camera(faces.width, faces.height, faces.fov_deg))
    return replace(faces, mesh_px=mesh, mesh_mm=mesh_mm, translation_mm=translation_mm)


def blinks(time_s: FloatArray) -> FloatArray:
    """Return how far lids are shut (N,), in [0, 1], at times (N,)."""
    apart_s = (time_s - FIRST_S + PERIOD_S / 2) % PERIOD_S - PERIOD_S / 2
    return np.where(np.abs(apart_s) < BLINK_S / 2, np.cos(np.pi * apart_s / BLINK_S) ** 2, 0)


def kept_depths(closed: FloatArray, eye_open: FloatArray, at_rest: float) -> FloatArray:
    """Return the depths of the blinks (K,) over the true ones, from lids (N,) after smoothing."""
    peaks = [
        i for i in range(15, len(closed) - 4) if closed[i] > 0 and closed[i] == closed[i - 3 : i + 4].max()
    ]
    kept = [
        (eye_open[i - 10 : i - 3].mean() - eye_open[i - 1 : i + 4].min()) / (at_rest * closed[i])
        for i in peaks
    ]
    return np.array(kept)


def smoothed(
    frames: Sequence[TrackedFaces], time_s: FloatArray, change: Callable[[Faces, int], Faces]
) -> list[Faces]:
    """Change the faces of each frame, smooth them, and return them."""
    smooth = FaceSmoother()
    return [
        smooth(replace(each, faces=change(each.faces, index)), float(time_s[index])).faces
        for index, each in enumerate(frames)
    ]


def blinks_and_lips(analyzer: FaceAnalyzer, images: npt.NDArray[np.uint8]) -> Table:
    """Measure on a clip (N, H, W, 3) of one face at rest."""
    follow, time_s = FaceTracker(analyzer), np.arange(len(images)) / clips.RATE
    frames = [follow(pixels, float(at)) for pixels, at in zip(images, time_s, strict=True)]
    closed = blinks(time_s)
    eyes = smoothed(frames, time_s, lambda faces, index: shut(faces, closed[index], LIDS))
    at_rest = float(np.mean([each.faces.eye_open for each in frames]))
    depths = kept_depths(closed, np.array([each.eye_open.mean() for each in eyes]), at_rest)
    rows: list[tuple[Cell, ...]] = [
        ("blinks of 100 ms, mean", 100 * float(depths.mean())),
        ("blinks of 100 ms, the worst", 100 * float(depths.min())),
    ]
    apart = float(np.mean([each.faces.mouth_open for each in frames]))
    for hz in LIPS_HZ:
        wave = 0.5 - 0.5 * np.cos(2 * np.pi * hz * time_s + 0.3)
        lips = smoothed(frames, time_s, lambda faces, index, wave=wave: shut(faces, wave[index], LIPS))  # type: ignore[misc]
        seen = np.array([each.mouth_open[0] for each in lips])
        slope = np.polyfit(apart * (1 - wave[15:]), seen[15:], 1)[0]
        rows.append((f"lips, {hz} times a second", 100 * float(slope)))
    return Table("Blinks and lips after smoothing", _PROTOCOL, ("movement", "kept, %"), rows)
