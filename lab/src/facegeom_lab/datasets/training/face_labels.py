"""Images and labels that the face network is trained on: real faces of the data pack, rendered heads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facegeom.errors import InputError
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import rotation_to_line_of_sight
from facegeom.geometry.schemes import ARKIT52
from facegeom_lab.datasets.published.pack import (
    FaceRow,
    face_landmarks,
    face_rows,
    mesh_labels,
    read_face_rgba,
)
from facegeom_lab.datasets.records import FaceRecord, photo_reader
from facegeom_lab.fitting.pose_fit import rotation_under_points
from facegeom_lab.synth.anatomy import mesh_in_picture, read_placement
from facegeom_lab.teachers.linear_map import LinearMap

MESH_SOURCE = "mesh"
HUMAN_WEIGHT = {"helen": 1.0, "lfpw": 1.0, "ytf": 0.0, "ytf-test": 0.0}
"""Weight of the annotated 68 points by source; at 0 the linear map of the mesh replaces them, weight 0.5."""

RENDERED_MESH_WEIGHT = 0.7


@dataclass(frozen=True)
class FaceLabels:
    """Labels of N images, arrays with one leading axis.

    Attributes:
        landmarks: (N, 68, 2) pixels.
        landmarks_weight: (N, 68).
        mesh: (N, 478, 3) pixels.
        mesh_weight: (N, 478).
        rotation: (N, 3, 3).
        rotation_weight: (N,).
        expression: (N, 52) coefficients by :data:`facegeom.geometry.schemes.ARKIT52`, NaN where unknown.
    """

    landmarks: np.ndarray
    landmarks_weight: np.ndarray
    mesh: np.ndarray
    mesh_weight: np.ndarray
    rotation: np.ndarray
    rotation_weight: np.ndarray
    expression: np.ndarray

    def __len__(self) -> int:
        return len(self.landmarks)

    @classmethod
    def concatenate(cls, parts: "Sequence[FaceLabels]") -> "FaceLabels":
        """Join several tables into one."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})


def real_faces(data: Path, labels: Path, split: str) -> tuple[list[np.ndarray], FaceLabels]:
    """Read the images of a split of ``data/faces`` with the kept labels of ``facegeom lab label``.

    The rotation is that of the canonical head fitted to the 68 points. Procrustes alignment of the mesh would
    underestimate it: the teacher's depth is too shallow.

    Returns:
        Images (H, W, 4) uint8 RGBA, alpha 0 outside the photo, and their labels.

    Raises:
        InputError: the split has no face with a kept label.
    """
    table = mesh_labels(labels)
    linear_map = landmark_map(labels)
    rows = face_rows(data)
    chosen = [i for i, row in enumerate(rows) if row.split == split and table["keep"][i]]
    if not chosen:
        raise InputError(
            f"expected faces of the split {split} with kept labels in {data}, found none of {len(rows)}; "
            "see faces.csv, and docs/data.md for its splits"
        )
    known = face_landmarks(data)
    mesh = table["mesh"][chosen]
    landmarks = linear_map.apply(mesh[..., :2])
    weight = np.full(len(chosen), 0.5, np.float32)
    for k, i in enumerate(chosen):
        if HUMAN_WEIGHT.get(rows[i].source, 0) > 0 or (split == "test" and rows[i].file in known):
            landmarks[k], weight[k] = known[rows[i].file], 1.0
    images = [read_face_rgba(data / "faces" / rows[i].file) for i in tqdm(chosen, desc="images")]
    masked = np.array([rows[i].source == "masks" for i in chosen])
    return images, FaceLabels(
        landmarks=landmarks.astype(np.float32),
        landmarks_weight=np.repeat(weight[:, None], 68, axis=1) * np.where(masked, 0.5, 1)[:, None],
        mesh=mesh.astype(np.float32),
        mesh_weight=of_all_points(np.where(masked, 0.3, 1.0)),
        rotation=rotation_under_points(landmarks.astype(np.float64)),
        rotation_weight=np.where(masked, 0.3, 1.0),
        expression=unknown_expression(len(chosen)),
    )


def faces_of_meshes(data: Path, labels: Path, split: str) -> list[FaceRecord]:
    """Return the kept faces of a split that people have not annotated, with the 68 points of their meshes."""
    table, linear_map = mesh_labels(labels), landmark_map(labels)
    annotated = set(face_landmarks(data))
    return [
        FaceRecord(
            name=f"faces/{row.file}",
            read=photo_reader(data / "faces" / row.file),
            split=split,
            scheme="ibug68",
            points=linear_map.apply(table["mesh"][index : index + 1, :, :2].astype(np.float64))[0],
            source=MESH_SOURCE,
        )
        for index, row in enumerate(face_rows(data))
        if row.split == split and table["keep"][index] and not _by_people(row, annotated)
    ]


def _by_people(row: FaceRow, annotated: set[str]) -> bool:
    return row.file in annotated and HUMAN_WEIGHT.get(row.source, 0) > 0


def landmark_map(labels: Path) -> LinearMap:
    """Read the linear map from mesh to 68 points that is stored with the labels."""
    table = mesh_labels(labels)
    return LinearMap(table["map_indices"], table["map_weights"])


def rendered_faces(shards: Sequence[Path]) -> tuple[list[np.ndarray], FaceLabels]:
    """Read RGB images and exact labels of ``facegeom lab synth``; sets without meshes weigh 0 there.

    Hidden points of the jaw count little: people mark the visible outline there, the model the bone.
    """
    images: list[np.ndarray] = []
    parts = []
    for shard in shards:
        with np.load(shard) as arrays:
            images += list(arrays["images"])
            visible = arrays["visible"].astype(np.float32)
            weight = np.ones_like(visible)
            turned = np.abs(arrays["rotation"][:, 2, 0]) > 0.25
            weight[:, :17] = np.where(turned[:, None], visible[:, :17] * 0.3, 1)
            count = len(visible)
            mesh, mesh_weight = rendered_mesh(arrays, images[-1].shape[0])
            parts.append(
                FaceLabels(
                    landmarks=arrays["landmarks_px"].astype(np.float32),
                    landmarks_weight=weight * 0.5,
                    mesh=mesh,
                    mesh_weight=mesh_weight,
                    rotation=as_seen(arrays["rotation"].astype(np.float64), arrays["translation"]),
                    rotation_weight=np.full(count, 2.0),
                    expression=arrays["arkit"] if "arkit" in arrays else unknown_expression(count),
                )
            )
    return images, FaceLabels.concatenate(parts)


def rendered_mesh(arrays: Mapping[str, np.ndarray], size_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact meshes (n, 478, 3) of a shard of square images, pixels, and their weights (n, 478)."""
    if "mesh_mm" not in arrays:
        shape = (len(arrays["rotation"]), 478)
        return np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
    heads = zip(arrays["mesh_mm"], arrays["fov_deg"].astype(float).tolist(), strict=True)
    meshes = [mesh_in_picture(mesh_mm, Camera(size_px, size_px, fov_deg)) for mesh_mm, fov_deg in heads]
    trust = RENDERED_MESH_WEIGHT * read_placement()["trust"]
    return np.array(meshes, np.float32), np.repeat(trust[None], len(meshes), axis=0)


def unknown_expression(count: int) -> np.ndarray:
    """Return coefficients (count, 52) of faces whose expression nobody has measured."""
    return np.full((count, len(ARKIT52)), np.nan, np.float32)


def of_all_points(weight: np.ndarray) -> np.ndarray:
    """Return weights (N,) of meshes as those (N, 478) of their points."""
    return np.repeat(weight[:, None].astype(np.float32), 478, axis=1)


def profiled_faces(shards: Sequence[Path]) -> tuple[list[np.ndarray], FaceLabels]:
    """Read RGBA images and labels of ``facegeom lab profile``; self-occluded points weigh a third."""
    images: list[np.ndarray] = []
    parts = []
    for shard in shards:
        with np.load(shard) as arrays:
            images += list(arrays["images"])
            count = len(arrays["files"])
            parts.append(
                FaceLabels(
                    landmarks=arrays["landmarks_px"],
                    landmarks_weight=np.where(arrays["visible"], 0.5, 0.15).astype(np.float32),
                    mesh=arrays["mesh"],
                    mesh_weight=of_all_points(np.full(count, 0.5)),
                    rotation=arrays["rotation"],
                    rotation_weight=np.ones(count),
                    expression=unknown_expression(count),
                )
            )
    return images, FaceLabels.concatenate(parts)


def synthetic_faces(folder: Path | None) -> tuple[list[np.ndarray], FaceLabels | None]:
    """Read all rendered heads (``synth_*.npz``) and profiled faces (``profile_*.npz``) of a folder."""
    images: list[np.ndarray] = []
    parts: list[FaceLabels] = []
    for pattern, read in (("synth_*.npz", rendered_faces), ("profile_*.npz", profiled_faces)):
        shards = sorted(folder.glob(pattern)) if folder else []
        if shards:
            more, labels = read(shards)
            images, parts = images + more, [*parts, labels]
    return images, FaceLabels.concatenate(parts) if parts else None


def as_seen(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Convert rotations (N, 3, 3) from the camera frame to the frame of the line of sight."""
    return np.swapaxes(rotation_to_line_of_sight(translation.astype(np.float64)), 1, 2) @ rotation
