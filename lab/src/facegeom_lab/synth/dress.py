"""What a head wears: hair, clothes, glasses. Shapes are in the head frame, millimetres."""

from __future__ import annotations

import numpy as np

from facegeom_lab.synth.mesh import Floats, Mesh, ellipsoid, grid_triangles, plain, tube, wobble
from facegeom_lab.synth.paint import linear
from facegeom_lab.synth.rasterise import vertex_normals


def grow_hair(rng: np.random.Generator, head: Mesh, neutral_mm: Floats, colour: Floats) -> list[Mesh]:
    """Turn the scalp of `head` into hair, in place, and return what hangs down (nothing for short hair).

    Args:
        rng: of the picture.
        head: mesh of the person; its first vertices are those of `neutral_mm`.
        neutral_mm: (V, 3) the neutral head, where the hairline is drawn.
        colour: (3,) linear.
    """
    scalp = scalp_weight(rng, neutral_mm)
    if rng.random() < 0.1:
        thickness, strength = 0.0, rng.uniform(0, 0.6)
    else:
        thickness, strength = rng.uniform(4, 12) + 28 * rng.beta(1.2, 3), 1.0
    normals = vertex_normals(head.vertices, head.triangles)
    relief = 1 + 0.25 * wobble(rng, neutral_mm, 70) + 0.12 * wobble(rng, neutral_mm, 25)
    head.vertices += (thickness * scalp * relief.clip(0.2))[:, None] * normals
    streaks = 1 + 0.2 * wobble(rng, neutral_mm * np.array([1, 0.3, 0.3], np.float32), 12)
    weight = (strength * np.clip(2 * scalp, 0, 1))[:, None]
    head.albedo += weight * (np.clip(colour * streaks[:, None], 0.003, 1) - head.albedo)
    head.gloss += weight[:, 0] * (rng.uniform(0.02, 0.2) - head.gloss)
    return [_curtain(rng, colour, thickness)] if thickness and rng.random() < 0.4 else []


def scalp_weight(rng: np.random.Generator, neutral_mm: Floats) -> Floats:
    """(V,) 0 to 1: how surely a vertex lies above a random hairline plane, ears left out."""
    x, y, z = neutral_mm.T
    edge = rng.uniform(-84, -52) + rng.uniform(0.8, 1.1) * z + 4 * wobble(rng, neutral_mm, 60)
    ears = (np.abs(x) > 73) & (y > -30) & (y < 50) & (z > 60) & (z < 108)
    weight = np.clip((edge - y) / 14, 0, 1) * ~ears
    return weight.astype(np.float32)


def clothes(rng: np.random.Generator) -> Mesh:
    """Shoulders under any plain colour, turned a little against the head."""
    radii = rng.uniform([170, 110, 95], [220, 160, 120])
    centre = np.array([0, rng.uniform(190, 215) + radii[1], 115])
    vertices, triangles = ellipsoid(centre, radii)
    turn = np.deg2rad(rng.normal(0, 25))
    offset = vertices - centre
    vertices[:, 0] = centre[0] + np.cos(turn) * offset[:, 0] + np.sin(turn) * offset[:, 2]
    vertices[:, 2] = centre[2] - np.sin(turn) * offset[:, 0] + np.cos(turn) * offset[:, 2]
    albedo = linear(rng.uniform(10, 240) * rng.uniform(0.5, 1, 3))
    return plain(vertices, triangles, albedo * (1 + 0.1 * wobble(rng, vertices, 40))[:, None].clip(0.1))


def glasses(rng: np.random.Generator, eyes_mm: Floats) -> list[Mesh]:
    """Rims, bridge and temples before the eyes, at times with dark lenses.

    Args:
        rng: of the picture.
        eyes_mm: (12, 3) the points 36 to 47.
    """
    colour = linear(rng.uniform(0, 90) * np.ones(3) + rng.uniform(0, 60, 3))
    width, height, power = rng.uniform(21, 28), rng.uniform(16, 23), rng.uniform(2, 4)
    bar, front = rng.uniform(0.8, 2.2), eyes_mm[:, 2].min() - rng.uniform(6, 14)
    angle = np.linspace(0, 2 * np.pi, 33)
    outline = np.stack([width * _power(np.cos(angle), power), height * _power(np.sin(angle), power)], axis=1)
    bars, lenses = [], []
    for side, points in ((-1, eyes_mm[:6]), (1, eyes_mm[6:])):
        centre = points.mean(axis=0) * [1.05, 1, 0] + [0, 3, front]
        rim = np.concatenate([outline + centre[:2], np.full((33, 1), front)], axis=1)
        hinge = centre + np.array([side * width, -4, 0])
        bars += [rim, np.linspace(hinge, [side * 76, hinge[1], 90], 6)]
        lenses.append(np.concatenate([centre[None], rim]))
    bars.append(np.linspace(lenses[0][1] + [0, -2, 0], lenses[1][17] + [0, -2, 0], 4))
    meshes = [plain(*tube(path, bar), colour, 0.4) for path in bars]
    if rng.random() < 0.25:
        fan = np.stack([np.zeros(32, int), np.arange(1, 33), np.arange(2, 34)], axis=1)
        meshes += [plain(lens, fan, 0.15 * colour, 0.8) for lens in lenses]
    return meshes


def _power(value: Floats, power: float) -> Floats:
    """Coordinates of a superellipse: rounder for 2, squarer above."""
    return np.sign(value) * np.abs(value) ** (2 / power)


def _curtain(rng: np.random.Generator, colour: Floats, thickness: float) -> Mesh:
    """Long hair: an open tube around the sides and the back of the head."""
    rows, columns = 24, 40
    reach = np.deg2rad(rng.uniform(85, 125))
    around = np.linspace(reach, -reach, columns)[None, :]
    down = np.linspace(0, 1, rows)[:, None]
    length = rng.uniform(130, 320) * (1 + 0.06 * wobble(rng, np.stack([around[0]] * 3, 1) * 90, 25))
    y = -95 + down * length
    swell = np.sqrt(np.clip(1 - (1 - down / 0.3).clip(0) ** 2, 0.1, 1)) * (1 + rng.uniform(-0.1, 0.35) * down)
    radius_x, radius_z = 77 + thickness, 90 + thickness
    points = np.stack([swell * radius_x * np.sin(around), y, 85 + swell * radius_z * np.cos(around)], axis=-1)
    vertices = points.reshape(-1, 3).astype(np.float32)
    strands = np.stack([np.sin(around) * 90 + 0 * down, 0.1 * y, np.cos(around) * 90 + 0 * down], axis=-1)
    noise = wobble(rng, strands.reshape(-1, 3).astype(np.float32), 18)
    outward = vertices - np.array([0, 0, 85], np.float32)
    outward[:, 1] = 0
    vertices += (0.05 * noise + 0.06 * wobble(rng, vertices, 90))[:, None] * outward
    albedo = np.clip(colour * (1 + 0.25 * noise[:, None]), 0.003, 1)
    return plain(vertices, grid_triangles(rows, columns), albedo, rng.uniform(0.02, 0.15))
