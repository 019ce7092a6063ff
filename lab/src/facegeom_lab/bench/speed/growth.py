"""How the time grows with the number of faces and of pixels, and what many photos together take."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import numpy as np

from facegeom.image import reading
from facegeom.results import Faces
from facegeom_lab.bench.progress import track
from facegeom_lab.bench.speed.photos import save_large_file, tile
from facegeom_lab.datasets.published.pack import LabelledPhoto
from facegeom_lab.measures.tables import Cell, Table

FACES = (1, 4, 16, 64)
SIZES_WH = ((640, 480), (1600, 1200), (4000, 3000), (8000, 6000))
BATCH = 64

_FACES_PROTOCOL = (
    "Scenes with one labelled face side by side in cells of 320 px, decoded array in, whole result out, "
    "facegeom alone. Wall: median of the calls; processor: all threads of the process, mean of the calls."
)
_PIXELS_PROTOCOL = (
    "A scene with one labelled face, enlarged and padded with grey; as a decoded array, and from its JPEG "
    "file of quality 90. Columns as above."
)
_THROUGHPUT_PROTOCOL = (
    f"{BATCH} arrays of the first table's photos: one call after the other, and one `batch`, in blocks in "
    "the order alone, batch, batch, alone. Busy cores: processor time over wall time, on an idle machine."
)
_COLUMNS = ("megapixels", "faces found", "wall, ms", "processor, ms")


class Analyzer(Protocol):
    """Interface of the timed analyzer, facegeom's FaceAnalyzer."""

    def __call__(self, source: Any) -> Faces:
        """Analyse one photo."""

    def batch(self, sources: Sequence[Any]) -> list[Faces]:
        """Analyse several photos."""


def faces_table(analyzer: Analyzer, photos: Sequence[LabelledPhoto], calls: int) -> Table:
    """Time photos of more and more faces.

    Args:
        analyzer: facegeom.
        photos: with one face each; used again where there are too few.
        calls: timed calls for each photo.
    """
    rows: list[tuple[Cell, ...]] = []
    for count in track(FACES, "growth with faces"):
        image = tile(list(islice(cycle(photos), count)))
        rows.append((count, *_row(analyzer, image, image.shape[1::-1], calls)))
    return Table("Growth with faces", _FACES_PROTOCOL, ("faces", *_COLUMNS), rows)


def pixels_table(analyzer: Analyzer, photo: LabelledPhoto, folder: Path, calls: int) -> Table:
    """Time one photo at more and more pixels, as an array and as a file in the folder."""
    rows: list[tuple[Cell, ...]] = []
    for size_wh in track(SIZES_WH, "growth with pixels"):
        file = save_large_file(photo, folder, size_wh)
        for kind, source in (("array", reading.read(file)), ("JPEG file", file)):
            rows.append((kind, *_row(analyzer, source, size_wh, calls)))
    return Table("Growth with pixels", _PIXELS_PROTOCOL, ("source", *_COLUMNS), rows)


def throughput_table(analyzer: Analyzer, arrays: Sequence[Path]) -> Table:
    """Time many photos one by one and in a batch."""
    images = list(islice(cycle([np.load(path) for path in arrays]), BATCH))

    def alone() -> list[Faces]:
        return [analyzer(image) for image in images]

    batch = partial(analyzer.batch, images)
    blocks = np.array([_times_ms(each, calls=1, warm=1) for each in (alone, batch, batch, alone)]) / BATCH
    rows: list[tuple[Cell, ...]] = []
    for name, chosen in (("one by one", [0, 3]), (f"batch of {BATCH}", [1, 2])):
        wall, processor = blocks[chosen].mean(axis=0).tolist()
        rows.append((name, wall, 1000 / wall, processor, processor / wall))
    columns = ("calls", "wall, ms per photo", "photos per second", "processor, ms per photo", "busy cores")
    return Table("Throughput", _THROUGHPUT_PROTOCOL, columns, rows)


def _row(analyzer: Analyzer, source: Any, size_wh: Sequence[int], calls: int) -> tuple[Cell, ...]:
    found = len(analyzer(source))
    return size_wh[0] * size_wh[1] / 1e6, found, *_times_ms(partial(analyzer, source), calls, warm=2)


def _times_ms(function: Callable[[], object], calls: int, warm: int) -> tuple[float, float]:
    """Return the median wall time and the mean processor time of a call, milliseconds."""
    for _ in range(warm):
        function()
    walls, processor = [], time.process_time()
    for _ in range(calls):
        start = time.perf_counter()
        function()
        walls.append(time.perf_counter() - start)
    return median(walls) * 1e3, (time.process_time() - processor) / calls * 1e3
