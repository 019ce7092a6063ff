"""Times beside the peers: one face, a crowd, large files, and the face network alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np

from facegeom.models.face import CROP_PX
from facegeom_lab.bench.context import MESH_OPTIONS, MESH_TITLE, Analyze
from facegeom_lab.bench.peers import Peer
from facegeom_lab.bench.progress import track
from facegeom_lab.bench.speed.photos import CELL_PX, LONG_SIDE, save_large_file, tile
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.measures.timing import (
    array_timer,
    calls_ms,
    interleaved,
    path_timer,
    peer_timer,
    summarize_pairs,
)

ONE_FACE = "both find one face"
CROWD = 16
FILES = 4
CROPS = 64

_PAIR_PROTOCOL = (
    "Scenes of `val` and `test` with exactly one labelled face, enlarged to a longer side of 640 px. "
    "Decoded RGB array in, whole result out (facegeom: every field of Faces), default settings, warm. For "
    "each photo time blocks in the order ours, peer, peer, ours; each system in a process of its own, "
    "never both at once, the peer's time measured inside its process. A photo's figure is the median over "
    "both blocks; the ratio is ours / peer per photo. MediaPipe: FaceMesh(static_image_mode=True, "
    "refine_landmarks=True); MTCNN and dlib's HOG give boxes only."
)
_CROWD_PROTOCOL = (
    f"{CROWD} scenes with one labelled face each, side by side in cells of {CELL_PX} px on one photo of "
    "1,280 px; decoded array in, whole result out, time blocks as above. MediaPipe FaceMesh: as above, with "
    f"max_num_faces={CROWD}. The ratio is time per face found, ours / the peer's."
)
_FILES_PROTOCOL = (
    "JPEG files of 4,000 by 3,000 px, quality 90: scenes with one labelled face, enlarged. From the file on "
    "disk, in the page cache, to the whole result; peers decode by OpenCV where their environment has it, "
    "else by Pillow. Time blocks as above, with a fifth of the counted calls."
)
_CROPS_PROTOCOL = (
    f"The face network alone on {CROPS} crops in one call, time per crop, beside the peer's whole time for "
    "one photo with one face (the first table's)."
)
_RATIO_COLUMNS = ("facegeom, ms", "peer, ms", "ratio, median", "ratio, lowest", "ratio, highest", "photos")


@dataclass(frozen=True)
class TimedModel:
    """A peer's model to time.

    Attributes:
        title: first cell of the rows.
        model: its name in the peer's worker.
        options: of the model.
    """

    title: str
    model: str
    options: Mapping[str, Any]


TIMED_MODELS: Mapping[str, TimedModel] = {
    "mediapipe": TimedModel(MESH_TITLE, "mesh", MESH_OPTIONS),
    "mtcnn": TimedModel("MTCNN (facenet-pytorch)", "detector", {}),
    "dlib": TimedModel("dlib HOG", "detector", {"upsample": 1}),
}


def one_photo_table(
    analyze: Analyze, workers: Mapping[str, Peer], arrays: Sequence[Path], repetitions: int, warm: int
) -> Table:
    """Time one photo per call against each peer.

    Args:
        analyze: facegeom.
        workers: running peers by name.
        arrays: .npy files of the photos.
        repetitions: counted calls in a time block.
        warm: uncounted calls before them.
    """
    ours = array_timer(analyze)
    rows: list[tuple[Cell, ...]] = []
    for name, worker in workers.items():
        timed = TIMED_MODELS[name]
        theirs = peer_timer(worker, timed.model, timed.options)
        pairs = []
        for array in track(arrays, f"one photo, beside {timed.title}"):
            pair = interleaved(ours, theirs, array, repetitions, warm)
            pairs.append(replace(pair, one_face_each=one_face_each(analyze, worker, timed, array)))
        rows.append((timed.title, "all", *summarize_pairs(pairs)))
        rows.append((timed.title, ONE_FACE, *summarize_pairs([p for p in pairs if p.one_face_each])))
    columns = ("peer", "photos taken", *_RATIO_COLUMNS)
    return Table(f"One photo of {LONG_SIDE} px", _PAIR_PROTOCOL, columns, rows)


def one_face_each(analyze: Analyze, peer: Peer, timed: TimedModel, array: Path) -> bool:
    """Return whether both systems find exactly one face: a missed face costs no time."""
    reply = peer.ask(op="find", model=timed.model, options=dict(timed.options), array=str(array))
    return len(analyze(np.load(array))) == len(reply["score"]) == 1


def crowd_table(
    analyze: Analyze,
    workers: Mapping[str, Peer],
    photos: Sequence[LabelledPhoto],
    folder: Path,
    repetitions: int,
) -> Table:
    """Time one image with many faces against each peer.

    Args:
        analyze: facegeom.
        workers: running peers by name.
        photos: the first :data:`CROWD` are tiled.
        folder: for the image.
        repetitions: counted calls in a time block.
    """
    array = folder / "crowd.npy"
    np.save(array, tile(photos[:CROWD]))
    found = len(analyze(np.load(array)))
    rows: list[tuple[Cell, ...]] = []
    for name, worker in track(list(workers.items()), "a crowd"):
        timed = TIMED_MODELS[name]
        options = {**timed.options, "max_num_faces": CROWD} if name == "mediapipe" else timed.options
        theirs = len(worker.ask(op="find", model=timed.model, options=options, array=str(array))["score"])
        pair = interleaved(
            array_timer(analyze), peer_timer(worker, timed.model, options), array, repetitions, 2
        )
        ratio = pair.ratio * theirs / found if found and theirs else None
        rows.append((timed.title, pair.ours_ms, found, pair.peer_ms, theirs, ratio))
    columns = ("peer", "facegeom, ms", "faces found", "peer, ms", "faces found by it", "ratio per face found")
    return Table(f"{CROWD} faces in one photo", _CROWD_PROTOCOL, columns, rows)


def large_files_table(
    analyze: Analyze,
    workers: Mapping[str, Peer],
    photos: Sequence[LabelledPhoto],
    folder: Path,
    repetitions: int,
) -> Table:
    """Time files of twelve megapixels against each peer; arguments as of :func:`crowd_table`."""
    files = [save_large_file(photo, folder) for photo in photos[:FILES]]
    calls = -(-repetitions // 5)
    rows: list[tuple[Cell, ...]] = []
    for name, worker in workers.items():
        timed = TIMED_MODELS[name]
        theirs = peer_timer(worker, timed.model, timed.options)
        pairs = [
            interleaved(path_timer(analyze), theirs, file, calls, 1)
            for file in track(files, f"large files, beside {timed.title}")
        ]
        rows.append((timed.title, *summarize_pairs(pairs)))
    return Table("Files of 12 megapixels", _FILES_PROTOCOL, ("peer", *_RATIO_COLUMNS), rows)


def crops_table(network: Callable[[np.ndarray], object], one_photo: Table, repetitions: int) -> Table:
    """Time the face network alone beside the peers' times for one photo with one face.

    Args:
        network: takes crops (N, S, S, 3) uint8.
        one_photo: the table of :func:`one_photo_table`.
        repetitions: counted calls.
    """
    peer_ms = {str(row[0]): cast("float | None", row[3]) for row in one_photo.rows if row[1] == ONE_FACE}
    batch = np.random.default_rng(0).integers(0, 256, (CROPS, CROP_PX, CROP_PX, 3), dtype=np.uint8)
    ours = median(calls_ms(partial(network, batch), repetitions, 2)) / CROPS
    rows: list[tuple[Cell, ...]] = [
        (title, ours, theirs, None if theirs is None else ours / theirs) for title, theirs in peer_ms.items()
    ]
    columns = ("peer", "face network, ms per crop", "peer, ms per photo", "ratio")
    return Table("The face network on crops", _CROPS_PROTOCOL, columns, rows)
