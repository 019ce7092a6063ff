"""The Basel Face Model as a head model, from a user's own file (research use only, not to be redistributed).

The files of 2009 (``01_MorphableModel.mat``: shapeMU, shapePC, shapeEV, tl; micrometres) and of 2017 and
2019 (``model2019_bfm.h5``: shape/model, expression/model; millimetres) are read. Both have y up and z
towards the viewer, a face without eyeballs, and no annotated points: the 68 points are found by aligning the
canonical head to the mean.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from scipy.spatial import cKDTree

from facegeom.depth.mesh_depth import IRIS_CENTRES
from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom.geometry.rotation import procrustes
from facegeom_lab.synth.mesh import Floats, Ints
from facegeom_lab.synth.model import HeadModel

ENDINGS = (".mat", ".h5", ".hdf5")
MM_OF_2009 = 0.001
COMPONENTS = 100
ROUNDS = 40
SOCKET_MM = 12.0
"""Vertices within this distance of an iris's centre are taken for the eyeball."""

_TO_HEAD = np.array([1, -1, -1], np.float32)


def load_basel(path: str | Path) -> HeadModel:
    """Read a published file of the Basel Face Model, its first 100 components of shape and of expression.

    The head frame's origin is midway between the eyes. Expressions, where there are any, are named
    expression0, expression1 …; their unit is one standard deviation.

    Raises:
        InputError: the file is missing or is no such model.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(
            f"expected the Basel Face Model at {source}, found nothing; pass its .mat or .h5 file"
        )
    try:
        mean, identity, expression, triangles = (_of_2009 if source.suffix == ".mat" else _of_2017)(source)
    except (KeyError, OSError, ValueError, NotImplementedError, MatReadError, zlib.error) as error:
        raise InputError(f"expected a file of the Basel Face Model at {source}: {error}") from error
    canonical = align(topology.canonical_mm(), mean)
    eyes = canonical[list(IRIS_CENTRES)]
    tree = cKDTree(mean)
    right, left = (np.array(tree.query_ball_point(eye, SOCKET_MM), np.int64) for eye in eyes)
    if not (len(right) and len(left)):
        raise InputError(f"expected a face with eyes in {source}; the canonical head does not fit it")
    middle = (mean[right].mean(axis=0) + mean[left].mean(axis=0)) / 2
    marks = align(topology.canonical_mm(), mean, topology.canonical68_mm())
    return HeadModel(
        neutral_mm=mean - middle,
        triangles=triangles,
        identity_mm=identity,
        expression_mm=expression,
        expression_names=tuple(f"expression{number}" for number in range(len(expression))),
        landmarks=np.asarray(tree.query(marks)[1], np.int64),
        eyeballs=(right, left),
        regions={"face": (0, len(mean))},
    )


def align(points: Floats, surface: Floats, others: Floats | None = None) -> Floats:
    """Align a head's points (N, 3) to a face (V, 3) with the same axes; return them, or ``others``, moved.

    Iterative closest points with scale (Besl and McKay, PAMI 1992), starting with the noses together.
    """
    tree = cKDTree(surface)
    moved = points + surface[surface[:, 2].argmin()] - points[points[:, 2].argmin()]
    for _ in range(ROUNDS):
        fit = procrustes(points.astype(np.float64), surface[tree.query(moved)[1]].astype(np.float64))
        moved = fit.apply(points.astype(np.float64))
    return np.asarray(fit.apply((points if others is None else others).astype(np.float64)), np.float32)


def _of_2009(path: Path) -> tuple[Floats, Floats, Floats, Ints]:
    content = loadmat(path, variable_names=["shapeMU", "shapePC", "shapeEV", "tl"])
    scale = content["shapeEV"].ravel()[:COMPONENTS, None]
    identity = content["shapePC"].T[:COMPONENTS] * scale
    mean = _points(content["shapeMU"].reshape(1, -1), MM_OF_2009)[0]
    triangles = content["tl"].astype(np.int64)[:, ::-1] - 1  # the file orders corners the other way around
    return mean, _points(identity, MM_OF_2009), np.zeros((0, *mean.shape), np.float32), triangles


def _of_2017(path: Path) -> tuple[Floats, Floats, Floats, Ints]:
    with h5py.File(path, "r") as file:
        mean = _points(np.asarray(file["shape/model/mean"])[None], 1)[0]
        cells = np.asarray(file["shape/representer/cells"]).astype(np.int64)
        identity = _components(file["shape/model"])
        expression = _components(file["expression/model"]) if "expression" in file else identity[:0]
        if "expression" in file:
            mean = mean + _points(np.asarray(file["expression/model/mean"])[None], 1)[0]
    return mean, identity, expression, cells.T if cells.shape[0] == 3 else cells


def _components(group: h5py.Group) -> Floats:
    scale = np.sqrt(np.asarray(group["pcaVariance"]))[:COMPONENTS, None]
    return _points(np.asarray(group["pcaBasis"]).T[:COMPONENTS] * scale, 1)


def _points(flat: Floats, to_mm: float) -> Floats:
    """Return rows of x, y, z, x … (K, 3 V) as (K, V, 3) millimetres, y down, z away."""
    return (flat.reshape(len(flat), -1, 3) * to_mm).astype(np.float32) * _TO_HEAD
