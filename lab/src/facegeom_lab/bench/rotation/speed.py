"""Time of FPNet as the third stage and of the cascade with it, beside the peers; the cascade's recall."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facegeom.geometry.boxes import square
from facegeom.head_pose import PoseDetector
from facegeom.image import reading
from facegeom.image.pyramid import Pyramid
from facegeom_lab.bench.context import MESH_OPTIONS, Boxes
from facegeom_lab.bench.matching import recall
from facegeom_lab.bench.peers import Peer, peer_predictions
from facegeom_lab.bench.progress import track
from facegeom_lab.bench.rotation.systems import Networks
from facegeom_lab.bench.speed.photos import save_arrays, single_face_scenes
from facegeom_lab.datasets.published.pack import LabelledPhoto, scene_photos
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.measures.timing import (
    Pair,
    Timer,
    array_timer,
    calls_ms,
    interleaved,
    peer_timer,
    summarize_pairs,
)

MIN_FACES = (40, 20)
TIMED_MIN_FACE = MIN_FACES[0]

_TIMES = (
    "Scenes of `val` and `test` with exactly one labelled face, enlarged to a longer side of 640 px, of "
    "which those are taken in which facegeom finds one face; decoded RGB array in, result out, warm, all "
    "cores. For each photo time blocks in the order ours, peer, peer, ours, each system in a process of its "
    "own, never both at once; a photo's figure is the median over both blocks. Third stage: the crop of "
    "the one face made and through FPNet, against MediaPipe's whole FaceMesh call (static, refined). "
    "Cascade: P-Net, R-Net and FPNet on the whole photo, against MTCNN (facenet-pytorch), both with a "
    f"smallest face of {TIMED_MIN_FACE} px."
)
_RECALL = (
    "Fraction of the human-labelled faces of AFW's scenes (at most 448 px) that are found, by the rules of "
    "`facegeom bench accuracy`: IoU of at least 0.5 with the label's or MTCNN's box; loosely: at least 0.3, "
    "or a centre inside. Both at the same smallest face, thresholds by default. MTCNN proposed the boxes of "
    "this data."
)


def times_table(
    data: Path, ours: Networks, peers: Mapping[str, Peer], photos: int, repetitions: int, warm: int
) -> Table:
    """Time FPNet beside MediaPipe and the cascade beside MTCNN.

    Args:
        data: the data pack.
        ours: facegeom's networks.
        peers: running workers by name; rows of missing peers are left out.
        photos: photos to time.
        repetitions: counted calls in a time block.
        warm: uncounted calls before them.
    """
    rows: list[tuple[Cell, ...]] = []
    cascade = _cascade(ours, TIMED_MIN_FACE)
    with tempfile.TemporaryDirectory() as scratch:
        arrays, _ = save_arrays(single_face_scenes(data, photos), Path(scratch))
        arrays = [array for array in arrays if len(ours.face(np.load(array))) == 1]

        def pairs(timer: Timer, peer: Timer) -> list[Pair]:
            return [interleaved(timer, peer, array, repetitions, warm) for array in track(arrays, "times")]

        if "mediapipe" in peers:
            mesh = peer_timer(peers["mediapipe"], "mesh", MESH_OPTIONS)
            summary = summarize_pairs(pairs(_third_stage(ours), mesh))
            rows.append(("FPNet for one face", "MediaPipe FaceMesh, whole", *summary))
        if "mtcnn" in peers:
            mtcnn = peer_timer(peers["mtcnn"], "detector", {"min_face_size": TIMED_MIN_FACE})
            summary = summarize_pairs(pairs(array_timer(cascade), mtcnn))
            rows.append(("cascade with FPNet", "MTCNN, whole", *summary))
    columns = (
        *("ours", "peer", "ours, ms", "peer, ms", "ratio, median", "ratio, lowest", "ratio, highest"),
        "photos",
    )
    return Table("Time", _TIMES, columns, rows)


def _cascade(ours: Networks, min_face: float) -> PoseDetector:
    return PoseDetector(min_face=min_face, face_pose_net=ours.cascade.fpnet.engine.path)


def _third_stage(ours: Networks) -> Timer:
    def timer(array: Path, repetitions: int, warm: int) -> list[float]:
        image = Image.fromarray(np.load(array))
        crop_boxes = square(ours.face(image).box_xyxy)
        return calls_ms(lambda: ours.cascade.fpnet([Pyramid(image)], [crop_boxes]), repetitions, warm)

    return timer


def recall_table(data: Path, cache: Path, ours: Networks, peers: Mapping[str, Peer]) -> Table:
    """Measure the recall of the cascade and of MTCNN on AFW's scenes."""
    photos = scene_photos(data, "test")
    rows: list[tuple[Cell, ...]] = []
    for min_face in MIN_FACES:
        cascade = _cascade(ours, min_face)
        found: list[Boxes] = [cascade(reading.read(photo.path)) for photo in track(photos, "cascade")]
        rows.append(("cascade with FPNet", min_face, *recall(found, photos)))
        if "mtcnn" in peers:
            theirs = _mtcnn(peers["mtcnn"], min_face, photos, cache)
            rows.append(("MTCNN (facenet-pytorch)", min_face, *recall(theirs, photos)))
    columns = ("system", "smallest face, px", "found, %", "found loosely, %", "faces labelled", "boxes")
    return Table("Found on AFW's scenes", _RECALL, columns, rows)


def _mtcnn(peer: Peer, min_face: int, photos: Sequence[LabelledPhoto], cache: Path) -> Sequence[Boxes]:
    paths = [photo.path for photo in photos]
    return peer_predictions(peer, "detector", {"min_face_size": min_face}, paths, cache)
