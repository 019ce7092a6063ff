"""Shading of a mesh: ambient light, one to three lamps with soft shadows, highlights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facegeom_lab.synth.mesh import Floats, Mesh
from facegeom_lab.synth.rasterise import rasterise, vertex_normals


@dataclass(frozen=True, eq=False)
class Light:
    """Light of one image, camera frame.

    Attributes:
        sky: (3,) linear colour of the ambient light from above.
        ground: (3,) the same from below.
        directions: (L, 3) unit vectors from the head to each lamp.
        colours: (L, 3) linear colours of the lamps.
        sharpness: exponent of the highlights.
        harmonics: (9, 3) more ambient light, in real spherical harmonics; None for none.
    """

    sky: Floats
    ground: Floats
    directions: Floats
    colours: Floats
    sharpness: float
    harmonics: Floats | None = None


def sample_light(rng: np.random.Generator) -> Light:
    """Draw a random light with at least one lamp on the camera's side of the head."""
    count = int(rng.integers(1, 4))
    directions = rng.standard_normal((count, 3))
    directions[:, 1] = -np.abs(directions[:, 1]) + rng.normal(0, 0.4, count)
    directions[0, 2] = -abs(directions[0, 2]) - 0.3
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    ambient, strength = rng.uniform(0.15, 0.8), rng.uniform(0.1, 1.0, count)
    exposure = rng.uniform(0.55, 1.25) / (ambient + 0.7 * strength.sum())
    ambient, strength = exposure * ambient, exposure * strength
    return Light(
        sky=_tinted(rng, ambient),
        ground=_tinted(rng, ambient * rng.uniform(0.3, 0.9)),
        directions=directions.astype(np.float32),
        colours=np.stack([_tinted(rng, value) for value in strength]),
        sharpness=float(rng.uniform(8, 50)),
    )


def shade(
    mesh: Mesh,
    light: Light,
    rotation: Floats,
    shadows: bool = True,
    exposure: Callable[[Floats, Floats], float] | None = None,
) -> Floats:
    """Return the linear colour of each vertex as the camera sees it.

    Args:
        mesh: in the head frame.
        light: in the camera frame.
        rotation: (3, 3) head to camera.
        shadows: whether the mesh casts shadows on itself.
        exposure: a camera's meter, from colours (V, 3) and normals (V, 3) to the factor of the colours.

    Returns:
        (V, 3) linear colour, mean exposure of a well-lit surface about 1 x albedo.
    """
    vertices = mesh.vertices @ rotation.T.astype(np.float32)
    normals = vertex_normals(vertices, mesh.triangles)
    up = (0.5 - 0.5 * normals[:, 1:2]) * mesh.openness[:, None]
    low = (0.5 + 0.5 * normals[:, 1:2]) * mesh.openness[:, None]
    received = up * light.sky + low * light.ground
    if light.harmonics is not None:
        received += (harmonic_basis(normals) @ light.harmonics).clip(0) * mesh.openness[:, None]
    shine = np.zeros_like(received)
    for direction, colour in zip(light.directions, light.colours, strict=True):
        facing = normals @ direction
        seen = lit_fraction(vertices, mesh.triangles, direction) if shadows else np.ones_like(facing)
        received += (seen * np.clip((facing + 0.15) / 1.15, 0, None))[:, None] * colour
        half = direction + np.array([0, 0, -1], np.float32)
        angle = np.clip(normals @ (half / (np.linalg.norm(half) + 1e-6)), 0, 1)
        shine += (seen * angle**light.sharpness * (facing > 0))[:, None] * colour
    colours = mesh.albedo * received + (0.5 * mesh.gloss * mesh.openness)[:, None] * shine
    return _soft_clip(colours * exposure(colours, normals) if exposure else colours)


def harmonic_basis(directions: Floats) -> Floats:
    """Return real spherical harmonics (N, 9) of bands 0 to 2 at unit vectors (N, 3)."""
    x, y, z = directions.T
    return np.stack(
        [
            np.full_like(x, 0.282095),
            0.488603 * y,
            0.488603 * z,
            0.488603 * x,
            1.092548 * x * y,
            1.092548 * y * z,
            0.315392 * (3 * z * z - 1),
            1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ],
        axis=1,
    )


def lit_fraction(
    vertices: Floats,
    triangles: NDArray[np.int64],
    direction: Floats,
    resolution: int = 128,
    slack_mm: float = 4.0,
) -> Floats:
    """Return the fraction (V,) of a distant lamp's light that reaches each vertex, by a shadow map.

    Args:
        vertices: (V, 3) millimetres.
        triangles: (T, 3).
        direction: (3,) unit vector towards the lamp.
        resolution: side of the shadow map, pixels.
        slack_mm: how far behind the nearest surface a vertex still counts as lit.
    """
    x, y = _perpendicular(direction)
    plane = np.stack([vertices @ x, vertices @ y], axis=1)
    low, high = plane.min(axis=0), plane.max(axis=0)
    pixels = ((plane - low) * ((resolution - 3) / (high - low).max()) + 1).astype(np.float32)
    distance = (1e4 - vertices @ direction).astype(np.float32)
    _, depth = rasterise(
        pixels, distance, triangles, np.zeros((len(vertices), 0), np.float32), (resolution,) * 2
    )
    column, row = np.rint(pixels).astype(int).T
    seen = np.zeros(len(vertices), np.float32)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
        seen += distance <= depth[row + dy, column + dx] + slack_mm
    return seen / 5


def openness(vertices: Floats, triangles: NDArray[np.int64], directions: int = 64) -> Floats:
    """Return the fraction (V,) of the ambient light that reaches each vertex (ambient occlusion)."""
    normals = vertex_normals(vertices, triangles)
    total, free = np.full(len(vertices), 1e-6, np.float32), np.zeros(len(vertices), np.float32)
    for direction in _sphere(directions):
        weight = np.clip(normals @ direction, 0, None)
        total += weight
        free += weight * lit_fraction(vertices, triangles, direction)
    return free / total


def _sphere(count: int) -> Floats:
    """Return evenly spread unit vectors (count, 3) (golden spiral)."""
    index = np.arange(count) + 0.5
    polar, around = np.arccos(1 - 2 * index / count), np.pi * (1 + 5**0.5) * index
    points = [np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)]
    return np.stack(points, axis=1).astype(np.float32)


def _perpendicular(direction: Floats) -> tuple[Floats, Floats]:
    helper = np.array([1, 0, 0]) if abs(direction[0]) < 0.7 else np.array([0, 1, 0])
    x = np.cross(direction, helper)
    x = x / np.linalg.norm(x)
    return x.astype(np.float32), np.cross(direction, x).astype(np.float32)


def _soft_clip(light: Floats, knee: float = 0.5) -> Floats:
    """Compress light above `knee` towards 1, as a camera's tone curve does."""
    room = 1 - knee
    return np.where(light < knee, light, 1 - room * np.exp(-(light - knee) / room))


def _tinted(rng: np.random.Generator, strength: float) -> Floats:
    """Draw light (3,) of `strength` between warm and cool."""
    warmth = rng.normal(0, 0.12)
    return (strength * np.array([1 + warmth, 1 + rng.normal(0, 0.02), 1 - warmth])).clip(0).astype(np.float32)
