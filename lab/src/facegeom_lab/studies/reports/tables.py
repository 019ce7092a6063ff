"""Tables of the reproduction: measured figures beside the published ones."""

from collections.abc import Mapping

from facegeom_lab.keypoints14.evaluate import MARKS, mark
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.studies.reports.published import Keypoints, Landmarks, Mesh, Network, Training
from facegeom_lab.studies.reports.runs import (
    ABLATED,
    HEATMAP,
    KEYPOINTS,
    LOSSES,
    MESH,
    NME_EYES,
    NME_PUPILS,
    NOTEBOOK,
    TREES,
    WING_UNIT,
    Run,
    Runs,
    ablation_run,
    network_run,
)

NOT_RUN = "not run"
NOTEBOOK_TITLE = "as the notebook does it"
BYTES_OF_A_WEIGHT = 4
KEYPOINTS_ERROR = "error_100x100_"


def networks(runs: Runs, published: Landmarks) -> Table:
    """Tabulate the five networks trained with the squared error: accuracy, time, size."""
    rows: list[tuple[Cell, ...]] = []
    for key, network in published.networks.items():
        label = f"{network.title} ({network.table})"
        rows.append((label, *_measured_network(runs[network_run(key, "mse")])))
        rows.append((label, *_published_network(network)))
    protocol = (
        "NME: mean distance of the points over the inter-pupil distance, mean over faces, a share. GFLOPs: "
        f"1e9 multiply-adds. {_setting(runs, published)} Published: {published.source}; "
        f"{published.protocol}; its parameters count a last layer of 1000 classes."
    )
    columns = (
        *("network (table)", "figures", "NME, test", "NME, val", "epochs", "CPU, ms", "GPU, ms"),
        *("GFLOPs", "parameters, M"),
    )
    return Table("Tables 3.1 to 3.5: five networks, squared error", protocol, columns, rows)


def ablations(runs: Runs, published: Landmarks) -> Table:
    """Tabulate the ablations of the training of MobileNetV3-Large, and those that the notebook makes."""
    as_is, base = published.networks[ABLATED], runs[network_run(ABLATED, "mse")]
    rows: list[tuple[Cell, ...]] = [
        ("as is", *_training(base, None), number(as_is.nme), None, as_is.epochs),
    ]
    for key, training in published.ablations.items():
        theirs = (number(training.nme), change(training.nme, as_is.nme), training.epochs)
        rows.append((training.title, *_training(runs[ablation_run(key)], base.figure(NME_PUPILS)), *theirs))
    notebook = runs[ablation_run(NOTEBOOK)]
    none = (None, None, None)
    rows.append((NOTEBOOK_TITLE, *_training(notebook, base.figure(NME_PUPILS)), *none))
    for key in notebook_changes(published):
        run = runs[ablation_run(f"{NOTEBOOK}-{key}")]
        title = f"notebook: {published.ablations[key].title}"
        rows.append((title, *_training(run, notebook.figure(NME_PUPILS)), *none))
    columns = (
        *("training", "NME, test", "against as is", "NME, val", "epochs"),
        *("published NME", "against as is", "epochs"),
    )
    protocol = (
        f"{as_is.title} trained with the squared error, one thing changed; NME by the inter-pupil distance. "
        "Notebook: the author's public code, with borders moved by up to 15 % and dlib's detector; "
        "its changed rows are compared with it, and its frozen blocks are the stem and two, by the batch's "
        f"statistics. {_seeds_text(runs)}"
    )
    return Table(f"Table 3.6: changes of the training of {as_is.title}", protocol, columns, rows)


def notebook_changes(published: Landmarks) -> list[str]:
    """Return the ablations that the notebook's training is changed by, too."""
    return [key for key in published.ablations if key not in ("no-warmup", "not-pretrained")]


def losses(runs: Runs, published: Landmarks) -> Table:
    """Tabulate the squared error against Wing of pixels, and of coordinates from -1 to 1."""
    rows: list[tuple[Cell, ...]] = []
    for key, network in published.networks.items():
        ours = _losses(*(runs[network_run(key, loss)] for loss in (*LOSSES, WING_UNIT)))
        rows.append((network.title, *ours, *_published_losses(network, published.wing.get(key))))
    columns = (
        *("network", "NME, squared error", "NME, Wing of pixels", "change, %", "epochs, Wing"),
        *("NME, Wing of ±1", "change, %"),
        *("published, squared error", "published, Wing", "change, %", "epochs, Wing"),
    )
    protocol = (
        "NME by the inter-pupil distance on the test faces. Published are two of the networks with Wing; its "
        "unit is not named: both are rows here, pixels of a 224 px crop and coordinates from -1 to 1. "
        f"{_seeds_text(runs)}"
    )
    return Table("Table 3.7: the squared error against Wing", protocol, columns, rows)


def measures(runs: Runs, names: list[str]) -> Table:
    """Tabulate every measure of the runs that predict points, on the test and the validation faces."""
    rows: list[tuple[Cell, ...]] = []
    for run in map(runs.__getitem__, names):
        rows += [
            (run.name, split, *_measures(run, split)) for split in ("test", "val") if split in run.result
        ]
    columns = (
        *("run", "faces of", "NME, inter-ocular", "NME, inter-pupil", "NME, box diagonal"),
        *("failures, %", "CED-AUC", "faces", "not detected"),
    )
    protocol = (
        "NME by three lengths: between the outer eye corners, between the means of the eyes' outlines, the "
        "diagonal of the true points' tight box. A face fails when its error exceeds the threshold (8 % of "
        "the inter-ocular distance unless the run says otherwise), to which the area under the CED curve is "
        "taken as well. A face that the detector did not find is cut out by its true points."
    )
    return Table("All measures of all methods", protocol, columns, rows)


def network_runs(published: Landmarks) -> list[str]:
    """Return the names of the runs of all networks with both losses."""
    return [network_run(key, loss) for loss in LOSSES for key in published.networks]


def _measured_network(run: Run) -> tuple[Cell, ...]:
    return (
        "ours" if run.finished else f"ours: {NOT_RUN}",
        number(run.figure(NME_PUPILS)),
        number(run.figure(NME_PUPILS, "val")),
        number(run.figure("epochs"), ".0f"),
        number(run.figure("cpu_ms"), ".1f"),
        number(run.figure("gpu_ms"), ".1f"),
        scaled(run.figure("macs"), 1e9, ".3f"),
        scaled(run.figure("parameters"), 1e6, ".1f"),
    )


def _published_network(network: Network) -> tuple[Cell, ...]:
    return (
        "published",
        number(network.nme),
        None,
        network.epochs,
        f"{network.cpu_ms:.0f} ± {network.cpu_ms_spread:.0f}",
        f"{network.gpu_ms:.1f} ± {network.gpu_ms_spread:.1f}",
        number(network.gflops, "g"),
        number(network.parameters_millions, ".1f"),
    )


def _training(run: Run, before: float | None) -> tuple[Cell, ...]:
    if not run.finished:
        return (NOT_RUN, None, None, None)
    nme, val = run.figure(NME_PUPILS), run.figure(NME_PUPILS, "val")
    return (number(nme), change(nme, before), number(val), number(run.figure("epochs"), ".0f"))


def _seeds_text(runs: Runs) -> str:
    """Say which runs are means over several seeds."""
    several = [name for name, run in runs.finished.items() if run.seeds > 1]
    return f"Means over two seeds: {', '.join(several)}." if several else ""


def _losses(squared: Run, wing: Run, unit: Run) -> tuple[Cell, ...]:
    before, after, other = (run.figure(NME_PUPILS) for run in (squared, wing, unit))
    return (
        number(before) if squared.finished else NOT_RUN,
        number(after) if wing.finished else NOT_RUN,
        percent_change(after, before),
        number(wing.figure("epochs"), ".0f"),
        number(other) if unit.finished else NOT_RUN,
        percent_change(other, before),
    )


def _published_losses(network: Network, wing: Training | None) -> tuple[Cell, ...]:
    before = number(network.nme)
    if wing is None:
        return (before, None, None, None)
    return (before, number(wing.nme), percent_change(wing.nme, network.nme), wing.epochs)


def _measures(run: Run, split: str) -> tuple[Cell, ...]:
    return (
        *(number(run.figure(f"nme_{name}", split)) for name in ("interocular", "interpupil", "box")),
        scaled(run.figure("failure_rate", split), 0.01, ".1f"),
        number(run.figure("auc", split), ".3f"),
        number(run.figure("faces", split), ".0f"),
        number(run.figure("undetected", split), ".0f"),
    )


def _setting(runs: Runs, published: Landmarks) -> str:
    """Describe the configuration of the measured runs: the range of each value."""
    texts = {
        "size_px": "crops of {} px",
        "samples": "{} pictures seen in training",
        "cpu_threads": "one face on {} thread(s) of a processor",
    }
    parts = []
    for key, text in texts.items():
        figures = (runs[name].figure(key) for name in network_runs(published))
        values = {value for value in figures if value is not None}
        if values:
            ends = sorted({min(values), max(values)})
            parts.append(text.format(" to ".join(f"{value:,.0f}" for value in ends)))
    return f"Ours: {', '.join(parts)}." if parts else ""


def mesh(runs: Runs, published: Mesh) -> Table:
    """Tabulate the dense mesh by transfer learning."""
    run = runs[MESH]
    rows: list[tuple[Cell, ...]] = [
        (_name(title, run), *(number(run.figure(*key), form) for key, form in _mesh_figures(split)))
        for title, split in (("ours", "upright"), ("the mean mesh of the training faces", "constant"))
        if split == "upright" or split in run.result
    ]
    rows.append(("published", number(published.mse, ".4e"), None))
    columns = ("figures", "MSE", "NME")
    protocol = (
        "Frames as FFHQ's alignment would show them, or whole images, as the run says; nothing is turned. "
        "MSE of all 3 · 478 coordinates, x and z divided by the picture's width, y by its height. NME: 2D, "
        "all 478 points, by the inter-ocular distance, a share. Validation faces, labelled by MediaPipe. "
        f"Published: {published.source}; {published.protocol}."
    )
    return Table("Dense mesh: 478 points by transfer learning", protocol, columns, rows)


def _mesh_figures(split: str) -> tuple[tuple[tuple[str, str], str], ...]:
    return ((("mse", split), ".4e"), ((NME_EYES, split), ".4f"))


def keypoints(runs: Runs, published: Keypoints) -> Table:
    """Tabulate the fourteen points and the mark of the task."""
    run = runs[KEYPOINTS]
    rows: list[tuple[Cell, ...]] = []
    further = [key.removeprefix(KEYPOINTS_ERROR) for key in run.result if key.startswith(KEYPOINTS_ERROR)]
    for split in dict.fromkeys(("val", "afw", *further)):
        error = run.figure(f"{KEYPOINTS_ERROR}{split}")
        reached = None if error is None else mark(error)
        rows.append((_name(split, run), number(error, ".2f"), reached))
    (worst_limit, worst), (best_limit, best) = MARKS[0], MARKS[-1]
    protocol = (
        f"Published: {published.source}; {published.protocol}. Marks go from {worst} (an error of at most "
        f"{worst_limit:g}) to {best} (at most {best_limit:g}); the task prints no error of a solution."
    )
    return Table("Fourteen points", protocol, ("faces of", "error on 100 x 100", "mark"), rows)


def methods(runs: Runs, published: Landmarks) -> Table:
    """Tabulate the best network beside regression trees and heat maps."""
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
    """Return the run of a network with the least inter-ocular error on the test faces."""
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


def number(value: float | None, form: str = ".4f") -> str | None:
    """Format a number; None, which a table shows as a dash, stays None. Four digits suit NMEs."""
    return None if value is None else format(value, form)


def scaled(value: float | None, unit: float, form: str) -> str | None:
    """Format a number in other units: ``value / unit``."""
    return None if value is None else format(value / unit, form)


def change(value: float | None, before: float | None) -> str | None:
    """Format the difference to a previous value, with its sign."""
    return None if value is None or before is None else f"{value - before:+.4f}"


def percent_change(value: float | None, before: float | None) -> str | None:
    """Format the difference to a previous value, in per cent of it."""
    return None if value is None or before is None else f"{100 * (value / before - 1):+.1f}"


def bodies(runs: Mapping[str, Run]) -> Table:
    """Tabulate what the pretrained backbones have learned."""
    rows: list[tuple[Cell, ...]] = [
        (
            str(run.result["backbone"]),
            str(run.result["view"]),
            number(run.figure("size_px"), ".0f"),
            number(run.figure("samples"), ",.0f"),
            scaled(run.figure("train_seconds"), 3600, ".1f"),
            *(number(run.figure("mse", split), ".3e") for split in ("val", "constant")),
            *(number(run.figure(NME_EYES, split)) for split in ("val", "constant")),
        )
        for run in runs.values()
    ]
    protocol = (
        "View: close, as a detector crops; aligned, as FFHQ's portraits. MSE of all 3 · 478 coordinates in "
        "sides of the crop. NME in the plane, by the inter-ocular distance. Mean mesh: of the validation "
        "faces, in the same crops."
    )
    columns = ("backbone", "view", "px", "samples", "hours", "MSE", "mean mesh", "NME", "mean mesh, NME")
    return Table("What they have learned", protocol, columns, rows)
