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
from facegeom.geometry.rotation import rotation_to_line_of_sight
from facegeom.head_pose import PoseDetector
from facegeom.image import reading
from facegeom.models.fpnet import FPNet
from facegeom.results import Faces, Poses
from facegeom_lab.bench.context import MESH_TITLE, SCENE_MESH_OPTIONS
from facegeom_lab.bench.peers import Peer, peer_predictions
from facegeom_lab.bench.progress import track
from facegeom_lab.datasets.published.pack import LabelledPhoto

FloatArray = npt.NDArray[np.floating]

FACE, POSE_NET, CASCADE = "face network", "FPNet as the pose net", "FPNet cascade"


@dataclass(frozen=True, eq=False)
class HeadPredictions:
    """Predictions of a system for the K heads of one image.

    Attributes:
        box_xyxy: (K, 4).
        score: (K,).
        rotation: (K, 3, 3) head frame to the frame of a camera with the default field of view.
        seen: (K, 3, 3) head frame to the frame of the line of sight.
    """

    box_xyxy: FloatArray
    score: FloatArray
    rotation: FloatArray
    seen: FloatArray


@dataclass(frozen=True, eq=False)
class Networks:
    """The three ways in which facegeom estimates a rotation."""

    face: FaceAnalyzer
    pose_net: FaceAnalyzer
    cascade: PoseDetector


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
        FACE: lambda image: _from_faces(ours.face(image)),
        POSE_NET: lambda image: _from_faces(ours.pose_net(image)),
        CASCADE: lambda image: _from_poses(ours.cascade(image)),
    }
    every = {
        name: [system(reading.read(photo.path)) for photo in track(photos, name)]
        for name, system in systems.items()
    }
    if "mediapipe" in peers:
        every[MESH_TITLE] = _mediapipe(peers["mediapipe"], photos, cache)
    return every


def _from_faces(faces: Faces) -> HeadPredictions:
    sight = np.swapaxes(rotation_to_line_of_sight(faces.translation_mm.astype(np.float64)), 1, 2)
    return HeadPredictions(faces.box_xyxy, faces.score, faces.rotation, sight @ faces.rotation)


def _from_poses(poses: Poses) -> HeadPredictions:
    middle = (poses.box_xyxy[:, :2] + poses.box_xyxy[:, 2:]).astype(np.float64) / 2
    sight = Camera(poses.width, poses.height).back_project(middle, np.ones(len(middle)))
    seen = np.swapaxes(rotation_to_line_of_sight(sight), 1, 2) @ poses.rotation
    return HeadPredictions(poses.box_xyxy, poses.score, poses.rotation, seen)


def _mediapipe(peer: Peer, photos: Sequence[LabelledPhoto], cache: Path) -> list[HeadPredictions]:
    """Fit facegeom's canonical head to MediaPipe's meshes."""
    found = peer_predictions(peer, "mesh", SCENE_MESH_OPTIONS, [photo.path for photo in photos], cache)
    heads = []
    for faces, photo in zip(found, photos, strict=True):
        with Image.open(photo.path) as opened:
            camera = Camera(*opened.size)
        rotation = mesh_rotations(faces.mesh_px, camera)
        offset = (
            faces.mesh_px[:, :, :2].mean(axis=1) - camera.centre_px if len(rotation) else np.zeros((0, 2))
        )
        sight = np.column_stack([offset, np.full(len(offset), camera.focal_px)])
        heads.append(
            HeadPredictions(
                faces.box_xyxy,
                faces.score,
                rotation,
                np.swapaxes(rotation_to_line_of_sight(sight), 1, 2) @ rotation,
            )
        )
    return heads


def mesh_rotations(meshes_px: FloatArray, camera: Camera) -> FloatArray:
    """Return head-to-camera rotations (K, 3, 3) of meshes (K, 478, 3) in pixels; K may be 0."""
    return np.array([mesh_rotation(mesh, camera) for mesh in meshes_px]).reshape(-1, 3, 3)


def mesh_rotation(mesh_px: FloatArray, camera: Camera) -> FloatArray:
    """Return the head-to-camera rotation (3, 3) of a mesh (478, 3) in pixels.

    The canonical head fitted to the mesh gives the rotation as seen, which is then rotated with the line of
    sight.
    """
    seen = fit_canonical_head(mesh_px).rotation
    offset = mesh_px[:, :2].mean(axis=0) - camera.centre_px
    return np.asarray(rotation_to_line_of_sight(np.array([*offset, camera.focal_px])) @ seen)
