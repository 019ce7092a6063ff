"""What people wear or have on their skin beside hair, clothes and glasses: masks, hats, scarves, freckles.

Shapes are in the head frame, millimetres; colours are linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facegeom_lab.synth.appearance import linear
from facegeom_lab.synth.lights import Probe
from facegeom_lab.synth.mesh import Floats, Mesh, ellipsoid, grid_triangles, plain, tube, wobble

MASK, HAT, SCARF, FRECKLES, LINES, HAND = 0.12, 0.16, 0.07, 0.15, 0.35, 0.06
"""Fractions of the people with each."""

HEAD_CENTRE_MM = np.array([0.0, -25.0, 85.0], np.float32)


@dataclass(frozen=True, eq=False)
class Studio:
    """What a set of images has beyond plain heads under plain lamps.

    Attributes:
        probes: light of real places, used by most images.
        share: fraction of the images that are lit by a probe.
        backdrops: of those, the fraction whose background is the probe's place.
    """

    probes: Sequence[Probe]
    share: float = 0.75
    backdrops: float = 0.4


def dress(
    rng: np.random.Generator, head: Mesh, neutral_mm: Floats, marks_mm: Floats, skin: Floats
) -> list[Mesh]:
    """Draw marks of the skin on ``head``, in place, and return what the person wears.

    Args:
        rng: of the image.
        head: mesh of the person; its first vertices are those of ``neutral_mm``.
        neutral_mm: (V, 3) the neutral head.
        marks_mm: (68, 3) points of the person with the expression.
        skin: (V,) weight, 1 on the skin.
    """
    if rng.random() < FRECKLES:
        _freckles(rng, head, neutral_mm, skin)
    if rng.random() < LINES:
        _lines(rng, head, neutral_mm, skin)
    worn = []
    if rng.random() < MASK:
        worn.append(mask(rng, head.vertices[: len(neutral_mm)][skin > 0], marks_mm))
    kind = rng.random()
    if kind < HAT:
        worn += hat(rng)
    elif kind < HAT + SCARF:
        worn.append(hood(rng))
    if rng.random() < HAND:
        worn += hand(rng, marks_mm, head.albedo[: len(neutral_mm)][skin > 0].mean(axis=0))
    return worn


def _freckles(rng: np.random.Generator, head: Mesh, neutral_mm: Floats, skin: Floats) -> None:
    """Darken many small spots of nose and cheeks, and a few moles anywhere on the front."""
    front = np.flatnonzero((skin > 0) & (neutral_mm[:, 2] < 60) & (np.abs(neutral_mm[:, 1] - 25) < 55))
    if not len(front):
        return
    spots = rng.choice(front, int(rng.integers(3, 120)))
    head.albedo[spots] *= rng.uniform(0.45, 0.95, (len(spots), 1)).astype(np.float32)


def _lines(rng: np.random.Generator, head: Mesh, neutral_mm: Floats, skin: Floats) -> None:
    """Modulate the skin as age does: lines across the forehead, folds beside the mouth, uneven cheeks."""
    x, y, z = neutral_mm.T
    depth = rng.uniform(0.03, 0.2)
    forehead = np.clip((-18 - y) / 20, 0, 1) * np.clip((60 - np.abs(x)) / 20, 0, 1)
    lines = forehead * (0.5 + 0.5 * np.sin((y + 3 * wobble(rng, neutral_mm, 50)) * 2 * np.pi / 9)) ** 4
    fold_x = 18 + 0.28 * (y - 25)
    folds = np.exp(-(((np.abs(x) - fold_x) / 2.5) ** 2)) * (y > 28) * (y < 72)
    uneven = 0.6 * wobble(rng, neutral_mm, 7) * 0.3
    shade = depth * skin * (z < 60) * (lines + 0.8 * folds + uneven)
    head.albedo *= np.clip(1 - shade, 0.5, 1.2).astype(np.float32)[:, None]


def _cloth_colour(rng: np.random.Generator) -> Floats:
    """Draw white, light blue, black or any colour (3,)."""
    common = ((235, 238, 240), (150, 190, 220), (30, 30, 34), (225, 225, 225))
    kind = int(rng.integers(7))
    return linear(common[kind] if kind < len(common) else rng.uniform(15, 245, 3))


def mask(rng: np.random.Generator, skin_mm: Floats, marks_mm: Floats) -> Mesh:
    """Make a mask from the bridge of the nose to under the chin, a shell around the lower face.

    Args:
        rng: of the image.
        skin_mm: (N, 3) vertices of the skin.
        marks_mm: (68, 3) points of the person.
    """
    rows, columns, axis_z = 14, 33, float(marks_mm[[0, 16], 2].mean())
    worn_low = rng.random() < 0.15
    top = marks_mm[33 if worn_low else 28, 1] + rng.uniform(-2, 10)
    bottom = marks_mm[8, 1] + rng.uniform(2, 12)
    reach = np.deg2rad(rng.uniform(55, 82))
    angle = np.linspace(-reach, reach, columns)
    droop = np.clip(np.abs(angle) / reach, 0, 1) ** 2 * rng.uniform(6, 18)
    y = top + droop + np.linspace(0, 1, rows)[:, None] * (bottom - droop - top)
    low = skin_mm[(skin_mm[:, 1] > top - 12) & (skin_mm[:, 1] < bottom + 12) & (skin_mm[:, 2] < axis_z)]
    around = np.arctan2(low[:, 0], axis_z - low[:, 2])
    far = np.hypot(low[:, 0], axis_z - low[:, 2])
    near = (np.abs(around[:, None] - angle) < 2.2 * reach / columns)[:, None]
    near = near & (np.abs(low[:, 1][:, None, None] - y[None]) < 9)
    radius = np.where(near, far[:, None, None], 0).max(axis=0)
    radius = np.where(radius > 0, radius, 55)
    for _ in range(2):
        radius = np.maximum(radius, _smoothed(radius))
    radius = _smoothed(radius) + rng.uniform(1.5, 4)
    points = np.stack([radius * np.sin(angle), y, axis_z - radius * np.cos(angle)], axis=-1)
    pleats = 1 + rng.uniform(0, 0.12) * np.sin(np.linspace(0, np.pi * rng.integers(2, 9), rows))[:, None]
    colour = _cloth_colour(rng) * np.repeat(pleats, columns, axis=1).reshape(-1, 1)
    return plain(points.reshape(-1, 3), grid_triangles(rows, columns), colour.clip(0.003, 1), 0.02)


def _smoothed(values: Floats) -> Floats:
    padded = np.pad(values, 1, mode="edge")
    return (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] + values) / 5


def hat(rng: np.random.Generator) -> list[Mesh]:
    """Make a cap, with or without a peak or a brim, over the upper head."""
    radii = np.array([rng.uniform(84, 94), rng.uniform(82, 112), rng.uniform(102, 116)])
    centre = HEAD_CENTRE_MM + np.array([0, rng.uniform(-42, -18), 0])
    vertices, triangles = ellipsoid(centre, radii)
    slope = rng.uniform(-0.05, 0.35)
    rim = centre[1] + slope * (vertices[:, 2] - HEAD_CENTRE_MM[2])
    colour = _cloth_colour(rng)
    vertices[:, 1] = np.minimum(vertices[:, 1], rim)
    pattern = 1 + 0.1 * wobble(rng, vertices, rng.uniform(15, 60))
    meshes = [plain(vertices, triangles, (colour * pattern[:, None]).clip(0.003, 1), 0.03)]
    kind = rng.random()
    if kind < 0.65:
        half = np.pi if kind < 0.25 else np.deg2rad(rng.uniform(60, 85))
        around, width = np.linspace(-half, half, 33), rng.uniform(35, 85)
        ring = np.stack([radii[0] * np.sin(around), 0 * around, -radii[2] * np.cos(around)], axis=-1)
        grown = np.ones(33) if kind < 0.25 else np.cos(around * (np.pi / 2) / half)[:]
        outer = ring * (1 + (width * grown / radii[2]))[:, None]
        rows = np.concatenate([ring, outer]) + centre
        rows[:, 1] += slope * (rows[:, 2] - HEAD_CENTRE_MM[2])
        rows[33:, 1] += rng.uniform(-4, 12) * grown
        shade = colour if rng.random() < 0.7 else _cloth_colour(rng)
        meshes.append(plain(rows.astype(np.float32), grid_triangles(2, 33), shade, 0.05))
    return meshes


def hood(rng: np.random.Generator) -> Mesh:
    """Make a headscarf or a hood: cloth around the head that leaves the face open."""
    rows, columns = 26, 44
    reach = np.deg2rad(rng.uniform(118, 138))
    around = np.linspace(reach, -reach, columns)[None, :]
    down = np.linspace(0, 1, rows)[:, None]
    y = -130 + rng.uniform(-6, 4) + down * rng.uniform(230, 330)
    dome = np.sqrt(np.clip(1 - (1 - down / 0.28).clip(0) ** 2, 0.0, 1))
    wide = rng.uniform(86, 98) * (1 + rng.uniform(-0.1, 0.2) * down)
    x = dome * wide * np.sin(around)
    z = HEAD_CENTRE_MM[2] + dome * (wide + 18) * np.cos(around)
    points = np.stack(np.broadcast_arrays(x, y, z), axis=-1).reshape(-1, 3).astype(np.float32)
    points += 0.04 * wobble(rng, points, 45)[:, None] * (points - HEAD_CENTRE_MM) * [1, 0, 1]
    colour = _cloth_colour(rng) * (1 + 0.15 * wobble(rng, points, 30))[:, None]
    return plain(points.astype(np.float32), grid_triangles(rows, columns), colour.clip(0.003, 1), 0.02)


def hand(rng: np.random.Generator, marks_mm: Floats, skin: Floats) -> list[Mesh]:
    """Make a hand in front of the lower or the side face: a palm and four fingers, in the skin's colour."""
    side = rng.choice((-1.0, 1.0))
    target = marks_mm[[8, 48 if side < 0 else 54, 3 if side < 0 else 13][int(rng.integers(3))]]
    palm = target + np.array([side * rng.uniform(5, 35), rng.uniform(15, 45), -rng.uniform(14, 24)])
    vertices, triangles = ellipsoid(palm, rng.uniform([30, 34, 10], [42, 46, 15]), 12, 16)
    parts, colour = [plain(vertices, triangles, skin, 0.05)], skin
    turn = rng.normal(0, 0.5) - side * 0.3
    for finger in range(4):
        spread = (finger - 1.5) * 17
        start = palm + np.array([spread, -24, 0])
        length = rng.uniform(45, 75)
        bend = np.linspace(0, 1, 8)
        path = start + np.stack([np.sin(turn) * length * bend, -length * bend, 10 * bend**2], axis=-1)
        parts.append(plain(*tube(path, rng.uniform(7, 9.5), 8), colour, 0.05))
    return parts
