"""Time of FPNet as the third stage and of the cascade with it, beside the peers in the same run."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facegeom.geometry.boxes import square
from facegeom.head_pose import PoseDetector
from facegeom.image import reading
from facegeom_lab.bench.cache import peer_answers
from facegeom_lab.bench.context import Boxes
from facegeom_lab.bench.detection import found_share
from facegeom_lab.bench.landmarks import MESH_OPTIONS
from facegeom_lab.bench.peers import Peer
from facegeom_lab.bench.pose_systems import Networks
from facegeom_lab.bench.progress import track
from facegeom_lab.bench.speed import Effort, pair_row, prepare, select
from facegeom_lab.datasets.pack_photos import Picture, scenes
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.measures.timing import Pair, Timer, array_timer, calls_ms, interleaved, peer_timer

MIN_FACES = (40, 20)
TIMED_MIN_FACE = MIN_FACES[0]

_TIMES = (
    "Scenes of `val` and `test` with exactly one labelled face, enlarged to a longer side of 640 px, of "
    "which those are taken in which facegeom finds one face; decoded RGB array in, answer out, warm, all "
    "cores. For each photo time blocks in the order ours, peer, peer, ours, each system in a process of its "
    "own, never both at once; a photo's figure is the median over both blocks. Third stage: the window of "
    "the one face cut out and through FPNet, against MediaPipe's whole answer (FaceMesh, static, refined). "
    "Cascade: P-Net, R-Net, FPNet, answer of the whole photo, against MTCNN's (facenet-pytorch), both with a "
    f"smallest face of {TIMED_MIN_FACE} px."
)
_RECALL = (
    "Share of the faces of AFW's scenes (at most 448 px) labelled by people that are found, by the rules of "
    "`facegeom bench accuracy`: IoU of at least 0.5 with the label's or MTCNN's box; loosely: at least 0.3, "
    "or a centre inside. Both at the same smallest face, thresholds by default. MTCNN proposed the boxes of "
    "this data."
)


def tables(data: Path, cache: Path, ours: Networks, peers: Mapping[str, Peer], effort: Effort) -> list[Table]:
    """Two tables: times against each peer that is there, and the share of faces found."""
    rows: list[tuple[Cell, ...]] = []
    cascade = _cascade(ours, TIMED_MIN_FACE)
    with tempfile.TemporaryDirectory() as scratch:
        arrays, _ = prepare(select(data, effort.photos), Path(scratch))
        arrays = [array for array in arrays if len(ours.face(np.load(array))) == 1]
        if "mediapipe" in peers:
            theirs = peer_timer(peers["mediapipe"], "mesh", MESH_OPTIONS)
            pairs = _pairs(_third_stage(ours), theirs, arrays, effort)
            rows.append(("FPNet for one face", "MediaPipe FaceMesh, whole", *pair_row(pairs)))
        if "mtcnn" in peers:
            theirs = peer_timer(peers["mtcnn"], "detector", {"min_face_size": TIMED_MIN_FACE})
            pairs = _pairs(array_timer(cascade), theirs, arrays, effort)
            rows.append(("cascade with FPNet", "MTCNN, whole", *pair_row(pairs)))
    columns = (
        *("ours", "peer", "ours, ms", "peer, ms", "ratio, median", "ratio, lowest", "ratio, highest"),
        "photos",
    )
    return [Table("Time", _TIMES, columns, rows), _recall(data, cache, ours, peers)]


def _cascade(ours: Networks, min_face: float) -> PoseDetector:
    return PoseDetector(min_face=min_face, face_pose_net=ours.cascade.predictor.engine.path)


def _third_stage(ours: Networks) -> Timer:
    def timer(array: Path, repetitions: int, warm: int) -> list[float]:
        picture = Image.fromarray(np.load(array))
        windows = square(ours.face(picture).box_xyxy)
        return calls_ms(lambda: ours.cascade.predictor([picture], [windows]), repetitions, warm)

    return timer


def _pairs(ours: Timer, theirs: Timer, arrays: Sequence[Path], effort: Effort) -> list[Pair]:
    return [
        interleaved(ours, theirs, array, effort.repetitions, effort.warm) for array in track(arrays, "times")
    ]


def _recall(data: Path, cache: Path, ours: Networks, peers: Mapping[str, Peer]) -> Table:
    pictures = scenes(data, "test")
    rows: list[tuple[Cell, ...]] = []
    for min_face in MIN_FACES:
        cascade = _cascade(ours, min_face)
        found: list[Boxes] = [cascade(reading.read(picture.path)) for picture in track(pictures, "cascade")]
        rows.append(("cascade with FPNet", min_face, *found_share(found, pictures)))
        if "mtcnn" in peers:
            others = _mtcnn(peers["mtcnn"], min_face, pictures, cache)
            rows.append(("MTCNN (facenet-pytorch)", min_face, *found_share(others, pictures)))
    columns = ("system", "smallest face, px", "found, %", "found loosely, %", "faces labelled", "boxes")
    return Table("Found on AFW's scenes", _RECALL, columns, rows)


def _mtcnn(peer: Peer, min_face: int, pictures: Sequence[Picture], cache: Path) -> Sequence[Boxes]:
    paths = [picture.path for picture in pictures]
    return peer_answers(peer, "detector", {"min_face_size": min_face}, paths, cache)
