"""The face of a head model: places of the mesh's 478 points, part of the head, depth before a camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from facegeom.geometry import topology
from facegeom.geometry.camera import Camera
from facegeom_lab.synth.mesh import Floats, Ints, inside_polygon
from facegeom_lab.synth.model import HeadModel
from facegeom_lab.synth.rasterise import rasterise

ANCHORS = np.array([8, *range(17, 68)])
"""Those of the 68 points that lie at one place on the head: the chin's, and all inside the outline."""

PLACEMENT = Path(__file__).with_name("mesh478_placement.npz")
"""Where the teacher puts each point, against the warped canonical head: `facegeom lab placement`."""

SURFACE = slice(0, 468)
NEIGHBOURS, RIDGE = 6, 0.05
IRIS_DEG = 23.5
"""Angle of the iris's edge from the eyeball's axis; the painted ones have 22 to 26 degrees."""

BEHIND_OVAL_MM = 6.0
"""How far behind the mesh's rearmost point the face ends: the back of the head is no part of it."""

INSIDE = ("mouth", "sockets", "gums", "teeth", "eyes")
"""Regions seen through the face's openings."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Correspondence of a head model with the mesh.

    Attributes:
        indices: (478, K) vertices around each point of the mesh.
        weights: (478, K) their shares in it; those of a point add up to 1.
        trust: (478,) weight of each point as a label, 0 to 1: low where the teacher's points follow the
            outline or hair and not a place of the head.
        face: (V,) bool, whether the vertex lies in the part of the head that the mesh covers.
    """

    indices: Ints
    weights: Floats
    trust: Floats
    face: NDArray[np.bool_]

    def mesh(self, vertices: Floats) -> Floats:
        """Return the mesh's points (..., 478, 3) of vertices (..., V, 3)."""
        return np.asarray(np.einsum("...kjc,kj->...kc", vertices[..., self.indices, :], self.weights))


@lru_cache(maxsize=4)
def find_anatomy(model: HeadModel) -> Anatomy:
    """Fit the canonical mesh to the model's neutral head.

    The canonical head is warped so that its 68 points meet the model's (polyharmonic splines; Carr et al.,
    "Reconstruction and representation of 3D objects with radial basis functions", 2001) and moved to where
    the teacher puts its points. Each point then becomes a locally linear combination of the nearest vertices
    (Roweis and Saul, "Nonlinear dimensionality reduction by locally linear embedding", 2000): of the skin,
    nearest with the jaw closed and half open at once, so that no point mixes both lips. The irises' points
    lie on the eyeballs, around their axes.
    """
    placement, states = read_placement(), _states(model)
    warped = np.concatenate([warp_canonical(model, state) for state in states], axis=1)
    warped += np.tile(placement["offset_mm"], len(states))
    skin = np.arange(*model.regions["face"])
    parts = [_shares(np.concatenate(states, axis=1), skin, warped[SURFACE])]
    for eyeball in model.eyeballs:
        parts.append(_shares(model.neutral_mm, eyeball, _iris(model.neutral_mm[eyeball])))
    indices, weights = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Anatomy(indices, weights, placement["trust"], _face(model, warped[:, :3]))


def read_placement() -> dict[str, Floats]:
    """Read the teacher's placement: ``offset_mm`` (478, 3), head frame, and ``trust`` (478,)."""
    with np.load(PLACEMENT) as arrays:
        return {name: arrays[name].astype(np.float32) for name in ("offset_mm", "trust")}


def _states(model: HeadModel) -> list[Floats]:
    """Return vertices (V, 3) of the neutral face and, if its jaw opens, of the half open one."""
    states = [model.neutral_mm]
    if "jawOpen" in model.expression_names:
        jaw = model.expression_mm[model.expression_names.index("jawOpen")]
        states.append(model.neutral_mm + np.float32(0.5) * jaw)
    return states


def warp_canonical(model: HeadModel, vertices: Floats) -> Floats:
    """Return the canonical mesh (478, 3) in the shape of a head of the model, millimetres."""
    anchors, targets = topology.canonical68_mm()[ANCHORS], vertices[model.landmarks[ANCHORS]]
    spline = RBFInterpolator(anchors, targets, kernel="linear", degree=1)
    return spline(topology.canonical_mm()).astype(np.float32)


def _iris(eyeball: Floats) -> Floats:
    """Return centre, right, upper, left and lower point (5, 3) of an iris that looks straight ahead.

    Args:
        eyeball: (E, 3) its vertices.
    """
    centre = (eyeball.min(axis=0) + eyeball.max(axis=0)) / 2
    sine, cosine = np.sin(np.radians(IRIS_DEG)), np.cos(np.radians(IRIS_DEG))
    edge = [(sine, 0, -cosine), (0, -sine, -cosine), (-sine, 0, -cosine), (0, sine, -cosine)]
    directions = np.array([(0, 0, -1), *edge])
    reach = eyeball - centre
    along = directions @ reach.T / np.linalg.norm(reach, axis=1)
    return centre + directions * np.linalg.norm(reach[along.argmax(axis=1)], axis=1, keepdims=True)


def _shares(positions: Floats, index: Ints, targets: Floats) -> tuple[Ints, Floats]:
    """Return those of the vertices `index` nearest to each target (T, D), and their weights, (T, K) both.

    The weights are those of the first three coordinates, the neutral face's.
    """
    count = min(NEIGHBOURS, len(index))
    nearest = index[cKDTree(positions[index]).query(targets, k=count)[1].reshape(len(targets), count)]
    offsets = positions[nearest, :3].astype(np.float64) - targets[:, None, :3]
    gram = offsets @ np.swapaxes(offsets, 1, 2)
    gram += RIDGE * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(count) + 1e-9 * np.eye(count)
    weights = np.linalg.solve(gram, np.ones((len(targets), count, 1)))[..., 0]
    return nearest, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _face(model: HeadModel, warped: Floats) -> NDArray[np.bool_]:
    oval = warped[list(topology.openings()[0])]
    points = model.neutral_mm
    face = inside_polygon(points[:, :2], oval[:, :2]) & (points[:, 2] < oval[:, 2].max() + BEHIND_OVAL_MM)
    parts = np.zeros(len(points), bool)
    parts[slice(*model.regions["face"])] = True
    for name in INSIDE:
        if name in model.regions:
            face[slice(*model.regions[name])] = parts[slice(*model.regions[name])] = True
    return face & parts


def mesh_in_picture(mesh_mm: Floats, camera: Camera) -> NDArray[np.float64]:
    """Return a mesh (478, 3) of the camera frame in pixels, as the teacher gives meshes.

    Depths are as large as widths in the middle of the face, and 0 on the mean.
    """
    mesh = mesh_mm.astype(np.float64)
    depth = mesh[:, 2]
    depth_px = camera.focal_px * (depth / depth.mean() - 1)
    return np.column_stack([camera.project(mesh), depth_px])


UNIT_MM, OFFSET_MM = 0.01, -300.0
"""A stored count c > 0 means c · UNIT_MM + OFFSET_MM behind the head's origin along the camera's z axis."""


def face_depth(points_mm: Floats, model: HeadModel, camera: Camera) -> Floats:
    """Render the depth of the bare face (without hair, glasses and clothes) with a z-buffer.

    Args:
        points_mm: (V, 3) the model's vertices in the camera frame.
        model: the model, for its triangles.
        camera: of the image.

    Returns:
        (H, W) millimetres along the camera's axis at the pixels' centres, 0 outside the face.
    """
    face = find_anatomy(model).face[:, None].astype(np.float32)
    size = (camera.width, camera.height)
    shown, depth = rasterise(camera.project(points_mm), points_mm[:, 2], model.triangles, face, size)
    return np.where(shown[..., 0] > 0.5, depth, 0).astype(np.float32)


def to_counts(depth_mm: Floats, origin_mm: float) -> NDArray[np.uint16]:
    """Quantise depth (H, W) as shards store it; 0 (no face) stays 0. ``origin_mm`` is the head's z."""
    counts = np.rint((depth_mm - origin_mm - OFFSET_MM) / UNIT_MM)
    return np.where(depth_mm > 0, np.clip(counts, 1, 65535), 0).astype(np.uint16)


def from_counts(counts: NDArray[np.uint16], origin_mm: float) -> Floats:
    """Invert :func:`to_counts`, to half a unit."""
    depth = counts.astype(np.float32) * np.float32(UNIT_MM) + np.float32(OFFSET_MM + origin_mm)
    return np.where(counts > 0, depth, 0).astype(np.float32)
