"""Regularised least squares: a linear head model laid onto meshes of 478 points, many faces at once.

Minimised for each face is the sum over the points of |residual|² / (CORRELATED · NOISE²), x, y and z apart,
plus |identity|² plus |expression / EXPRESSION_SPREAD|²: the prior of Blanz and Vetter ("A morphable model for
the synthesis of 3D faces", 1999). Pose and coefficients take turns; the latter by coordinate descent, which
keeps expressions within [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facegeom.geometry.rotation import Similarity, procrustes
from facegeom_lab.synth.anatomy import find_anatomy
from facegeom_lab.synth.model import HeadModel

Floats = NDArray[np.floating]

POINTS = slice(0, 468)
"""Points of the surface; the irises move with the gaze, which is not fitted."""

NOISE_MM = (2.0, 2.0, 5.0)
"""Expected error of a teacher's x, y and z on a head of average size."""

CORRELATED = 12.0
"""So many neighbours err together: they count as one."""

EXPRESSION_SPREAD = 0.35
IDENTITY_LIMIT = 3.0
ROUNDS, SWEEPS = 5, 12


@dataclass(frozen=True, eq=False)
class Basis:
    """The head model at the mesh's points, with products that every face needs.

    Attributes:
        mean_mm: (P, 3) neutral head, head frame.
        offsets_mm: (C, P, 3) identity's offsets, then expression's.
        products: (3, 3, C, C) sums over the points of offsets along two axes.
        identities: how many of the C are identity's.
    """

    mean_mm: Floats
    offsets_mm: Floats
    products: Floats
    identities: int

    def shapes(self, coefficients: Floats) -> Floats:
        """(N, P, 3) millimetres, head frame, of coefficients (N, C)."""
        return self.mean_mm + np.tensordot(coefficients, self.offsets_mm, 1)


@dataclass(frozen=True, eq=False)
class Fits:
    """Fitted faces.

    Attributes:
        coefficients: (N, C) identity, then expression.
        pose: carries the head frame's millimetres to the meshes' pixels.
        residual_mm: (N, P, 3) mesh minus model, head frame.
    """

    coefficients: Floats
    pose: Similarity
    residual_mm: Floats


def make_basis(model: HeadModel, bias_mm: Floats | float = 0.0) -> Basis:
    """The model at the mesh's points; ``bias_mm`` (P, 3) is what meshes differ from any head on average."""
    index = find_anatomy(model).mesh478[POINTS]
    centres = np.stack([model.eyes_midpoint(offset) for offset in model.identity_mm])
    identity = model.identity_mm[:, index] - centres[:, None]
    offsets = np.concatenate([identity, model.expression_mm[:, index]]).astype(np.float64)
    products = np.einsum("cpa,dpb->abcd", offsets, offsets, optimize=True)
    return Basis(model.neutral_mm[index] + bias_mm, offsets, products, len(identity))


def fit(basis: Basis, meshes_px: Floats) -> Fits:
    """Fit faces.

    Args:
        basis: of the model.
        meshes_px: (N, 478, 3) x, y pixels, z on the same scale, in parallel projection.
    """
    target = meshes_px[:, POINTS].astype(np.float64)
    coefficients: Floats = np.zeros((len(target), len(basis.offsets_mm)))
    for _ in range(ROUNDS):
        pose = procrustes(basis.shapes(coefficients), target)
        coefficients = _descend(basis, coefficients, _in_head_frame(pose, target), pose.rotation)
    pose = procrustes(basis.shapes(coefficients), target)
    return Fits(coefficients, pose, _in_head_frame(pose, target) - basis.shapes(coefficients))


def mean_residual(fits: Fits) -> Floats:
    """(P, 3) millimetres, head frame: by how much the meshes differ from the fitted heads on average."""
    return fits.residual_mm.mean(axis=0)


def _in_head_frame(pose: Similarity, points: Floats) -> Floats:
    moved = (points - pose.translation[:, None]) / pose.scale[:, None, None]
    return moved @ pose.rotation


def _descend(basis: Basis, start: Floats, points_mm: Floats, rotation: Floats) -> Floats:
    """Coefficients (N, C) after some sweeps of coordinate descent within their limits."""
    weights = np.einsum("nka,k,nkb->nab", rotation, np.array(NOISE_MM) ** -2.0 / CORRELATED, rotation)
    wanted = (points_mm - basis.mean_mm) @ weights
    pull = np.tensordot(wanted, basis.offsets_mm, axes=((1, 2), (1, 2)))
    count = basis.products.shape[-1]
    curvature = np.tensordot(weights.reshape(-1, 9), basis.products.reshape(9, -1), 1)
    curvature = curvature.reshape(-1, count, count)
    expression = np.arange(count) >= basis.identities
    diagonal = np.einsum("ncc->nc", curvature)
    diagonal += np.where(expression, EXPRESSION_SPREAD**-2.0, 1.0)
    low, high = np.where(expression, 0, -IDENTITY_LIMIT), np.where(expression, 1, IDENTITY_LIMIT)
    found = start.copy()
    slope = (curvature @ found[..., None])[..., 0] - pull
    for _ in range(SWEEPS):
        for c in range(count):
            moved = np.clip(found[:, c] - slope[:, c] / diagonal[:, c], low[c], high[c])
            slope += curvature[:, c] * (moved - found[:, c])[:, None]
            found[:, c] = moved
    return found
