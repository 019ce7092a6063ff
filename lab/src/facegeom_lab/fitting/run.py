"""``facegeom lab fit``: labelled photos with the fitted head's depth, as shards like those of rendered heads.

The pictures are cut upright around the face; their camera is a narrow one, since nothing is known of the true
one and the meshes are in parallel projection.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from facegeom.depth.depth_map import SIDE_MM, SIZE_PX, depth_squares
from facegeom.errors import InputError
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import towards
from facegeom.geometry.transforms import apply, invert
from facegeom_lab.datasets.published.pack import face_rows, mesh_labels
from facegeom_lab.datasets.training.faces import without_border
from facegeom_lab.files import save_npz
from facegeom_lab.fitting.solve import Fits, Floats, fit, make_basis, mean_residual
from facegeom_lab.synth.anatomy import find_anatomy
from facegeom_lab.synth.depth import face_depth, to_counts
from facegeom_lab.synth.generate import MODEL_FILE
from facegeom_lab.synth.light import lighten
from facegeom_lab.synth.model import HeadModel, load_model

SHARD = 500
PICTURE_PX = 200
PICTURE_MM = SIDE_MM * PICTURE_PX / SIZE_PX
"""The pictures show more than a depth map's square, at its scale: crops of them may be turned and moved."""

FOV_DEG = 2.0
OUTSIDE = 127
BIAS_FACES, BIAS_ROUNDS = 400, 3
LARGEST_RESIDUAL_MM = 3.5
"""Of the root of the mean square over the points; what fits worse is no label."""


def run(data: Path, labels: Path, split: str, out: Path, every: int = 1) -> dict[str, int]:
    """Fit the faces of a split and write ``fit_0000.npz``, …; finished shards are kept.

    Arrays: images (n, 200, 200, 3) uint8 RGB, depth (n, 200, 200) uint16 (see :mod:`lab.synth.depth`),
    mesh_mm (n, 478, 3), rotation (n, 3, 3), translation (n, 3), fov_deg (n,), files (n,), photo_from_picture
    (n, 2, 3), identity (n, K), expression (n, E), expression_names (E,), residual_mm (n,).

    Args:
        data: the data pack, with the head model.
        labels: meshes, the file of ``facegeom lab label``.
        split: train, val or test.
        out: folder of the shards.
        every: take every so many faces.

    Returns:
        How many faces were fitted and how many kept.

    Raises:
        InputError: data or labels are missing, or the split has no labelled face.
    """
    model = lighten(load_model(data / MODEL_FILE))
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
    """(468, 3) millimetres, head frame: what a teacher's meshes differ from every head of the model.

    It holds what the teacher sees elsewhere, and the error of the correspondence between mesh and model.
    """
    some = meshes_px[:: max(1, len(meshes_px) // BIAS_FACES)]
    bias = np.zeros((468, 3))
    for _ in range(BIAS_ROUNDS):
        bias += mean_residual(fit(make_basis(model, bias), some))
    return bias


def fitted(
    model: HeadModel, bias_mm: Floats, folder: Path, files: np.ndarray, meshes_px: Floats
) -> dict[str, np.ndarray]:
    """The arrays of one shard, without the faces that fit badly."""
    squares = depth_squares(meshes_px, PICTURE_PX, PICTURE_MM)
    fits = fit(make_basis(model, bias_mm), _moved(meshes_px, squares))
    residual = np.sqrt((fits.residual_mm**2).sum(axis=-1).mean(axis=-1))
    kept = np.flatnonzero(residual < LARGEST_RESIDUAL_MM)
    camera = Camera(PICTURE_PX, PICTURE_PX, FOV_DEG)
    rotation, translation = _placed(fits, camera)
    people = len(model.identity_mm)
    identity, expression = np.split(fits.coefficients.astype(np.float32), [people], axis=1)
    depth, mesh = [], []
    for index in kept:
        points = model.vertices(identity[index], expression[index]) @ rotation[index].T + translation[index]
        depth.append(to_counts(face_depth(points, model, camera), translation[index, 2]))
        mesh.append(points[find_anatomy(model).mesh478])
    return {
        "images": np.array([picture(folder / files[index], squares[index]) for index in kept]),
        "depth": np.array(depth, np.uint16).reshape(-1, PICTURE_PX, PICTURE_PX),
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


def _moved(meshes_px: Floats, squares: Floats) -> Floats:
    """Meshes (N, 478, 3) in pixels of the upright pictures."""
    onto = invert(squares)
    scale = np.sqrt(np.abs(np.linalg.det(onto[:, :, :2])))[:, None, None]
    return np.concatenate([apply(onto, meshes_px[..., :2].astype(float)), meshes_px[..., 2:] * scale], axis=2)


def _placed(fits: Fits, camera: Camera) -> tuple[Floats, Floats]:
    """Rotations (N, 3, 3) and translations (N, 3) of the heads before the narrow camera."""
    distance = camera.focal_px / fits.pose.scale
    translation = camera.back_project(fits.pose.translation[:, :2], distance)
    return towards(translation) @ fits.pose.rotation, translation


def picture(file: Path, square: Floats) -> np.ndarray:
    """The upright cut (200, 200, 3) of a face's picture, grey where the photo ends."""
    cut = cv2.warpAffine(
        without_border(file),
        square,
        (PICTURE_PX, PICTURE_PX),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    return np.where(cut[..., 3:] > 250, cut[..., :3], OUTSIDE).astype(np.uint8)
