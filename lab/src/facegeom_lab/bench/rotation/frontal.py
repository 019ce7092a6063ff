"""Heads that look straight into the lens, at nine places of the photo, through five lenses."""

from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facegeom.analyzer import FaceAnalyzer
from facegeom.geometry.rotation import angles_from_rotation
from facegeom_lab.bench.progress import track
from facegeom_lab.bench.rotation.errors import match_rotations
from facegeom_lab.bench.rotation.rendered import PlacedHeads, RenderedHeads, render_heads
from facegeom_lab.measures.tables import Cell, Table, percent

FloatArray = npt.NDArray[np.floating]

FOVS_DEG = (25.0, 50.0, 75.0, 90.0, 110.0)
_STEPS = (-0.75, 0.0, 0.75)
PLACES = tuple(product(_STEPS, _STEPS))
SIZE_WH, FACE_PX = (960, 720), (110.0, 110.0)
GOAL_DEG = 2.0

_PROTOCOL = (
    "Rendered heads (ICT-FaceKit Light; people, lights and backgrounds not used in training) that look "
    "straight into the lens, in photos of 960 x 720 with a face of 110 px: each person in the middle and at "
    "eight places three quarters of the way to the edges and corners, under five angles of view; the true "
    "yaw, pitch and roll are 0. The face network with default settings, own detection, each photo with its "
    "angle of view given and not given (50° assumed). Means of the signed angles over the found heads, and "
    "of their absolute values; worst place: mean over the people at the place where it is farthest from 0. "
    f"Goal: mean yaw and mean pitch within ±{GOAL_DEG:g}°."
)
COLUMNS = (
    *("angle of view °", "angle of view is", "yaw, mean °", "pitch, mean °", "yaw, mean absolute °"),
    *("pitch, mean absolute °", "yaw, worst place °", "pitch, worst place °", "found, %", "pictures"),
)


def frontal_table(data: Path, cache: Path, analyzer: FaceAnalyzer, people: int) -> Table:
    """Measure yaw and pitch of heads that look into the lens.

    Args:
        data: the data pack.
        cache: folder of rendered images.
        analyzer: with default settings.
        people: rendered persons, 45 images each.
    """
    heads = render_heads(data, PlacedHeads(21, people, SIZE_WH, FOVS_DEG, PLACES, FACE_PX), cache)
    fovs = np.tile(np.repeat(FOVS_DEG, len(PLACES)), people).tolist()
    given, assumed = _angles_deg(analyzer, heads, fovs), _angles_deg(analyzer, heads, [None] * len(fovs))
    rows: list[tuple[Cell, ...]] = []
    for index, fov in enumerate(FOVS_DEG):
        for source, angles in (("given", given), ("assumed", assumed)):
            by_lens = angles.reshape(people, len(FOVS_DEG), len(PLACES), 2)
            rows.append((f"{fov:g}", source, *angle_summary(by_lens[:, index])))
    return Table("Heads that look into the lens", _PROTOCOL, COLUMNS, rows)


def _angles_deg(analyzer: FaceAnalyzer, heads: RenderedHeads, fovs_deg: list[float | None]) -> FloatArray:
    """Return the predicted yaw and pitch (N, 2) of the heads, NaN where one is not found."""
    photos = track(heads.photos, f"{len(fovs_deg)} heads that look into the lens")
    found = [analyzer(photo.path, fov_deg=fov) for photo, fov in zip(photos, fovs_deg, strict=True)]
    matched = match_rotations(found, [faces.rotation for faces in found], heads.photos)
    angles = angles_from_rotation(matched.rotation)[:, :2]
    return np.where(matched.found[:, None], angles, np.nan)


def angle_summary(angles_deg: FloatArray) -> tuple[Cell, ...]:
    """Summarize yaw and pitch (people, places, 2) in degrees, NaN where a head was not found.

    Returns:
        The cells of :data:`COLUMNS` after the first two.
    """
    found = np.isfinite(angles_deg[..., 0])
    counts = (percent(int(found.sum()), found.size), found.size)
    if not found.any():
        return (*[None] * 6, *counts)
    seen_at = [angles_deg[found[:, place], place] for place in np.flatnonzero(found.any(axis=0))]
    places = np.stack([angles.mean(axis=0) for angles in seen_at])
    worst = places[np.abs(places).argmax(axis=0), (0, 1)]
    angles = angles_deg[found]
    return (*angles.mean(axis=0).tolist(), *np.abs(angles).mean(axis=0).tolist(), *worst.tolist(), *counts)
