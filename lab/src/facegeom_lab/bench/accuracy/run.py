"""``facegeom bench accuracy``: all sections on the data pack, beside the peers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from facegeom_lab.bench.accuracy.cut_faces import cut_faces
from facegeom_lab.bench.accuracy.detection import crowds, detection
from facegeom_lab.bench.accuracy.expression import expression
from facegeom_lab.bench.accuracy.eyes import eyes, motions
from facegeom_lab.bench.accuracy.groups import groups
from facegeom_lab.bench.accuracy.hard_cases import hard_cases
from facegeom_lab.bench.accuracy.landmarks import aligned, confidence, end_to_end
from facegeom_lab.bench.accuracy.mesh import mesh
from facegeom_lab.bench.accuracy.people import people
from facegeom_lab.bench.accuracy.poor_pictures import poor_pictures
from facegeom_lab.bench.accuracy.stability import stability
from facegeom_lab.bench.context import Analyze, Bench, choose_sections
from facegeom_lab.bench.peers import started
from facegeom_lab.bench.rotation.errors import rendered_heads
from facegeom_lab.measures.about import about
from facegeom_lab.measures.tables import Report, RunningReport, Table

SECTIONS: Mapping[str, Callable[[Bench], list[Table]]] = {
    "detection": detection,
    "hard": hard_cases,
    "crowds": crowds,
    "cut": cut_faces,
    "poor": poor_pictures,
    "groups": groups,
    "end-to-end": end_to_end,
    "mesh": mesh,
    "eyes": eyes,
    "motions": motions,
    "expression": expression,
    "stability": stability,
    "people": people,
    "confidence": confidence,
    "aligned": aligned,
    "rotation": rendered_heads,
}


def run_accuracy(
    data: Path,
    out: Path,
    analyze: Analyze,
    peers: Mapping[str, Path | None],
    only: Sequence[str] = (),
    show: Callable[[Table], object] = lambda table: None,
    networks: str = "default",
) -> Report:
    """Measure, save ``out/accuracy.md`` and ``out/accuracy.json``, and return the report of the run.

    Tables of sections that are not run stay in the files.

    Args:
        data: the data pack.
        out: folder of the results; rendered images and peers' predictions are kept in ``out/cache``.
        analyze: facegeom with default settings.
        peers: interpreters of the peers by name; None installs the peer's environment.
        only: names of sections; all by default.
        show: called with each table as soon as it is measured.
        networks: the analyzer's option ``weights``, for the report.

    Raises:
        InputError: an unknown section or peer, or data is missing.
        ExternalError: a peer failed.
    """
    chosen = choose_sections(SECTIONS, only)
    with started(peers) as workers:
        settings = about(analyze, workers.values()) | {"networks": networks}
        report = RunningReport("facegeom bench accuracy", settings, out, "accuracy", show)
        bench = Bench(data, out, analyze, workers)
        for section in chosen:
            report.add(*SECTIONS[section](bench))
    return report.finish(keep=bool(only))
