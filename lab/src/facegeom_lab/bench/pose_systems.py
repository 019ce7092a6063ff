"""The systems whose head rotations are compared, and what each of them answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from facegeom.analyzer import FaceAnalyzer
from facegeom.geometry.camera import Camera
from facegeom.geometry.rotation import towards
from facegeom.head_pose import PoseDetector
from facegeom.image import reading
from facegeom.models.fpnet import FPNetPredictor
from facegeom.results import Faces, Poses
from facegeom_lab.bench.cache import peer_answers
from facegeom_lab.bench.landmarks import SCENE_OPTIONS, SYSTEM
from facegeom_lab.bench.peers import Peer
from facegeom_lab.bench.progress import track
from facegeom_lab.bench.rotation import mesh_rotations
from facegeom_lab.datasets.pack_photos import Picture

FloatArray = npt.NDArray[np.floating]

FACE, POSE_NET, CASCADE = "face network", "FPNet as the pose net", "FPNet cascade"


@dataclass(frozen=True, eq=False)
class Heads:
    """What a system says of the heads of one picture.

    Attributes:
        box_xyxy: (K, 4).
        score: (K,).
        rotation: (K, 3, 3) head frame to camera frame, the camera of the default angle of view.
        seen: (K, 3, 3) the same, free of the turn of the line of sight.
    """

    box_xyxy: FloatArray
    score: FloatArray
    rotation: FloatArray
    seen: FloatArray


@dataclass(frozen=True, eq=False)
class Networks:
    """facegeom's three ways to a rotation."""

    face: FaceAnalyzer
    pose_net: FaceAnalyzer
    cascade: PoseDetector


def networks(face_pose_net: Path | None) -> Networks:
    """With default settings; FPNet is the one that ships, or that of a file.

    Raises:
        WeightsError: there is no such FPNet.
    """
    with_fpnet = FaceAnalyzer()
    with_fpnet.pose = FPNetPredictor.load(face_pose_net)
    return Networks(FaceAnalyzer(), with_fpnet, PoseDetector(face_pose_net=face_pose_net))


def answers(
    ours: Networks, peers: Mapping[str, Peer], pictures: Sequence[Picture], cache: Path
) -> dict[str, list[Heads]]:
    """Every system's answers for the pictures, by its name."""
    systems: dict[str, Callable[[reading.UInt8Array], Heads]] = {
        FACE: lambda pixels: _of_faces(ours.face(pixels)),
        POSE_NET: lambda pixels: _of_faces(ours.pose_net(pixels)),
        CASCADE: lambda pixels: _of_poses(ours.cascade(pixels)),
    }
    every = {
        name: [system(reading.read(picture.path)) for picture in track(pictures, name)]
        for name, system in systems.items()
    }
    if "mediapipe" in peers:
        every[SYSTEM] = _mediapipe(peers["mediapipe"], pictures, cache)
    return every


def _of_faces(faces: Faces) -> Heads:
    sight = np.swapaxes(towards(faces.translation_mm.astype(np.float64)), 1, 2)
    return Heads(faces.box_xyxy, faces.score, faces.rotation, sight @ faces.rotation)


def _of_poses(poses: Poses) -> Heads:
    middle = (poses.box_xyxy[:, :2] + poses.box_xyxy[:, 2:]).astype(np.float64) / 2
    sight = Camera(poses.width, poses.height).back_project(middle, np.ones(len(middle)))
    seen = np.swapaxes(towards(sight), 1, 2) @ poses.rotation
    return Heads(poses.box_xyxy, poses.score, poses.rotation, seen)


def _mediapipe(peer: Peer, pictures: Sequence[Picture], cache: Path) -> list[Heads]:
    """Its mesh laid on facegeom's canonical head."""
    found = peer_answers(peer, "mesh", SCENE_OPTIONS, [picture.path for picture in pictures], cache)
    heads = []
    for one, picture in zip(found, pictures, strict=True):
        with Image.open(picture.path) as opened:
            camera = Camera(*opened.size)
        rotation = mesh_rotations(one.mesh_px, camera)
        offset = one.mesh_px[:, :, :2].mean(axis=1) - camera.centre_px if len(rotation) else np.zeros((0, 2))
        sight = np.column_stack([offset, np.full(len(offset), camera.focal_px)])
        heads.append(Heads(one.box_xyxy, one.score, rotation, np.swapaxes(towards(sight), 1, 2) @ rotation))
    return heads
