"""Coloured triangle meshes, simple shapes to build them from, and smooth noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]


@dataclass(eq=False)
class Mesh:
    """Triangles with materials per vertex.

    Attributes:
        vertices: (V, 3) millimetres.
        triangles: (T, 3) vertex indices, ordered so that normals (right-hand rule) point outwards.
        albedo: (V, 3) linear colour, 0 to 1.
        gloss: (V,) strength of the highlight, 0 to 1.
        openness: (V,) fraction of the ambient light that reaches the vertex, 0 to 1.
    """

    vertices: Floats
    triangles: Ints
    albedo: Floats
    gloss: Floats
    openness: Floats


def plain(vertices: Floats, triangles: Ints, albedo: ArrayLike, gloss: float = 0.0) -> Mesh:
    """Make a mesh with one gloss; `albedo` is (3,) or (V, 3), linear."""
    count = len(vertices)
    colour = np.broadcast_to(np.asarray(albedo, dtype=np.float32), (count, 3)).copy()
    return Mesh(
        vertices.astype(np.float32),
        triangles,
        colour,
        np.full(count, gloss, np.float32),
        np.ones(count, np.float32),
    )


def join(meshes: Sequence[Mesh]) -> Mesh:
    """Join meshes into one; the vertices of the first keep their indices."""
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.triangles + offset for mesh, offset in zip(meshes, offsets, strict=True)]),
        np.concatenate([mesh.albedo for mesh in meshes]),
        np.concatenate([mesh.gloss for mesh in meshes]),
        np.concatenate([mesh.openness for mesh in meshes]),
    )


def grid_triangles(rows: int, columns: int, closed: bool = False) -> Ints:
    """Return triangles (T, 3) of a grid of vertices; `closed` joins the last column to the first."""
    row = np.arange(rows - 1)[:, None]
    column = np.arange(columns if closed else columns - 1)[None, :]
    following = (column + 1) % columns
    a, b = row * columns + column, row * columns + following
    c, d = a + columns, b + columns
    quads = np.stack([np.broadcast_to(x, a.shape).ravel() for x in (a, c, d, b)], axis=-1)
    return np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])


def ellipsoid(centre: ArrayLike, radii: ArrayLike, rows: int = 24, columns: int = 32) -> tuple[Floats, Ints]:
    """Return vertices (rows x columns, 3) and triangles of an ellipsoid with its poles on the y axis."""
    polar = np.linspace(0, np.pi, rows)[:, None]
    around = np.arange(columns)[None, :] * (2 * np.pi / columns)
    unit = np.stack(
        np.broadcast_arrays(np.sin(polar) * np.cos(around), -np.cos(polar), np.sin(polar) * np.sin(around)),
        -1,
    )
    vertices = unit.reshape(-1, 3) * np.asarray(radii) + np.asarray(centre)
    return vertices.astype(np.float32), grid_triangles(rows, columns, closed=True)


def tube(path: Floats, radius: float, sides: int = 6) -> tuple[Floats, Ints]:
    """Return vertices and triangles of a round bar of `radius` along the points `path` (N, 3)."""
    along = np.gradient(path.astype(np.float64), axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    helper = np.where(np.abs(along[:, 1:2]) < 0.9, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    first = np.cross(along, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    angle = np.arange(sides) * (2 * np.pi / sides)
    ring = np.cos(angle)[:, None] * first[:, None] + np.sin(angle)[:, None] * second[:, None]
    vertices = path[:, None] + radius * ring
    return vertices.reshape(-1, 3).astype(np.float32), grid_triangles(len(path), sides, closed=True)


def wobble(rng: np.random.Generator, points: Floats, period_mm: float, waves: int = 6) -> Floats:
    """Return smooth noise (V,) of about unit variance at points (V, 3), with waves `period_mm` long."""
    direction = rng.standard_normal((3, waves)) * (2 * np.pi / period_mm / np.sqrt(3))
    phase = rng.uniform(0, 2 * np.pi, waves)
    heights = np.sin(direction.T.astype(np.float32) @ points.T + phase[:, None].astype(np.float32))
    total = heights.sum(axis=0)
    return (total * np.sqrt(2 / waves)).astype(np.float32)


def inside_polygon(points: Floats, polygon: Floats) -> NDArray[np.bool_]:
    """Return (N,) whether points (N, 2) lie in the closed polygon (K, 2), by the even-odd rule."""
    inside = np.zeros(len(points), dtype=bool)
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y1 != y2:
            crosses = (y1 > points[:, 1]) != (y2 > points[:, 1])
            inside ^= crosses & (points[:, 0] < (x2 - x1) * (points[:, 1] - y1) / (y2 - y1) + x1)
    return inside
