"""``facegeom bench speed``: times, memory and start-up, beside the peers in the same run."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Protocol, cast

import numpy as np
from PIL import Image

from facegeom.image import reading
from facegeom.models.engine import Engine
from facegeom.models.weights import path
from facegeom.results import Faces
from facegeom_lab.bench.peers import Peer, started
from facegeom_lab.bench.processes import command_seconds, import_seconds, memory_mb
from facegeom_lab.bench.progress import track
from facegeom_lab.bench.speed_cases import CROWD, RIVALS, Rival, crops, crowd, files
from facegeom_lab.datasets.pack_photos import Picture, scenes
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, Table
from facegeom_lab.measures.timing import Pair, array_timer, calls_ms, interleaved, peer_timer

LONG_SIDE = 640
ONE_FACE = "both find one face"
BATCH = 16

_PAIR_PROTOCOL = (
    "Scenes of `val` and `test` with exactly one labelled face, enlarged to a longer side of 640 px. "
    "Decoded RGB array in, whole answer out (facegeom: every field of Faces), default settings, warm. For "
    "each photo time blocks in the order ours, peer, peer, ours; each system in a process of its own, "
    "never both at once, the peer's time measured inside its process. A photo's figure is the median over "
    "both blocks; the ratio is ours / peer per photo. MediaPipe: FaceMesh(static_image_mode=True, "
    "refine_landmarks=True); MTCNN and dlib's HOG give boxes only."
)
_PAIR_COLUMNS = (
    "peer",
    "photos taken",
    "facegeom, ms",
    "peer, ms",
    "ratio, median",
    "ratio, lowest",
    "ratio, highest",
    "photos",
)
_STAGE_PROTOCOL = "The same photos and settings, facegeom alone; medians over photos of each photo's median."
_PROCESS_PROTOCOL = (
    "Fresh processes, the disk warm. Memory at rest: resident set after FaceAnalyzer() and one analysed "
    "photo. Import: median of 7. Command: `facegeom analyze PHOTO -o OUT` with all default outputs, start "
    "to end, median of 5."
)


class Analyzer(Protocol):
    """What is timed: facegeom's FaceAnalyzer."""

    def __call__(self, source: Any) -> Faces: ...

    def batch(self, sources: Sequence[Any]) -> list[Faces]: ...


@dataclass(frozen=True)
class Effort:
    """How much is measured: photos, counted calls in a time block, uncounted calls before them."""

    photos: int = 24
    repetitions: int = 15
    warm: int = 3


def run_speed(
    data: Path,
    out: Path,
    analyzer: Analyzer,
    peers: Mapping[str, Path | None],
    effort: Effort,
    show: Callable[[Table], object] = lambda table: None,
) -> Report:
    """Measure, save ``out/speed.md`` and ``out/speed.json``, and return the report.

    Args:
        data: the data pack.
        out: folder of the results.
        analyzer: with default settings.
        peers: names of the peers and their interpreters, or None to make the environments.
        effort: how much to measure.
        show: called with each table as soon as it is there.

    Raises:
        InputError: an unknown peer, or data is missing.
        PeerError: a peer failed.
        ProcessError: a measured process failed.
    """
    tables: list[Table] = []
    with tempfile.TemporaryDirectory() as scratch, started(peers) as workers:
        folder = Path(scratch)
        pictures = select(data, max(effort.photos, CROWD))
        arrays, photo = prepare(pictures[: effort.photos], folder)
        for measure in (
            partial(paired, analyzer, workers, arrays, effort),
            partial(face_network, tables, effort),
            partial(crowd, analyzer, workers, pictures, folder, effort.repetitions),
            partial(files, analyzer, workers, pictures, folder, effort.repetitions),
            partial(throughput, analyzer, arrays),
            partial(processes, photo),
        ):
            tables.append(measure())
            show(tables[-1])
        report = Report("facegeom bench speed", about(analyzer, workers.values()), tables)
    report.save(out, "speed")
    return report


def select(data: Path, count: int) -> list[Picture]:
    """``count`` scenes with one face, labelled by people, evenly from the list of `val` and `test`."""
    single = [
        picture
        for split in ("val", "test")
        for picture in scenes(data, split)
        if picture.labelled == len(picture.box_xyxy) == 1
    ]
    chosen = np.linspace(0, len(single) - 1, min(count, len(single))).astype(int)
    return [single[index] for index in chosen]


def prepare(pictures: Sequence[Picture], folder: Path) -> tuple[list[Path], Path]:
    """Enlarge the pictures: .npy files of their arrays, and the first one as a JPEG file."""
    arrays = []
    for index, picture in enumerate(pictures):
        array = enlarge(reading.read(picture.path))
        arrays.append(folder / f"{index:03d}.npy")
        np.save(arrays[-1], array)
        if index == 0:
            Image.fromarray(array).save(folder / "photo.jpg", quality=95)
    return arrays, folder / "photo.jpg"


def enlarge(image: Any) -> Any:
    """The picture (H, W, 3) with a longer side of 640 px."""
    height, width = image.shape[:2]
    scale = LONG_SIDE / max(height, width)
    return reading.resize(image, (round(width * scale), round(height * scale)))


def paired(analyzer: Analyzer, workers: Mapping[str, Peer], arrays: Sequence[Path], effort: Effort) -> Table:
    """The table of one photo in, one answer out, against each peer."""
    ours = array_timer(analyzer)
    rows: list[tuple[Cell, ...]] = []
    for name, worker in workers.items():
        rival = RIVALS[name]
        theirs = peer_timer(worker, rival.model, rival.options)
        pairs = []
        for array in track(arrays, f"one photo, beside {rival.title}"):
            pair = interleaved(ours, theirs, array, effort.repetitions, effort.warm)
            pairs.append(replace(pair, one_face_each=one_face_each(analyzer, worker, rival, array)))
        rows.append((rival.title, "all", *pair_row(pairs)))
        rows.append((rival.title, ONE_FACE, *pair_row([p for p in pairs if p.one_face_each])))
    return Table(f"One photo of {LONG_SIDE} px", _PAIR_PROTOCOL, _PAIR_COLUMNS, rows)


def one_face_each(analyzer: Analyzer, peer: Peer, rival: Rival, array: Path) -> bool:
    """Whether both systems find exactly one face in the picture: a missed face costs no time."""
    reply = peer.ask(op="find", model=rival.model, options=dict(rival.options), array=str(array))
    return len(analyzer(np.load(array))) == len(reply["score"]) == 1


def face_network(tables: Sequence[Table], effort: Effort) -> Table:
    """The table of the face network alone, beside the peers' times in the first of the tables."""
    return crops(Engine(path("face", "int8")), whole_ms(tables[0]), effort.repetitions)


def whole_ms(pairs: Table) -> dict[str, float | None]:
    """Each peer's time for a photo with one face, of the table of :func:`paired`."""
    return {str(row[0]): cast("float | None", row[3]) for row in pairs.rows if row[1] == ONE_FACE}


def pair_row(pairs: Sequence[Pair]) -> tuple[Cell, ...]:
    """Medians over photos and the spread of the ratio."""
    if not pairs:
        return None, None, None, None, None, 0
    ratios = [pair.ratio for pair in pairs]
    times = median(pair.ours_ms for pair in pairs), median(pair.peer_ms for pair in pairs)
    return (*times, median(ratios), min(ratios), max(ratios), len(pairs))


def throughput(analyzer: Analyzer, arrays: Sequence[Path]) -> Table:
    """The table of facegeom alone: one by one and in batches."""
    images = [np.load(path) for path in arrays]
    batch = (images * (BATCH // len(images) + 1))[:BATCH]
    single = median(median(calls_ms(partial(analyzer, image), 5, 2)) for image in images)
    joined = median(calls_ms(lambda: analyzer.batch(batch), 5, 1)) / BATCH
    rows: list[tuple[Cell, ...]] = [
        ("one by one", single, 1000 / single),
        (f"batches of {BATCH}", joined, 1000 / joined),
    ]
    return Table("Throughput", _STAGE_PROTOCOL, ("calls", "ms per photo", "photos per second"), rows)


def processes(photo: Path) -> Table:
    """The table of fresh processes."""
    rows: list[tuple[Cell, ...]] = [
        ("memory at rest, MB", memory_mb(photo)),
        ("import facegeom, s", import_seconds()),
        ("facegeom analyze PHOTO, s", command_seconds(photo)),
    ]
    return Table("Start and memory", _PROCESS_PROTOCOL, ("what", "measured"), rows)
