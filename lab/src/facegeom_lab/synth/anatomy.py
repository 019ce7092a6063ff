"""Where the 478 points of the mesh lie on a head model, and which of its vertices are the face."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from facegeom.geometry import topology
from facegeom_lab.synth.mesh import Floats, Ints
from facegeom_lab.synth.model import HeadModel
from facegeom_lab.synth.paint import inside_polygon

ANCHORS = np.array([8, *range(17, 68)])
"""Of the 68 points those that are one place on the head: the chin's, and all inside the outline."""

IRISES = slice(468, 478)
BEHIND_OVAL_MM = 6.0
"""The face ends so far behind the mesh's rearmost point, so that no part of the back of the head is face."""

INSIDE = ("mouth", "sockets", "gums", "teeth", "eyes")
"""Regions that show through the face's openings."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Of one head model.

    Attributes:
        mesh478: (478,) the vertex that is nearest to each point of the mesh.
        face: (V,) bool, whether the vertex lies in the part of the head that the mesh covers.
    """

    mesh478: Ints
    face: NDArray[np.bool_]


@lru_cache(maxsize=4)
def find_anatomy(model: HeadModel) -> Anatomy:
    """Carry the canonical mesh onto the model's neutral head.

    The canonical head is bent so that its 68 points meet the model's (polyharmonic splines; Carr et al.,
    "Reconstruction and representation of 3D objects with radial basis functions", 2001); then every point
    takes the nearest vertex of the skin, the irises' of the eyeballs.
    """
    bent = _bent(model)
    skin = np.arange(*model.regions["face"])
    eyes = np.concatenate(model.eyeballs)
    index = skin[cKDTree(model.neutral_mm[skin]).query(bent)[1]]
    index[IRISES] = eyes[cKDTree(model.neutral_mm[eyes]).query(bent[IRISES])[1]]
    return Anatomy(index, _face(model, bent))


def _bent(model: HeadModel) -> Floats:
    """(478, 3) the canonical mesh in the shape of the neutral head, millimetres."""
    anchors, targets = topology.canonical68_mm()[ANCHORS], model.neutral_mm[model.landmarks[ANCHORS]]
    spline = RBFInterpolator(anchors, targets, kernel="linear", degree=1)
    return spline(topology.canonical_mm()).astype(np.float32)


def _face(model: HeadModel, bent: Floats) -> NDArray[np.bool_]:
    oval = bent[list(topology.openings()[0])]
    points = model.neutral_mm
    face = inside_polygon(points[:, :2], oval[:, :2]) & (points[:, 2] < oval[:, 2].max() + BEHIND_OVAL_MM)
    parts = np.zeros(len(points), bool)
    parts[slice(*model.regions["face"])] = True
    for name in INSIDE:
        if name in model.regions:
            face[slice(*model.regions[name])] = parts[slice(*model.regions[name])] = True
    return face & parts
