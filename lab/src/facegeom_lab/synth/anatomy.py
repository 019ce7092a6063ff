"""The face of a head model: vertices of the mesh's 478 points, part of the head, depth before a camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

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

IRISES = slice(468, 478)
BEHIND_OVAL_MM = 6.0
"""How far behind the mesh's rearmost point the face ends: the back of the head is no part of it."""

INSIDE = ("mouth", "sockets", "gums", "teeth", "eyes")
"""Regions seen through the face's openings."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Correspondence of a head model with the mesh.

    Attributes:
        mesh478: (478,) the vertex nearest to each point of the mesh.
        face: (V,) bool, whether the vertex lies in the part of the head that the mesh covers.
    """

    mesh478: Ints
    face: NDArray[np.bool_]


@lru_cache(maxsize=4)
def find_anatomy(model: HeadModel) -> Anatomy:
    """Fit the canonical mesh to the model's neutral head.

    The canonical head is warped so that its 68 points meet the model's (polyharmonic splines; Carr et al.,
    "Reconstruction and representation of 3D objects with radial basis functions", 2001); then every point
    takes the nearest vertex of the skin, the irises' of the eyeballs.
    """
    warped = _warp_canonical(model)
    skin = np.arange(*model.regions["face"])
    eyes = np.concatenate(model.eyeballs)
    index = skin[cKDTree(model.neutral_mm[skin]).query(warped)[1]]
    index[IRISES] = eyes[cKDTree(model.neutral_mm[eyes]).query(warped[IRISES])[1]]
    return Anatomy(index, _face(model, warped))


def _warp_canonical(model: HeadModel) -> Floats:
    """Return the canonical mesh (478, 3) in the shape of the neutral head, millimetres."""
    anchors, targets = topology.canonical68_mm()[ANCHORS], model.neutral_mm[model.landmarks[ANCHORS]]
    spline = RBFInterpolator(anchors, targets, kernel="linear", degree=1)
    return spline(topology.canonical_mm()).astype(np.float32)


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
