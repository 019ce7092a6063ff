"""Appearance of a random person: skin, lips, brows, beard, eyes and teeth; hair, clothes and glasses.

Shapes are in the head frame, millimetres; colours are linear.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facegeom_lab.synth.mesh import (
    Floats,
    Mesh,
    ellipsoid,
    grid_triangles,
    inside_polygon,
    plain,
    tube,
    wobble,
)
from facegeom_lab.synth.model import HeadModel
from facegeom_lab.synth.rasterise import vertex_normals

SKIN_RAMP = np.array(
    [
        (250, 222, 204),
        (238, 198, 172),
        (220, 172, 140),
        (192, 138, 104),
        (146, 98, 70),
        (102, 66, 48),
        (62, 41, 33),
    ]
)
"""Skin tones (sRGB) from light to dark; a person's tone lies anywhere between neighbours."""

HAIR_TONES = np.array(
    [
        (34, 29, 27),
        (46, 36, 31),
        (66, 48, 36),
        (98, 70, 48),
        (150, 112, 70),
        (194, 162, 112),
        (116, 62, 38),
        (150, 148, 146),
    ]
)
IRIS_TONES = np.array([(52, 30, 18), (84, 52, 26), (98, 92, 50), (80, 110, 130), (110, 130, 140)])


@dataclass(frozen=True, eq=False)
class Masks:
    """Weights (V,), 0 to 1, of the parts of the model's surface.

    Attributes:
        parts: vertex indices by region.
        eye_angle_deg: (V,) angle from the eye's axis; 180 outside the eyeballs.
    """

    skin: Floats
    lips: Floats
    brows: Floats
    lids: Floats
    beard: Floats
    flush: Floats
    parts: dict[str, NDArray[np.int64]]
    eye_angle_deg: Floats


def find_masks(model: HeadModel) -> Masks:
    """Find lips, brows, beard and flushed skin from the 68 points of the neutral head."""
    points, marks = model.neutral_mm, model.neutral_mm[model.landmarks]
    parts = {name: np.arange(*limits) for name, limits in model.regions.items()}
    skin = np.ones(len(points), np.float32)
    for name in set(parts) - {"face", "head"}:
        skin[parts[name]] = 0
    front = skin * (points[:, 2] < marks[[0, 16], 2].mean())
    lips = front * inside_polygon(points[:, :2], marks[48:60, :2])
    brows = np.zeros_like(skin)
    for side in (slice(17, 22), slice(22, 27)):
        brows = np.maximum(brows, 1 - _distance_to_line(points, marks[side] + [0, -1, 0]) / 6.5)
    lids = np.zeros_like(skin)
    for side in (slice(36, 40), slice(42, 46)):
        lids = np.maximum(lids, 1 - _distance_to_line(points, marks[side]) / 2.5)
    mouth, nose = marks[[48, 54]].mean(axis=0), marks[33]
    width = np.linalg.norm(marks[54] - marks[48])
    beard = _step((points[:, 1] - nose[1]) / 12) * _step((marks[8, 1] + 25 - points[:, 1]) / 25)
    beard *= _step((np.linalg.norm((points - mouth)[:, :2], axis=1) - 0.3 * width) / 10)
    flush = sum(
        _bump(points, marks[k] + np.array([dx, 0, 0]), 22) for k, dx in ((30, 0), (31, -22), (35, 22))
    )
    return Masks(
        skin=skin,
        lips=lips.astype(np.float32),
        lids=(front * np.clip(1.5 * lids, 0, 1)).astype(np.float32),
        brows=(front * np.clip(2 * brows, 0, 1)).astype(np.float32),
        beard=(front * beard * (1 - lips)).astype(np.float32),
        flush=(front * np.clip(flush, 0, 1)).astype(np.float32),
        parts=parts,
        eye_angle_deg=_eye_angle(model),
    )


def paint(
    rng: np.random.Generator, masks: Masks, points: Floats, tone: float | None = None
) -> tuple[Floats, Floats, Floats]:
    """Colour a random person.

    Args:
        rng: of the image.
        masks: of the model.
        points: (V, 3) neutral vertices, millimetres; noise is fixed to them.
        tone: place on the ramp of skin tones; None for a random one. Hair and the rest stay as they are.

    Returns:
        Albedo (V, 3) and hair colour (3,), linear, and gloss (V,).
    """
    own_tone = rng.uniform(0, len(SKIN_RAMP) - 1)
    skin = linear(_between(SKIN_RAMP, own_tone if tone is None else tone) * rng.normal(1, 0.04, 3))
    dark = rng.random() < 0.35 + 0.1 * own_tone
    hair = linear(
        HAIR_TONES[rng.integers(0, 3) if dark else rng.integers(0, len(HAIR_TONES))]
        * rng.normal(1, 0.03, 3)
        * rng.uniform(0.8, 1.2)
    )
    albedo = np.broadcast_to(skin, (len(points), 3)).copy()
    albedo *= (1 + 0.05 * wobble(rng, points, 60) + 0.03 * wobble(rng, points, 14))[:, None]
    _mix(albedo, masks.flush * rng.uniform(0, 0.35), skin * [1.05, 0.68, 0.66])
    _mix(albedo, masks.lips * rng.uniform(0.35, 0.9), _lip_colour(rng, skin))
    if rng.random() < 0.4:
        _mix(albedo, masks.beard * rng.beta(1.2, 1.8), hair)
    _mix(albedo, masks.brows * rng.uniform(0.35, 0.95), 0.7 * hair)
    _mix(albedo, masks.lids * rng.uniform(0, 1), 0.5 * hair)
    gloss = np.full(len(points), rng.uniform(0.02, 0.16), np.float32) * (1 + masks.lips)
    _paint_inside(rng, masks, albedo, gloss, skin)
    return np.clip(albedo, 0.003, 1).astype(np.float32), hair, gloss


def linear(srgb: ArrayLike) -> Floats:
    """Convert sRGB values 0 to 255 to linear light 0 to 1 (power 2.2)."""
    return (np.clip(np.asarray(srgb, dtype=np.float64), 0, 255) / 255).astype(np.float32) ** np.float32(2.2)


def _paint_inside(
    rng: np.random.Generator, masks: Masks, albedo: Floats, gloss: Floats, skin: Floats
) -> None:
    """Colour mouth, gums, teeth, sockets and eyes, in place."""
    colours = {
        "mouth": linear([120, 40, 38]),
        "gums": linear([170, 84, 80]),
        "teeth": linear(np.array([226, 218, 200]) * rng.uniform(0.8, 1.05)),
        "sockets": skin * np.array([0.8, 0.55, 0.5]),
    }
    for name, colour in colours.items():
        if name in masks.parts:
            albedo[masks.parts[name]] = colour
            gloss[masks.parts[name]] = 0.2 if name in ("teeth", "gums") else 0.02
    if "eyes" in masks.parts:
        eyes = masks.parts["eyes"]
        albedo[eyes] = _eye_colour(rng, masks.eye_angle_deg[eyes])
        gloss[eyes] = 1.0


def _eye_colour(rng: np.random.Generator, angle_deg: Floats) -> Floats:
    """Return colours (N, 3) of pupil, iris, its dark rim and the white, by the angle from the eye's axis."""
    iris = linear(IRIS_TONES[rng.integers(0, len(IRIS_TONES))] * rng.normal(1, 0.1, 3))
    pupil_deg, iris_deg = rng.uniform(6, 12), rng.uniform(21, 25)
    white = linear(np.array([232, 224, 218]) * rng.uniform(0.85, 1.0))
    colour = np.broadcast_to(white, (len(angle_deg), 3)).copy()
    colour[angle_deg < iris_deg + 1.5] = 0.4 * iris
    colour[angle_deg < iris_deg - 2] = iris
    colour[angle_deg < pupil_deg] = 0.004
    return colour


def _lip_colour(rng: np.random.Generator, skin: Floats) -> Floats:
    natural = skin * np.array([0.85, 0.48, 0.48])
    painted = linear([rng.uniform(120, 210), rng.uniform(20, 80), rng.uniform(30, 90)])
    return (natural if rng.random() < 0.8 else painted).astype(np.float32)


def _eye_angle(model: HeadModel) -> Floats:
    """Return (V,) degrees between the straight gaze (-z) and the direction from the eyeball's centre."""
    angle = np.full(len(model.neutral_mm), 180, np.float32)
    for index in model.eyeballs:
        ball = model.neutral_mm[index]
        centre = (ball.min(axis=0) + ball.max(axis=0)) / 2
        out = ball - centre
        angle[index] = np.degrees(np.arctan2(np.linalg.norm(out[:, :2], axis=1), -out[:, 2]))
    return angle


def _distance_to_line(points: Floats, line: Floats) -> Floats:
    """Return distances (N,) of points (N, 3) to the polyline (K, 3)."""
    best = np.full(len(points), np.inf)
    for start, end in pairwise(line):
        edge = end - start
        along = np.clip((points - start) @ edge / (edge @ edge), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - start - along[:, None] * edge, axis=1))
    return best


def _mix(albedo: Floats, weight: Floats, colour: ArrayLike) -> None:
    albedo += weight[:, None] * (np.asarray(colour, dtype=np.float32) - albedo)


def _between(ramp: NDArray[np.integer], position: float) -> NDArray[np.floating]:
    low = min(int(position), len(ramp) - 2)
    return ramp[low] + (position - low) * (ramp[low + 1] - ramp[low])


def _step(value: Floats) -> Floats:
    t = np.clip(value, 0, 1)
    return t * t * (3 - 2 * t)


def _bump(points: Floats, centre: Floats, radius_mm: float) -> Floats:
    return np.exp(-((points - centre) ** 2).sum(axis=1) / (2 * (radius_mm / 2) ** 2))


def grow_hair(rng: np.random.Generator, head: Mesh, neutral_mm: Floats, colour: Floats) -> list[Mesh]:
    """Turn the scalp of `head` into hair, in place; return the meshes of long hair (none for short hair).

    Args:
        rng: of the image.
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
    """Return weights (V,), 0 to 1, of vertices above a random hairline plane, without the ears."""
    x, y, z = neutral_mm.T
    edge = rng.uniform(-84, -52) + rng.uniform(0.8, 1.1) * z + 4 * wobble(rng, neutral_mm, 60)
    ears = (np.abs(x) > 73) & (y > -30) & (y < 50) & (z > 60) & (z < 108)
    weight = np.clip((edge - y) / 14, 0, 1) * ~ears
    return weight.astype(np.float32)


def clothes(rng: np.random.Generator) -> Mesh:
    """Make shoulders in a random plain colour, rotated a little against the head."""
    radii = rng.uniform([170, 110, 95], [220, 160, 120])
    centre = np.array([0, rng.uniform(190, 215) + radii[1], 115])
    vertices, triangles = ellipsoid(centre, radii)
    angle = np.deg2rad(rng.normal(0, 25))
    offset = vertices - centre
    vertices[:, 0] = centre[0] + np.cos(angle) * offset[:, 0] + np.sin(angle) * offset[:, 2]
    vertices[:, 2] = centre[2] - np.sin(angle) * offset[:, 0] + np.cos(angle) * offset[:, 2]
    albedo = linear(rng.uniform(10, 240) * rng.uniform(0.5, 1, 3))
    return plain(vertices, triangles, albedo * (1 + 0.1 * wobble(rng, vertices, 40))[:, None].clip(0.1))


def glasses(rng: np.random.Generator, eyes_mm: Floats) -> list[Mesh]:
    """Make rims, bridge and temples in front of the eyes, at times with dark lenses.

    Args:
        rng: of the image.
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
    """Return coordinates of a superellipse: round for 2, squarer above."""
    return np.sign(value) * np.abs(value) ** (2 / power)


def _curtain(rng: np.random.Generator, colour: Floats, thickness: float) -> Mesh:
    """Make long hair: an open tube around the sides and the back of the head."""
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
