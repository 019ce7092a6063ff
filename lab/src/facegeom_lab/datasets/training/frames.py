"""Whole portraits with meshes, as the dense mesh's transfer learning sees them: nothing changes at random."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from facegeom.errors import InputError
from facegeom.geometry.alignment import crop_from_photo
from facegeom.geometry.boxes import face_box
from facegeom.geometry.transforms import apply
from facegeom_lab.datasets import registry
from facegeom_lab.datasets.published.common import VAL_FOLD, fold
from facegeom_lab.datasets.training.face_labels import real_faces
from facegeom_lab.datasets.training.landmark_crops import warp
from facegeom_lab.teachers.labels import records

TURN_DEG, SCALE, SHIFT = 8.0, 0.06, 0.03
"""Standard deviations of :func:`aligned_view`'s changes at strength 1; the shift in sides of the frame."""


def ffhq_alignment(landmarks: np.ndarray, size_px: int) -> tuple[np.ndarray, float]:
    """Return the transform to the frame that FFHQ would show (Karras et al., CVPR 2019).

    The eyes lie level; the side is four times the eyes' distance, or 3.6 times that from eyes to mouth.

    Args:
        landmarks: (68, 2) pixels.
        size_px: side of the frame.

    Returns:
        (2, 3) from the photo to the frame, and its rotation in degrees, clockwise.
    """
    (matrix,) = crop_from_photo("ffhq", size_px, landmarks[None], face_box(landmarks)[None])
    return matrix, float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def aligned_view(
    rng: np.random.Generator, landmarks: np.ndarray, strength: float, size_px: int
) -> tuple[np.ndarray, float]:
    """Return FFHQ's frame, rotated, scaled and shifted a little at random; exact at strength 0."""
    matrix, turn_deg = ffhq_alignment(landmarks, size_px)
    if not strength:
        return matrix, turn_deg
    more_deg = float(rng.normal(0, TURN_DEG * strength))
    angle, scale = np.radians(more_deg), np.exp(rng.normal(0, SCALE * strength))
    change = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, (size_px - 1) / 2)
    offset = middle - change @ middle + rng.normal(0, SHIFT * strength, 2) * size_px
    return np.column_stack([change @ matrix[:, :2], change @ matrix[:, 2] + offset]), turn_deg + more_deg


class Frames(Dataset):
    """Samples: ``crop`` (3, S, S) uint8 RGB; ``mesh`` (478, 3) in [0, 1].

    x and y count from the frame's left and top edge, z on x's scale with 0.5 in the head's middle plane.

    Args:
        read: reads an image, (H, W, 3 or 4) uint8, alpha 0 where there is no photo; one for each frame.
        meshes: (478, 3) pixels of the images.
        matrices: (2, 3) from each image to its frame; None for the whole image.
        size_px: side S of the frames.
    """

    def __init__(
        self,
        read: Sequence[Callable[[], np.ndarray]],
        meshes: Sequence[np.ndarray],
        matrices: Sequence[np.ndarray | None],
        size_px: int,
    ) -> None:
        self.read, self.meshes, self.matrices, self.size_px = read, meshes, matrices, size_px

    def __len__(self) -> int:
        return len(self.read)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        cv2.setNumThreads(0)
        image, mesh = self.read[index](), self.meshes[index].astype(np.float64)
        given = self.matrices[index]
        matrix = whole_frame(image.shape, self.size_px) if given is None else given
        crop = warp(*_photo(image, matrix), self.size_px, cv2.BORDER_REFLECT_101)
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        points = np.column_stack([apply(matrix, mesh[:, :2]) + 0.5, mesh[:, 2] * scale]) / self.size_px
        points[:, 2] += 0.5
        return {
            "crop": torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1),
            "mesh": torch.as_tensor(points, dtype=torch.float32),
        }


def whole_frame(shape: tuple[int, ...], size_px: int) -> np.ndarray:
    """Return the transform (2, 3) that resizes an image to a square."""
    scale = np.array([size_px / shape[1], size_px / shape[0]])
    return np.column_stack([np.diag(scale), scale / 2 - 0.5])


def _photo(image: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of an image that is a photo, and the transform from it."""
    if image.shape[2] == 3:
        return image, matrix
    rows, columns = (np.flatnonzero(image[..., 3].any(axis=axis)) for axis in (1, 0))
    photo = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, :3]
    shift = matrix[:, :2] @ (columns[0], rows[0])
    return photo, np.column_stack([matrix[:, :2], matrix[:, 2] + shift])


def pack_frames(data: Path, labels: Path, split: str, size_px: int, aligned: bool) -> Frames:
    """Return the faces of the data pack as FFHQ's alignment would show them, or as they are."""
    images, table = real_faces(data, labels, split)
    matrices = [
        ffhq_alignment(each, size_px)[0] if aligned else None for each in table.landmarks.astype(float)
    ]
    return Frames([_Stored(image) for image in images], list(table.mesh), matrices, size_px)


class _Stored:
    """Reads an image that is in memory."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image

    def __call__(self) -> np.ndarray:
        return self.image


def ffhq_frames(root: Path, labels: Path, split: str, size_px: int) -> Frames:
    """Return the images of FFHQ that are there and have a kept label; a tenth is val.

    Args:
        root: folder of ``images1024x1024``.
        labels: file of ``facegeom lab label-folder ROOT/images1024x1024``.
        split: train or val.
        size_px: side of the frames.

    Raises:
        InputError: no image has a label.
    """
    there = {record.name: record for record in registry.load("ffhq", root)}
    folder = root / "images1024x1024"
    found = [each for each in records(labels, folder) if each.mesh is not None]
    chosen = []
    for each in found:
        file, _, face = each.name.rpartition("#")
        if (
            face == "0"
            and f"images1024x1024/{file}" in there
            and (fold(file) == VAL_FOLD) == (split == "val")
        ):
            chosen.append(each)
    if not chosen:
        raise InputError(
            f"expected meshes of FFHQ's images in {labels}, found none of the split {split}; "
            f"make them with `facegeom lab label-folder {folder} -o labels.parquet`"
        )
    meshes = [each.mesh for each in chosen if each.mesh is not None]
    return Frames([each.read for each in chosen], meshes, [None] * len(chosen), size_px)
