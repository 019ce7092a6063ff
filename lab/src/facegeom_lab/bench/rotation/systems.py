"""The systems whose head rotations are compared, and their predictions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.analyzer import FaceAnalyzer
from facegeom.geometry.camera import Camera
from facegeom.geometry.placement import fit_canonical_head
from facegeom.geometry.rotation import rotation_in_camera
from facegeom.head_pose import PoseDetector
from facegeom.image import reading
from facegeom.models.fpnet import FPNet
from facegeom.results import Faces, Poses
from facegeom_lab.bench.context import MESH_TITLE, SCENE_MESH_OPTIONS
from facegeom_lab.bench.peers import Peer, peer_predictions
from facegeom_lab.bench.progress import track
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.measures.about import settings

FloatArray = npt.NDArray[np.floating]

FACE, POSE_NET, CASCADE = "face network", "FPNet as the pose net", "FPNet cascade"


@dataclass(frozen=True, eq=False)
class HeadPredictions:
    """Predictions of a system for the K heads of one image.

    Attributes:
        box_xyxy: (K, 4).
        score: (K,).
        rotation: (K, 3, 3) as seen: head frame to the frame of the line of sight.
        camera_rotation: (K, 3, 3) head frame to the frame of a camera with the default angle of view.
    """

    box_xyxy: FloatArray
    score: FloatArray
    rotation: FloatArray
    camera_rotation: FloatArray


@dataclass(frozen=True, eq=False)
class Networks:
    """The three ways in which facegeom estimates a rotation."""

    face: FaceAnalyzer
    pose_net: FaceAnalyzer
    cascade: PoseDetector

    def settings(self) -> dict[str, str]:
        """Return the settings of the second and third, for the report."""
        others = {POSE_NET: self.pose_net, CASCADE: self.cascade}
        return {f"settings, {name}": settings(each) for name, each in others.items()}


def load_networks(face_pose_net: Path | None) -> Networks:
    """Load the networks with default settings.

    Args:
        face_pose_net: ONNX file of an FPNet; None for the one that ships.

    Raises:
        WeightsError: there is no such FPNet.
    """
    with_fpnet = FaceAnalyzer()
    with_fpnet.fpnet = FPNet.load(face_pose_net)
    return Networks(FaceAnalyzer(), with_fpnet, PoseDetector(face_pose_net=face_pose_net))


def predict_rotations(
    ours: Networks, peers: Mapping[str, Peer], photos: Sequence[LabelledPhoto], cache: Path
) -> dict[str, list[HeadPredictions]]:
    """Return every system's predictions for the photos, by its name."""
    systems: dict[str, Callable[[reading.UInt8Array], HeadPredictions]] = {
        FACE: lambda image: _ours(ours.face(image)),
        POSE_NET: lambda image: _ours(ours.pose_net(image)),
        CASCADE: lambda image: _ours(ours.cascade(image)),
    }
    every = {
        name: [system(reading.read(photo.path)) for photo in track(photos, name)]
        for name, system in systems.items()
    }
    if "mediapipe" in peers:
        every[MESH_TITLE] = _mediapipe(peers["mediapipe"], photos, cache)
    return every


def _ours(heads: Faces | Poses) -> HeadPredictions:
    return HeadPredictions(heads.box_xyxy, heads.score, heads.rotation, heads.camera_rotation)


def _mediapipe(peer: Peer, photos: Sequence[LabelledPhoto], cache: Path) -> list[HeadPredictions]:
    """Fit facegeom's canonical head to MediaPipe's meshes."""
    found = peer_predictions(peer, "mesh", SCENE_MESH_OPTIONS, [photo.path for photo in photos], cache)
    heads = []
    for faces, photo in zip(found, photos, strict=True):
        with Image.open(photo.path) as opened:
            camera = Camera(*opened.size)
        rotation = mesh_rotations(faces.mesh_px)
        middle = faces.mesh_px[:, :, :2].mean(axis=1) if len(rotation) else np.zeros((0, 2))
        sight = camera.back_project(middle, np.ones(len(middle)))
        heads.append(
            HeadPredictions(faces.box_xyxy, faces.score, rotation, rotation_in_camera(rotation, sight))
        )
    return heads


def mesh_rotations(meshes_px: FloatArray) -> FloatArray:
    """Return rotations (K, 3, 3), as seen, of the canonical head fitted to meshes (K, 478, 3) in pixels."""
    return fit_canonical_head(meshes_px.reshape(-1, 478, 3)).rotation
