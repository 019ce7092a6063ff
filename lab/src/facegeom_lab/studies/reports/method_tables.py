"""Tables of the dense mesh, of the fourteen points, and of other methods beside the networks."""

from facegeom_lab.keypoints14.evaluate import MARKS, mark
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.studies.reports.cells import number, scaled
from facegeom_lab.studies.reports.published import Keypoints, Landmarks, Mesh
from facegeom_lab.studies.reports.runs import HEATMAP, KEYPOINTS, MESH, NME_EYES, TREES, Run, Runs
from facegeom_lab.studies.reports.tables import NOT_RUN, network_runs

BYTES_OF_A_WEIGHT = 4


def mesh(runs: Runs, published: Mesh) -> Table:
    """The dense mesh by transfer learning."""
    run = runs[MESH]
    errors = (run.figure("mse", "upright"), run.figure("mse_turned"))
    rows: list[tuple[Cell, ...]] = [
        (
            _name("ours", run),
            *(number(error, ".4e") for error in errors),
            number(run.figure(NME_EYES, "upright")),
        ),
        ("published", None, number(published.mse, ".4e"), None),
    ]
    columns = ("figures", "MSE, upright faces", "MSE, turned faces", "NME, upright faces")
    protocol = (
        "MSE of all 3 · 478 coordinates, x and z divided by the picture's width, y by its height. NME: 2D, "
        "all 478 points, by the inter-ocular distance, a share. Validation faces, labelled by MediaPipe. "
        f"Published: {published.source}; {published.protocol}."
    )
    return Table("Dense mesh: 478 points by transfer learning", protocol, columns, rows)


def keypoints(runs: Runs, published: Keypoints) -> Table:
    """The fourteen points and the mark of the task."""
    run = runs[KEYPOINTS]
    rows: list[tuple[Cell, ...]] = []
    for split in ("val", "afw"):
        error = run.figure(f"error_100x100_{split}")
        reached = None if error is None else mark(error)
        rows.append((_name(split, run), number(error, ".2f"), reached))
    (worst_limit, worst), (best_limit, best) = MARKS[0], MARKS[-1]
    protocol = (
        f"Published: {published.source}; {published.protocol}. Marks go from {worst} (an error of at most "
        f"{worst_limit:g}) to {best} (at most {best_limit:g}); the task prints no error of a solution."
    )
    return Table("Fourteen points", protocol, ("faces of", "error on 100 x 100", "mark"), rows)


def methods(runs: Runs, published: Landmarks) -> Table:
    """The best network beside regression trees and heat maps."""
    best, trees = best_network(runs, published), runs[TREES]
    quantised = (number(trees.figure("nme_quantised")), None, None)
    rows: list[tuple[Cell, ...]] = [
        _method("regression by a network", best),
        _method("heat maps", runs[HEATMAP]),
        _method("regression trees (dlib)", trees),
        (
            _name("the trees, quantised", trees),
            *quantised,
            scaled(trees.figure("bytes_quantised"), 1e6, ".2f"),
        ),
        ("regression trees, published", None, None, number(published.trees_ms, ".1f"), None),
    ]
    protocol = (
        "NME by the inter-ocular distance, a share. The network is the one with the least error on the test "
        f"faces{f' ({best.name})' if best.finished else ''}; the size of a network is that of its weights in "
        "32 bits. Quantised: leaves in few bits, Huffman-coded."
    )
    columns = ("method", "NME, test", "NME, val", "CPU, ms", "size, MB")
    return Table("Beside other methods", protocol, columns, rows)


def best_network(runs: Runs, published: Landmarks) -> Run:
    """The run of a network with the least inter-ocular error on the test faces."""
    errors = {name: runs[name].figure(NME_EYES) for name in network_runs(published)}
    known = {name: error for name, error in errors.items() if error is not None}
    return runs[min(known, key=known.__getitem__, default="")]


def _method(name: str, run: Run) -> tuple[Cell, ...]:
    return (
        _name(name, run),
        number(run.figure(NME_EYES)),
        number(run.figure(NME_EYES, "val")),
        number(run.figure("cpu_ms"), ".1f"),
        scaled(_bytes(run), 1e6, ".2f"),
    )


def _bytes(run: Run) -> float | None:
    stored, weights = run.figure("bytes"), run.figure("parameters")
    return weights * BYTES_OF_A_WEIGHT if stored is None and weights is not None else stored


def _name(name: str, run: Run) -> str:
    return name if run.finished else f"{name}: {NOT_RUN}"
