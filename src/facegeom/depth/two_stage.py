"""The two depth networks: quantised depth from RGB, then millimetres from grey and that answer."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.depth.depth_map import SIZE_PX, DepthMap
from facegeom.depth.mesh_depth import mesh_depths
from facegeom.geometry.camera import pinhole_of_mesh
from facegeom.image.crop import Picture
from facegeom.image.rotated_crop import cut_upright
from facegeom.models.engine import Engine
from facegeom.results import Faces

FloatArray = npt.NDArray[np.floating]

BATCH = 16
GREY = np.array((0.299, 0.587, 0.114), np.float32)
FACE = 0.5
"""Least chance of a face for a pixel to be trusted."""


class DepthPredictor:
    """Both stages with their crop and the way back into the camera frame.

    Args:
        first: engine of stage I.
        second: engine of stage II.
    """

    def __init__(self, first: Engine, second: Engine) -> None:
        self.first, self.second = first, second

    def __call__(self, pictures: Sequence[Picture], faces: Sequence[Faces]) -> list[tuple[DepthMap, ...]]:
        """Depth maps of the faces of each photo; all photos' faces share the calls of the networks."""
        meshes = [mesh_depths(each.mesh_px, each.mesh_mm) for each in faces]
        crops = [
            cut_upright(picture, np.array([depth.image_from_depth for depth in found]), SIZE_PX)
            for picture, found in zip(pictures, meshes, strict=True)
        ]
        behind, chance = self.answers(np.concatenate(crops)) if crops else self._nothing()
        starts = np.cumsum([0, *(len(each) for each in faces)])[:-1].tolist()
        return [
            tuple(placed(behind[start + k], chance[start + k], found[k], photo, k) for k in range(len(found)))
            for start, found, photo in zip(starts, meshes, faces, strict=True)
        ]

    def answers(self, crops: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
        """Millimetres behind the nose tip and chances of a face, (N, 80, 80), of crops (N, 160, 160, 3)."""
        if not len(crops):
            return self._nothing()
        told = [self._both(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
        behind, chance = (np.concatenate(column) for column in zip(*told, strict=True))
        return behind, chance

    def _both(self, crops: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
        answer, chance, _ = self.first(crops)
        return self.second(np.stack([crops @ GREY, answer], axis=-1))[0], chance

    @staticmethod
    def _nothing() -> tuple[FloatArray, FloatArray]:
        return np.zeros((0, SIZE_PX // 2, SIZE_PX // 2)), np.zeros((0, SIZE_PX // 2, SIZE_PX // 2))


def placed(behind_mm: FloatArray, chance: FloatArray, mesh: DepthMap, faces: Faces, index: int) -> DepthMap:
    """A network's answer in the camera frame, where the mesh of the same face is.

    The answer runs along the line of sight to the head and begins at the nose tip; it is moved along that
    line until its median difference from the mesh is 0. The face is where the mesh is.

    Args:
        behind_mm: (80, 80) behind the nose tip.
        chance: (80, 80) of a face, in [0, 1].
        mesh: the depth map of the mesh.
        faces: of the photo.
        index: of the face.
    """
    towards = faces.translation_mm[index].astype(np.float64)
    share = _sight_share(mesh, towards / np.linalg.norm(towards), faces, index)
    behind, trusted = _enlarged(behind_mm), mesh.mask & (_enlarged(chance) > FACE)
    where = trusted if trusted.any() else mesh.mask
    if not where.any():
        return mesh
    start = np.median((mesh.z_mm * share - behind)[where])
    return DepthMap(np.where(mesh.mask, (start + behind) / share, 0), mesh.image_from_depth)


def _sight_share(mesh: DepthMap, unit: FloatArray, faces: Faces, index: int) -> FloatArray:
    """(S, S) distance along the line of sight ``unit`` (3,) for each millimetre of z, by pixel."""
    focal_px, centre_px = pinhole_of_mesh(faces.mesh_px[index], faces.mesh_mm[index])
    ray = (mesh.pixels_xy() - centre_px) / focal_px
    return np.asarray(ray @ unit[:2] + unit[2])


def _enlarged(picture: FloatArray) -> FloatArray:
    """(80, 80) to (160, 160), bilinear."""
    image = Image.fromarray(picture.astype(np.float32))
    return np.asarray(image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BILINEAR))
