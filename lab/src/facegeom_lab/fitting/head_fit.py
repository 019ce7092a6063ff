"""The head model fitted to labelled meshes of photos, and depth maps from the fits: ``facegeom lab fit``.

Regularised least squares over many faces at once. Minimised for each face is the sum over the points of
|residual|² / (CORRELATED · NOISE²), x, y and z apart, plus |identity|² plus |expression /
EXPRESSION_SPREAD|²: the prior of Blanz and Vetter ("A morphable model for the synthesis of 3D faces", 1999).
Pose and coefficients alternate; the latter by coordinate descent, which keeps expressions within [0, 1].

The shards are like those of rendered heads. The images are upright crops around the face; their camera is a
narrow one, since the photo's is unknown and the meshes are in parallel projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from facegeom.depth.depth_map import SIDE_MM, SIZE_PX, depth_squares
from facegeom.errors import InputError
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import Similarity, procrustes, rotation_to_line_of_sight
from facegeom.geometry.transforms import apply, invert
from facegeom_lab.datasets.published.pack import face_rows, mesh_labels, read_face_rgba
from facegeom_lab.files import save_npz
from facegeom_lab.synth.anatomy import face_depth, find_anatomy, to_counts
from facegeom_lab.synth.generate import MODEL_FILE
from facegeom_lab.synth.model import HeadModel, load_model, simplify

Floats = NDArray[np.floating]

POINTS = slice(0, 468)
"""Points of the surface; the irises move with the gaze, which is not fitted."""

NOISE_MM = (2.0, 2.0, 5.0)
"""Expected error of a teacher's x, y and z on a head of average size."""

CORRELATED = 12.0
"""Neighbouring points with correlated errors: this many count as one."""

EXPRESSION_SPREAD = 0.35
IDENTITY_LIMIT = 3.0
ROUNDS, SWEEPS = 5, 12

SHARD = 500
IMAGE_PX = 200
IMAGE_MM = SIDE_MM * IMAGE_PX / SIZE_PX
"""Side of the images: more than a depth map's square, at its scale, so that crops can rotate and move."""

FOV_DEG = 2.0
OUTSIDE = 127
"""Grey outside the photo."""

BIAS_FACES, BIAS_ROUNDS = 400, 3
MAX_RESIDUAL_MM = 3.5
"""Largest RMS over the points of a face that is kept."""


@dataclass(frozen=True, eq=False)
class Basis:
    """The head model at the mesh's points, with products that the fit of every face needs.

    Attributes:
        mean_mm: (P, 3) neutral head, head frame.
        offsets_mm: (C, P, 3) identity's offsets, then expression's.
        products: (3, 3, C, C) offsets along two axes, multiplied and summed over the points.
        identities: how many of the C are identity's.
    """

    mean_mm: Floats
    offsets_mm: Floats
    products: Floats
    identities: int

    def shapes(self, coefficients: Floats) -> Floats:
        """Return shapes (N, P, 3) of coefficients (N, C): millimetres, head frame."""
        return self.mean_mm + np.tensordot(coefficients, self.offsets_mm, 1)


@dataclass(frozen=True, eq=False)
class Fits:
    """Fitted faces.

    Attributes:
        coefficients: (N, C) identity, then expression.
        pose: from millimetres of the head frame to pixels of the meshes.
        residual_mm: (N, P, 3) mesh minus model, head frame.
    """

    coefficients: Floats
    pose: Similarity
    residual_mm: Floats


def make_basis(model: HeadModel, bias_mm: Floats | float = 0.0) -> Basis:
    """Take the model at the mesh's points; ``bias_mm`` (P, 3) is the meshes' mean residual."""
    anatomy = find_anatomy(model)
    centres = np.stack([model.eyes_midpoint(offset) for offset in model.identity_mm])
    identity = anatomy.mesh(model.identity_mm)[:, POINTS] - centres[:, None]
    moves = anatomy.mesh(model.expression_mm)[:, POINTS]
    offsets = np.concatenate([identity, moves]).astype(np.float64)
    products = np.einsum("cpa,dpb->abcd", offsets, offsets, optimize=True)
    return Basis(anatomy.mesh(model.neutral_mm)[POINTS] + bias_mm, offsets, products, len(identity))


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
        coefficients = _coordinate_descent(basis, coefficients, pose.undo(target), pose.rotation)
    pose = procrustes(basis.shapes(coefficients), target)
    return Fits(coefficients, pose, pose.undo(target) - basis.shapes(coefficients))


def mean_residual(fits: Fits) -> Floats:
    """Return the mean (P, 3) of meshes minus fitted heads: millimetres, head frame."""
    return fits.residual_mm.mean(axis=0)


def _coordinate_descent(basis: Basis, start: Floats, points_mm: Floats, rotation: Floats) -> Floats:
    """Return coefficients (N, C) after some sweeps of coordinate descent within their limits."""
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


def run(data: Path, labels: Path, split: str, out: Path, every: int = 1) -> dict[str, int]:
    """Fit the faces of a split and write ``fit_0000.npz``, …; finished shards are kept.

    Arrays: images (n, 200, 200, 3) uint8 RGB, depth (n, 200, 200) uint16 (see ``synth.anatomy.to_counts``),
    mesh_mm (n, 478, 3), rotation (n, 3, 3), translation (n, 3), fov_deg (n,), files (n,), photo_from_picture
    (n, 2, 3), identity (n, K), expression (n, E), expression_names (E,), residual_mm (n,).

    Args:
        data: the data pack, with the head model.
        labels: meshes, the file of ``facegeom lab label``.
        split: train, val or test.
        out: folder of the shards.
        every: take every n-th face.

    Returns:
        Number of faces, and of those kept.

    Raises:
        InputError: data or labels are missing, or the split has no labelled face.
    """
    model = simplify(load_model(data / MODEL_FILE))
    table, rows = mesh_labels(labels), face_rows(data)
    chosen = _labelled(table, rows, split)[::every]
    if not chosen:
        raise InputError(f"expected labelled faces of the split {split!r} in {labels}, found none")
    bias = find_bias(model, table["mesh"][_labelled(table, rows, "train")])
    counts = {"faces": 0, "kept": 0}
    for number in tqdm(range(-(-len(chosen) // SHARD)), desc=f"fitting {split}"):
        part = chosen[number * SHARD : (number + 1) * SHARD]
        path = out / f"fit_{number:04d}.npz"
        if not path.is_file():
            files = np.array([rows[index].file for index in part])
            save_npz(path, **fitted(model, bias, data / "faces", files, table["mesh"][part]))
        counts["faces"] += len(part)
        with np.load(path) as arrays:
            counts["kept"] += len(arrays["files"])
    return counts


def _labelled(table: dict[str, np.ndarray], rows: list, split: str) -> list[int]:
    return [index for index, row in enumerate(rows) if row.split == split and table["keep"][index]]


def find_bias(model: HeadModel, meshes_px: Floats) -> Floats:
    """Return the systematic difference (468, 3) of a teacher's meshes from the model: mm, head frame.

    It combines the teacher's bias with the error of the correspondence between mesh and model.
    """
    some = meshes_px[:: max(1, len(meshes_px) // BIAS_FACES)]
    bias = np.zeros((468, 3))
    for _ in range(BIAS_ROUNDS):
        bias += mean_residual(fit(make_basis(model, bias), some))
    return bias


def fitted(
    model: HeadModel, bias_mm: Floats, folder: Path, files: np.ndarray, meshes_px: Floats
) -> dict[str, np.ndarray]:
    """Return the arrays of one shard, without faces of large residuals."""
    squares = depth_squares(meshes_px, IMAGE_PX, IMAGE_MM)
    fits = fit(make_basis(model, bias_mm), _to_crops(meshes_px, squares))
    residual = np.sqrt((fits.residual_mm**2).sum(axis=-1).mean(axis=-1))
    kept = np.flatnonzero(residual < MAX_RESIDUAL_MM)
    camera = Camera(IMAGE_PX, IMAGE_PX, FOV_DEG)
    rotation, translation = _placed(fits, camera)
    people = len(model.identity_mm)
    identity, expression = np.split(fits.coefficients.astype(np.float32), [people], axis=1)
    depth, mesh = [], []
    for index in kept:
        points = model.vertices(identity[index], expression[index]) @ rotation[index].T + translation[index]
        depth.append(to_counts(face_depth(points, model, camera), translation[index, 2]))
        mesh.append(find_anatomy(model).mesh(points))
    return {
        "images": np.array([upright_crop(folder / files[index], squares[index]) for index in kept]),
        "depth": np.array(depth, np.uint16).reshape(-1, IMAGE_PX, IMAGE_PX),
        "mesh_mm": np.array(mesh, np.float32).reshape(-1, 478, 3),
        "rotation": rotation[kept].astype(np.float32),
        "translation": translation[kept].astype(np.float32),
        "fov_deg": np.full(len(kept), FOV_DEG, np.float32),
        "files": files[kept],
        "photo_from_picture": squares[kept],
        "identity": identity[kept],
        "expression": expression[kept],
        "expression_names": np.array(model.expression_names),
        "residual_mm": residual[kept].astype(np.float32),
    }


def _to_crops(meshes_px: Floats, squares: Floats) -> Floats:
    """Convert meshes (N, 478, 3) to pixels of the upright images."""
    onto = invert(squares)
    scale = np.sqrt(np.abs(np.linalg.det(onto[:, :, :2])))[:, None, None]
    return np.concatenate([apply(onto, meshes_px[..., :2].astype(float)), meshes_px[..., 2:] * scale], axis=2)


def _placed(fits: Fits, camera: Camera) -> tuple[Floats, Floats]:
    """Return rotations (N, 3, 3) and translations (N, 3) of the heads in front of the narrow camera."""
    distance = camera.focal_px / fits.pose.scale
    translation = camera.back_project(fits.pose.translation[:, :2], distance)
    return rotation_to_line_of_sight(translation) @ fits.pose.rotation, translation


def upright_crop(file: Path, square: Floats) -> np.ndarray:
    """Return the upright crop (200, 200, 3) of a face's image, grey where the photo ends."""
    crop = cv2.warpAffine(
        read_face_rgba(file),
        square,
        (IMAGE_PX, IMAGE_PX),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    return np.where(crop[..., 3:] > 250, crop[..., :3], OUTSIDE).astype(np.uint8)
