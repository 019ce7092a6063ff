"""``facegeom bench speed``: times, memory and start-up, beside the peers in the same run."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from facegeom.models.engine import Engine
from facegeom.models.weights import path
from facegeom_lab.bench.peers import started
from facegeom_lab.bench.speed.comparisons import (
    CROWD,
    crops_table,
    crowd_table,
    large_files_table,
    one_photo_table,
)
from facegeom_lab.bench.speed.growth import FACES, Analyzer, faces_table, pixels_table, throughput_table
from facegeom_lab.bench.speed.photos import save_arrays, single_face_scenes
from facegeom_lab.bench.speed.processes import command_seconds, import_seconds, memory_mb
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Cell, Report, RunningReport, Table

_PROCESS_PROTOCOL = (
    "Fresh processes, the disk warm. Memory at rest: resident set after FaceAnalyzer() and one analysed "
    "photo. Import: median of 7. Command: `facegeom analyze PHOTO -o OUT` with all default outputs, start "
    "to end, median of 5."
)


@dataclass(frozen=True)
class SpeedConfig:
    """How much is measured.

    Attributes:
        photos: photos to time.
        repetitions: counted calls in a time block.
        warm: uncounted calls before them.
    """

    photos: int = 24
    repetitions: int = 15
    warm: int = 3


def run_speed(
    data: Path,
    out: Path,
    analyzer: Analyzer,
    peers: Mapping[str, Path | None],
    config: SpeedConfig,
    show: Callable[[Table], object] = lambda table: None,
) -> Report:
    """Measure, save ``out/speed.md`` and ``out/speed.json``, and return the report.

    Args:
        data: the data pack.
        out: folder of the results.
        analyzer: with default settings.
        peers: interpreters of the peers by name; None installs the peer's environment.
        config: how much to measure.
        show: called with each table as soon as it is measured.

    Raises:
        InputError: an unknown peer, or data is missing.
        ExternalError: a peer failed.
        ProcessError: a measured process failed.
    """
    calls = config.repetitions
    with tempfile.TemporaryDirectory() as scratch, started(peers) as workers:
        folder = Path(scratch)
        photos, many = (single_face_scenes(data, count) for count in (max(config.photos, CROWD), max(FACES)))
        report = RunningReport("facegeom bench speed", about(analyzer, workers.values()), out, "speed", show)
        arrays, photo = save_arrays(photos[: config.photos], folder)
        for measure in (
            partial(one_photo_table, analyzer, workers, arrays, calls, config.warm),
            lambda: crops_table(Engine(path("face", "int8")), report.tables[0], calls),
            partial(crowd_table, analyzer, workers, photos, folder, calls),
            partial(large_files_table, analyzer, workers, photos, folder, calls),
            partial(faces_table, analyzer, many, calls),
            partial(pixels_table, analyzer, photos[0], folder, -(-calls // 5)),
            partial(throughput_table, analyzer, arrays),
            partial(processes_table, photo),
        ):
            report.add(measure())
    return report.finish()


def processes_table(photo: Path) -> Table:
    """Measure memory and start-up of fresh processes."""
    rows: list[tuple[Cell, ...]] = [
        ("memory at rest, MB", memory_mb(photo)),
        ("import facegeom, s", import_seconds()),
        ("facegeom analyze PHOTO, s", command_seconds(photo)),
    ]
    return Table("Start and memory", _PROCESS_PROTOCOL, ("what", "measured"), rows)
