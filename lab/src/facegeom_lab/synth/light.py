"""A lighter copy of a head model: fewer vertices, the same people. Small pictures need no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from facegeom_lab.synth.mesh import Floats, Ints
from facegeom_lab.synth.model import HeadModel

CELL_MM = {"face": 3.5, "head": 12.0, "eyes": 2.5, "teeth": 5.0, "gums": 9.0, "mouth": 7.0, "sockets": 6.0}
"""Side of a cell by region, of whose vertices one is kept: depth changes by 0.06 mm on average."""

PARTED_BY = ("jawOpen", "eyeBlink_L", "eyeBlink_R", "mouthSmile_L", "mouthSmile_R")
"""Expressions that part what lies together in the neutral face: lips, lids, upper and lower teeth."""


def lighten(model: HeadModel) -> HeadModel:
    """Keep one vertex of each cell of :data:`CELL_MM`; triangles whose corners fall together vanish.

    Vertices share a cell only if they lie together in the neutral face and with each expression of
    :data:`PARTED_BY`: clustering after Rossignac and Borrel ("Multi-resolution 3D approximations for
    rendering complex scenes", 1993) in the space of all these positions. The 68 points stay.
    """
    stands = _representatives(model)
    triangles = _whole(stands[model.triangles])
    kept = np.unique(np.concatenate([triangles.ravel(), model.landmarks, *_eyeballs(model, stands)]))
    number = np.zeros(len(stands), np.int64)
    number[kept] = np.arange(len(kept))
    limits = {name: np.searchsorted(kept, ends) for name, ends in model.regions.items()}
    right, left = (number[index] for index in _eyeballs(model, stands))
    return replace(
        model,
        neutral_mm=model.neutral_mm[kept],
        triangles=number[triangles],
        identity_mm=np.ascontiguousarray(model.identity_mm[:, kept]),
        expression_mm=np.ascontiguousarray(model.expression_mm[:, kept]),
        landmarks=number[model.landmarks],
        eyeballs=(right, left),
        regions={name: (int(start), int(stop)) for name, (start, stop) in limits.items()},
    )


def _eyeballs(model: HeadModel, stands: Ints) -> tuple[Ints, Ints]:
    right, left = model.eyeballs
    return np.unique(stands[right]), np.unique(stands[left])


def _representatives(model: HeadModel) -> Ints:
    """(V,) the vertex that stands for each vertex: the first of its cell, landmarks before others."""
    places, stands = _places(model), np.arange(len(model.neutral_mm))
    rank = np.ones(len(stands), np.int64)
    rank[model.landmarks] = 0
    for name, (start, stop) in model.regions.items():
        index = np.arange(start, stop)
        index = index[np.argsort(rank[index], kind="stable")]
        cells = np.floor(places[index] / CELL_MM[name])
        _, first, which = np.unique(cells, axis=0, return_index=True, return_inverse=True)
        stands[index] = index[first[which.ravel()]]
    stands[model.landmarks] = model.landmarks
    return stands


def _places(model: HeadModel) -> Floats:
    """(V, 3 (1 + E)) positions in the neutral face, and with each of :data:`PARTED_BY` that the model has."""
    names = [name for name in PARTED_BY if name in model.expression_names]
    moved = [model.expression_mm[model.expression_names.index(name)] for name in names]
    return np.concatenate([model.neutral_mm, *(model.neutral_mm + offset for offset in moved)], axis=1)


def _whole(triangles: Ints) -> Ints:
    """Those of three different corners, each once."""
    a, b, c = triangles.T
    full = triangles[(a != b) & (b != c) & (c != a)]
    _, first = np.unique(np.sort(full, axis=1), axis=0, return_index=True)
    return full[np.sort(first)]
