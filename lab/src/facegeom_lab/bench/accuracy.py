"""``facegeom bench accuracy``: every section on the data pack, beside the peers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from facegeom.errors import InputError
from facegeom_lab.bench.context import Analyze, Bench
from facegeom_lab.bench.detection import detection
from facegeom_lab.bench.hard import hard
from facegeom_lab.bench.landmarks import confidence, end_to_end
from facegeom_lab.bench.mesh import mesh
from facegeom_lab.bench.peers import started
from facegeom_lab.bench.rotation import rotation
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Report, Table

SECTIONS: Mapping[str, Callable[[Bench], list[Table]]] = {
    "detection": detection,
    "hard": hard,
    "end-to-end": end_to_end,
    "mesh": mesh,
    "confidence": confidence,
    "rotation": rotation,
}


def run_accuracy(
    data: Path,
    out: Path,
    analyze: Analyze,
    peers: Mapping[str, Path | None],
    only: Sequence[str] = (),
    show: Callable[[Table], object] = lambda table: None,
) -> Report:
    """Measure, save ``out/accuracy.md`` and ``out/accuracy.json``, and return the report.

    Args:
        data: the data pack.
        out: folder of the results and of the cache.
        analyze: facegeom with default settings.
        peers: peers to measure beside it by name: the interpreter of each, None to make its environment.
        only: names of sections; all by default.
        show: called with each table as soon as it is there.

    Raises:
        InputError: an unknown section or peer, or data is missing.
        PeerError: a peer failed.
    """
    tables: list[Table] = []
    chosen = choose(only)
    with started(peers) as workers:
        bench = Bench(data, out, analyze, workers)
        for section in chosen:
            for table in SECTIONS[section](bench):
                tables.append(table)
                show(table)
        report = Report("facegeom bench accuracy", about(analyze, workers.values()), tables)
    report.save(out, "accuracy")
    return report


def choose(only: Sequence[str]) -> list[str]:
    """The sections to run, in their order; an unknown name raises InputError."""
    unknown = [name for name in only if name not in SECTIONS]
    if unknown:
        raise InputError(f"expected sections among {', '.join(SECTIONS)}, got {', '.join(unknown)}")
    return [name for name in SECTIONS if not only or name in only]
