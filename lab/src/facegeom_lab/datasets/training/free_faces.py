"""Labelled faces from free sources alone: portraits, the same turned in 3D, rendered heads.

Points of all of them come from a mesh of 478 points, the teacher's or the rendered head's own, by one linear
map that people's points on the free studio portraits give (:mod:`facegeom_lab.datasets.published.free`). The
jaw of a turned head follows its visible outline, as people mark it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from facegeom.errors import InputError
from facegeom.geometry import topology
from facegeom.geometry.boxes import face_box
from facegeom.geometry.placement import fit_canonical_head
from facegeom.geometry.rotation import angles_from_rotation
from facegeom.geometry.schemes import IBUG68_MIRROR
from facegeom.geometry.transforms import resize_points
from facegeom_lab.datasets.published import free
from facegeom_lab.datasets.published.pack import read_images
from facegeom_lab.datasets.training.face_labels import (
    FaceLabels,
    as_seen,
    of_all_points,
    rendered_mesh,
    unknown_expression,
)
from facegeom_lab.fitting.pose_fit import rotation_under_points
from facegeom_lab.synth.face_profiling import LEAST_TURN_DEG, YAW_DEG, Profiled, profile
from facegeom_lab.teachers.labels import records
from facegeom_lab.teachers.linear_map import LinearMap, fit_linear_map

NEIGHBOURS, RIDGE = 12, 1e-4
"""Of the linear map: on people left out 2.1 % of the eye distance, 1.6 % inside the outline."""

LARGEST_FACE_PX = 150.0
"""Portraits are reduced so that faces are no larger."""

PROFILED_PX = 176
SMALL_TURNS_DEG = (12.0, 40.0)
"""Half of the turned portraits: nine of ten portraits look to within 10° of the lens, other photos do not."""

RAYS = 8
"""Places between the face's middle and each point of the jaw among which the outline is sought."""

HUMAN_WEIGHT, TEACHER_WEIGHT, RENDERED_WEIGHT, HIDDEN_WEIGHT = 1.0, 0.6, 0.5, 0.15


@dataclass(frozen=True, eq=False)
class FreeFaces:
    """The free photos of people with the teacher's meshes.

    Args:
        data: the data pack.
        labels: folder of ``portraits.parquet`` and ``people189.parquet`` of ``facegeom lab label-folder``.
    """

    data: Path
    labels: Path

    @cached_property
    def meshes(self) -> dict[Path, np.ndarray]:
        """The mesh (478, 3), pixels, of each photo with one face.

        Raises:
            InputError: a file of labels is missing.
        """
        found: dict[Path, np.ndarray] = {}
        for name in ("portraits", "people189"):
            folder = self.data / "free" / name
            for record in records(self.labels / f"{name}.parquet", folder):
                file, _, number = record.name.partition("#")
                if number == "0" and record.mesh is not None:
                    found[folder / file] = record.mesh.astype(np.float64)
        return found

    @cached_property
    def to68(self) -> PointsOfMesh:
        """The points that follow from a mesh, fitted on training people and their mirror images."""
        people = {photo.path.name: photo for photo in free.portraits(self.data, "train")}
        pairs = [
            (self.meshes[people[name].path], points)
            for name, points in free.human_points(self.data).items()
            if name in people and people[name].path in self.meshes
        ]
        if not pairs:
            raise InputError(f"expected meshes of free/people189 in {self.labels}, found none")
        mesh, points = (np.stack(column) for column in zip(*pairs, strict=True))
        mesh = np.concatenate([mesh, mesh[:, topology.mirror()] * (-1, 1, 1)])
        points = np.concatenate([points, points[:, IBUG68_MIRROR] * (-1, 1)])
        return PointsOfMesh(fit_linear_map(mesh, points, NEIGHBOURS, RIDGE))

    def photos(self, split: str) -> tuple[list[np.ndarray], FaceLabels]:
        """Return the photos (H, W, 3) uint8 RGB of a split, reduced, and their labels."""
        human = free.human_points(self.data)
        chosen = [photo for photo in free.portraits(self.data, split) if photo.path in self.meshes]
        images, meshes, marked = [], [], []
        for photo in chosen:
            image, scale = _reduced(read_images([photo.path])[0], self.meshes[photo.path])
            images.append(image)
            meshes.append(_scaled(self.meshes[photo.path], scale))
            points = human.get(photo.path.name) if photo.source == "people189" else None
            marked.append(None if points is None else _scaled(points, scale))
        mesh = np.stack(meshes)
        points, weight = self.to68(mesh), np.full((len(mesh), 68), TEACHER_WEIGHT)
        for row, own in enumerate(marked):
            if own is not None:
                points[row], weight[row] = own, HUMAN_WEIGHT
        count = len(mesh)
        return images, FaceLabels(
            landmarks=points.astype(np.float32),
            landmarks_weight=weight.astype(np.float32),
            mesh=mesh.astype(np.float32),
            mesh_weight=of_all_points(np.ones(count)),
            rotation=rotation_under_points(points),
            rotation_weight=np.ones(count),
            expression=unknown_expression(count),
        )

    def profiled(self, count: int, seed: int) -> tuple[list[np.ndarray], FaceLabels]:
        """Turn training photos in 3D; images (H, W, 4) RGBA, alpha 0 outside the photo."""
        images, table = self.photos("train")
        yaw = angles_from_rotation(fit_canonical_head(table.mesh.astype(np.float64)).rotation)[:, 0]
        rng = np.random.default_rng(seed)
        made = [self._profile(rng, images, table, yaw) for _ in range(count)]
        points = self.to68(np.stack([face.mesh for face in made]))
        shown = np.stack([face.visible for face in made])
        shown[:, :17] = True  # these follow the outline
        return [face.image for face in made], FaceLabels(
            landmarks=points.astype(np.float32),
            landmarks_weight=np.where(shown, TEACHER_WEIGHT, HIDDEN_WEIGHT).astype(np.float32),
            mesh=np.stack([face.mesh for face in made]).astype(np.float32),
            mesh_weight=of_all_points(np.full(count, 0.5)),
            rotation=np.stack([face.rotation for face in made]),
            rotation_weight=np.ones(count),
            expression=unknown_expression(count),
        )

    def _profile(
        self, rng: np.random.Generator, images: list[np.ndarray], table: FaceLabels, yaw: np.ndarray
    ) -> Profiled:
        number = int(rng.integers(len(images)))
        own = float(yaw[number])
        side = np.sign(own) if abs(own) > LEAST_TURN_DEG else rng.choice((-1.0, 1.0))
        least, most = SMALL_TURNS_DEG if rng.random() < 0.5 else YAW_DEG
        least = max(least, side * own + LEAST_TURN_DEG)
        goal = side * rng.uniform(least, max(least, most))
        image, mesh = _cut_out(images[number], table.mesh[number].astype(np.float64))
        points = self.to68.linear.apply(mesh)
        return profile(image, mesh, points[:, :2], points[:, 2], goal - own)

    def close_ups(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return squares (176, 176, 4) RGBA around the faces of the training photos, and their 68 points."""
        images, table = self.photos("train")
        cuts = [_cut_out(*each) for each in zip(images, table.mesh.astype(np.float64), strict=True)]
        return [(image, self.to68(mesh[None])[0]) for image, mesh in cuts]

    def rendered(self, shards: Sequence[Path]) -> tuple[list[np.ndarray], FaceLabels]:
        """Read rendered heads of ``facegeom lab synth --free`` with meshes and points in pixels."""
        images: list[np.ndarray] = []
        parts = []
        for shard in shards:
            with np.load(shard) as arrays:
                images += list(arrays["images"])
                parts.append(self._of_shard(arrays))
        return images, FaceLabels.concatenate(parts)

    def _of_shard(self, arrays: Mapping[str, np.ndarray]) -> FaceLabels:
        mesh, mesh_weight = rendered_mesh(arrays, arrays["images"].shape[1])
        count = len(mesh)
        rotation = arrays["rotation"].astype(np.float64)
        return FaceLabels(
            landmarks=self.to68(mesh).astype(np.float32),
            landmarks_weight=np.full((count, 68), RENDERED_WEIGHT, np.float32),
            mesh=mesh,
            mesh_weight=mesh_weight,
            rotation=as_seen(rotation, arrays["translation"]),
            rotation_weight=np.full(count, 2.0),
            expression=unknown_expression(count),
        )


def boxed(images: list[np.ndarray], table: FaceLabels) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the images with the box (4,) of their face."""
    return list(zip(images, face_box(table.landmarks.astype(np.float64)), strict=True))


def _reduced(image: np.ndarray, mesh: np.ndarray) -> tuple[np.ndarray, float]:
    scale = min(1.0, LARGEST_FACE_PX / float(np.ptp(mesh[:, :2], axis=0).max()))
    if scale == 1:
        return image, 1.0
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), size[0] / image.shape[1]


def _scaled(points: np.ndarray, scale: float) -> np.ndarray:
    """Scale points (K, 2 or 3) with their image; pixel centres lie at integers, z has no centre."""
    moved = points * scale
    moved[:, :2] = resize_points(points[:, :2], scale)
    return moved


def _cut_out(image: np.ndarray, mesh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a square (176, 176, 4) of twice the face's size, alpha 0 outside the photo, and its mesh."""
    low, high = mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)
    side = 2 * (high - low).max()
    scale = PROFILED_PX / side
    corner = (low + high - side) / 2
    matrix = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    opaque = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    moved = np.concatenate([(mesh[:, :2] - corner) * scale, mesh[:, 2:] * scale], axis=1)
    return cv2.warpAffine(opaque, matrix, (PROFILED_PX, PROFILED_PX)), moved


class PointsOfMesh:
    """The 68 points of meshes: a linear map, and the jaw along the visible outline.

    Args:
        linear: from the 478 points to the 68.
    """

    def __init__(self, linear: LinearMap) -> None:
        self.linear = linear
        canonical = topology.canonical_mm().astype(np.float64)
        jaw = linear.apply(canonical)[:17]
        middle = canonical[SUBNASALE]
        out = jaw[:, :2] - middle[:2]
        self.outward = np.concatenate(
            [out / np.linalg.norm(out, axis=1, keepdims=True), np.zeros((17, 1))], axis=1
        )
        fractions = np.linspace(0.55, 0.97, RAYS)
        places = middle[:2] + fractions[:, None] * out[:, None]
        self.corners, self.shares, self.inside = _barycentric(canonical[:, :2], places.reshape(-1, 2))

    def __call__(self, mesh: np.ndarray) -> np.ndarray:
        """Return points (N, 68, 2) of meshes (N, 478, 3), pixels."""
        points = self.linear.apply(mesh[..., :2].astype(np.float64))
        rotation = fit_canonical_head(mesh.astype(np.float64)).rotation
        along = np.einsum("nij,kj->nki", rotation, self.outward)[..., :2]  # the jaw's way out, in the image
        on_ray = np.einsum("nkcd,kc->nkd", mesh[:, self.corners, :2], self.shares).reshape(
            len(mesh), 17, RAYS, 2
        )
        candidates = np.concatenate([on_ray, points[:, :17, None]], axis=2)
        reach = np.einsum("nkrd,nkd->nkr", candidates, along)
        reach[:, ~np.concatenate([self.inside.reshape(17, RAYS), np.ones((17, 1), bool)], axis=1)] = -np.inf
        best = reach.argmax(axis=2)
        points[:, :17] = np.take_along_axis(candidates, best[..., None, None], axis=2)[:, :, 0]
        return np.asarray(points)


SUBNASALE = 2
"""Point of the mesh between nose and upper lip: the middle from which the jaw's rays start."""


def _barycentric(points: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return corners and shares (P, 3) of the triangle around each place (P, 2); if there is one (P,)."""
    triangles = topology.triangles()
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = _cross(b - a, c - a)
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    offset = places[:, None] - a
    second, third = _cross(offset, c - a) / area, _cross(b - a, offset) / area
    shares = np.stack([1 - second - third, second, third], axis=-1)
    within = shares.min(axis=-1)
    best = within.argmax(axis=1)
    rows = np.arange(len(places))
    return triangles[best], shares[rows, best], within[rows, best] > -1e-6


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.asarray(first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0])
