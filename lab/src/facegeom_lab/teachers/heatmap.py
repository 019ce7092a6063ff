"""A trained heat-map network as a teacher: 2D points of all faces of whole photos."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from facegeom import FaceAnalyzer
from facegeom.errors import ImageError, InputError
from facegeom.geometry.schemes import Scheme
from facegeom.geometry.transforms import box_to_square
from facegeom.image import reading
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.datasets.training.landmark_crops import points_to_photo, warp, widen
from facegeom_lab.evaluation.run import read_recipe
from facegeom_lab.networks.checkpoint import network_from_checkpoint
from facegeom_lab.networks.heatmap import HeatmapNet
from facegeom_lab.teachers.consistency import agreement, unmirror
from facegeom_lab.teachers.labels import PhotoLabels

MAX_FLIP_ERROR = 0.05
"""By the eyes' distance; labels of photo and mirror image that differ by more are not kept."""


@dataclass(frozen=True)
class HeatmapTeacher:
    """A :class:`facegeom_lab.teachers.labels.Teacher` of the points that its network was trained on.

    facegeom's own analyzer finds the faces.

    Attributes:
        model: a checkpoint in the run folder of its training, beside its ``recipe.yaml``.
        max_flip_error: labels of photo and mirror image that differ by more are not kept.

    Raises:
        InputError: the folder holds no run of a heat-map network, or the checkpoint is missing or damaged.
    """

    model: Path
    max_flip_error: float = MAX_FLIP_ERROR
    dimensions: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _ = self.network  # a wrong file fails before any work

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """Recipe of the training."""
        values = read_recipe(self.model.parent)
        if values["kind"] != "heatmap":
            name = values["recipe"]
            raise InputError(f"expected the run of a heat-map network in {self.model.parent}, got {name}")
        return values

    @cached_property
    def network(self) -> HeatmapNet:
        """Network with the checkpoint's weights, on a GPU where there is one."""
        net = HeatmapNet(self.recipe["backbone"], self.scheme.count)
        network_from_checkpoint(self.model, net)
        return net.to("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def scheme(self) -> Scheme:
        """Point scheme of the labels."""
        return SCHEMES[self.recipe["scheme"]]

    def settings(self) -> dict[str, Any]:
        """Return the checkpoint's hash and the threshold."""
        model = hashlib.sha256(self.model.read_bytes()).hexdigest()
        return {"teacher": "heatmap", "model": model, "max_flip_error": self.max_flip_error}

    def __call__(self, photos: Sequence[Path]) -> Iterator[PhotoLabels | ImageError]:
        """Yield the faces of each photo, in order; the error for one that cannot be read."""
        analyzer = FaceAnalyzer()
        for path in photos:
            try:
                photo = reading.read(path)
            except ImageError as error:
                yield error
                continue
            yield self.label(photo, analyzer(photo).box_xyxy)

    def label(self, photo: np.ndarray, boxes_xyxy: np.ndarray) -> PhotoLabels:
        """Find the points in the given boxes.

        Args:
            photo: (H, W, 3) uint8 RGB.
            boxes_xyxy: (F, 4) pixels, as the analyzer finds them.
        """
        size, scheme = self.recipe["size_px"], self.scheme
        onto = box_to_square(widen(boxes_xyxy.astype(np.float64), self.recipe["margin"]), size)
        points, back, confidence = self._predict([warp(photo, matrix, size) for matrix in onto])
        plain, other = (
            np.reshape([points_to_photo(*pair, size) for pair in zip(each, onto, strict=True)], points.shape)
            for each in (points, back)
        )
        both = agreement(plain, other, scheme)
        height, width = photo.shape[:2]
        return PhotoLabels(
            width, height, both.points, both.error, both.kept(self.max_flip_error), confidence.mean(axis=1)
        )

    @torch.inference_mode()
    def _predict(self, crops: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points (F, K, 2) of crops and of mirrored crops, mirrored back; mean confidence (F, K)."""
        count, scheme = len(crops), self.scheme
        if not count:
            nothing = np.zeros((0, scheme.count, 2))
            return nothing, nothing, nothing[..., 0]
        views = (
            torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).to(next(self.network.parameters()).device)
        )
        points, heights = (
            part.cpu().double().numpy() for part in self.network.read(torch.cat([views, views.flip(-1)]))
        )
        # In units of half the crop the mirror image of x is -x, as in an image of one pixel.
        back = unmirror(points[count:], 1, scheme.mirror)
        return points[:count], back, (heights[:count] + heights[count:, scheme.mirror]) / 2
