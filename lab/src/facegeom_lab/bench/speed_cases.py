"""Times of what is not one photo of middling size: a crowd, large files, crops in batches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from facegeom.image import reading
from facegeom.models.face import CROP_PX
from facegeom.results import Faces
from facegeom_lab.bench.peers import Peer
from facegeom_lab.bench.progress import track
from facegeom_lab.datasets.pack_photos import Picture
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.measures.timing import (
    Pair,
    array_timer,
    calls_ms,
    interleaved,
    path_timer,
    peer_timer,
)

CROWD = 16
CELL_PX = 320
FILE_WH = (4000, 3000)
FILES = 4
CROPS = 64

_CROWD_PROTOCOL = (
    f"{CROWD} scenes with one labelled face each, beside each other in cells of {CELL_PX} px on one photo of "
    "1,280 px; decoded array in, whole answer out, time blocks as above. MediaPipe FaceMesh: as above, with "
    f"max_num_faces={CROWD}. The ratio is time per face found, ours / the peer's."
)
_FILES_PROTOCOL = (
    "JPEG files of 4,000 by 3,000 px, quality 90: scenes with one labelled face, enlarged. From the file on "
    "disk, in the page cache, to the whole answer; peers decode by OpenCV where their environment has it, "
    "else by Pillow. Time blocks as above, with a fifth of the counted calls."
)
_CROPS_PROTOCOL = (
    f"The face network alone on {CROPS} crops in one call, time per crop, beside the peer's whole time for "
    "one photo with one face (the first table's)."
)


@dataclass(frozen=True)
class Rival:
    """A peer's model that is timed.

    Attributes:
        title: of the rows.
        model, options: as its worker knows them.
    """

    title: str
    model: str
    options: Mapping[str, Any]


RIVALS: Mapping[str, Rival] = {
    "mediapipe": Rival("MediaPipe FaceMesh", "mesh", {"static_image_mode": True, "refine_landmarks": True}),
    "mtcnn": Rival("MTCNN (facenet-pytorch)", "detector", {}),
    "dlib": Rival("dlib HOG", "detector", {"upsample": 1}),
}


def crowd(
    analyze: Callable[[Any], Faces],
    workers: Mapping[str, Peer],
    pictures: Sequence[Picture],
    folder: Path,
    repetitions: int,
) -> Table:
    """The table of many faces in one photo, against each peer."""
    array = folder / "crowd.npy"
    np.save(array, _beside_each_other(pictures[:CROWD]))
    found = len(analyze(np.load(array)))
    rows: list[tuple[Cell, ...]] = []
    for name, worker in track(list(workers.items()), "a crowd"):
        rival = RIVALS[name]
        options = {**rival.options, "max_num_faces": CROWD} if name == "mediapipe" else rival.options
        theirs = len(worker.ask(op="find", model=rival.model, options=options, array=str(array))["score"])
        pair = interleaved(
            array_timer(analyze), peer_timer(worker, rival.model, options), array, repetitions, 2
        )
        rows.append((rival.title, pair.ours_ms, found, pair.peer_ms, theirs, _per_face(pair, found, theirs)))
    columns = ("peer", "facegeom, ms", "faces found", "peer, ms", "faces found by it", "ratio per face found")
    return Table(f"{CROWD} faces in one photo", _CROWD_PROTOCOL, columns, rows)


def _per_face(pair: Pair, ours: int, theirs: int) -> float | None:
    return pair.ratio * theirs / ours if ours and theirs else None


def _beside_each_other(pictures: Sequence[Picture]) -> np.ndarray:
    side = int(np.ceil(np.sqrt(len(pictures))))
    ground = Image.new("RGB", (side * CELL_PX, side * CELL_PX), (127, 127, 127))
    for index, picture in enumerate(pictures):
        image = Image.fromarray(reading.read(picture.path))
        scale = CELL_PX / max(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)))
        ground.paste(image, (index % side * CELL_PX, index // side * CELL_PX))
    return np.asarray(ground)


def files(
    analyze: Callable[[Any], Faces],
    workers: Mapping[str, Peer],
    pictures: Sequence[Picture],
    folder: Path,
    repetitions: int,
) -> Table:
    """The table of files of twelve megapixels, against each peer."""
    chosen = [_large_file(picture, folder) for picture in pictures[:FILES]]
    calls = -(-repetitions // 5)
    rows: list[tuple[Cell, ...]] = []
    for name, worker in workers.items():
        rival = RIVALS[name]
        pairs = [
            interleaved(path_timer(analyze), peer_timer(worker, rival.model, rival.options), file, calls, 1)
            for file in track(chosen, f"large files, beside {rival.title}")
        ]
        ratios = [pair.ratio for pair in pairs]
        times = median(pair.ours_ms for pair in pairs), median(pair.peer_ms for pair in pairs)
        rows.append((rival.title, *times, median(ratios), min(ratios), max(ratios), len(pairs)))
    columns = (
        *("peer", "facegeom, ms", "peer, ms", "ratio, median", "ratio, lowest", "ratio, highest", "photos"),
    )
    return Table("Files of 12 megapixels", _FILES_PROTOCOL, columns, rows)


def _large_file(picture: Picture, folder: Path) -> Path:
    """The scene within 4,000 by 3,000 pixels, the rest grey."""
    image = Image.fromarray(reading.read(picture.path))
    scale = min(FILE_WH[0] / image.width, FILE_WH[1] / image.height)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    ground = Image.new("RGB", FILE_WH, (127, 127, 127))
    ground.paste(image, ((FILE_WH[0] - image.width) // 2, (FILE_WH[1] - image.height) // 2))
    path = folder / f"{picture.path.stem}-12.jpg"
    ground.save(path, quality=90)
    return path


def crops(
    network: Callable[[np.ndarray], object], whole_ms: Mapping[str, float | None], repetitions: int
) -> Table:
    """The table of the face network alone.

    Args:
        network: takes (N, S, S, 3) uint8.
        whole_ms: a peer's time for one photo with one face, by title.
        repetitions: counted calls.
    """
    batch = np.random.default_rng(0).integers(0, 256, (CROPS, CROP_PX, CROP_PX, 3), dtype=np.uint8)
    ours = median(calls_ms(partial(network, batch), repetitions, 2)) / CROPS
    rows: list[tuple[Cell, ...]] = [
        (title, ours, theirs, None if theirs is None else ours / theirs) for title, theirs in whole_ms.items()
    ]
    columns = ("peer", "face network, ms per crop", "peer, ms per photo", "ratio")
    return Table("The face network on crops", _CROPS_PROTOCOL, columns, rows)
