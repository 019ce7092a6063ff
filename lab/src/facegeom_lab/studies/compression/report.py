"""The page of the comparison of small and fast networks: tables and figures beside the published ones."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegeom.errors import InputError
from facegeom.export.files import write
from facegeom_lab.evaluation.run import RESULT
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.studies.compression.conclusions import (
    BASELINE,
    MeasuredRow,
    baseline,
    conclusions,
    interval,
    notes,
)
from facegeom_lab.studies.compression.study import ROWS, TIMES, Row
from facegeom_lab.studies.reports.published import Compression, load
from facegeom_lab.studies.reports.style import COLOURS, GREY, MARKERS, log_scale, panels, render
from facegeom_lab.training.provenance import KEY, page_lines

FILE, FIGURES, VARIANTS = "compression.md", "figures", "variants/quantise.json"
MEGA = 1e6
CAPTIONS = {
    "size": "Accuracy against size on disk",
    "time": "Accuracy against the time of one picture",
}

_INTRODUCTION = """\
# Small and fast networks

Every method on one task, with an equal budget of training each. *Ours* is measured by `facegeom lab
compress-study`, *published* is what the work named below prints; a dash stands where there is no figure.
`facegeom lab report-compression RUNS -o docs` writes this page.

## Task, budget, methods

Eight classes of head direction at 96 pixels: the compass point that the nose points at in the picture, by
sectors of 45 degrees. Heads that look straight ahead (within 12 degrees) or lie within 5 degrees of a
sector's edge are left out. Faces come from the data pack (rotations: mesh against canonical head), profiled
faces and rendered heads; people do not cross the splits. Accuracy is the mean over the classes of the share
of right answers, so that rare directions count fully. Intervals are 95 % bootstrap intervals over the
validation faces.

Methods that start from a trained network had that network's training before their own. So they are compared
with the rows *the same training again*: the same network, trained as long, with nothing made smaller.
VGG-S has batch normalisation in place of
response normalisation, and smaller matrix products than at 224 pixels. Each method is described in its module
in `lab/src/facegeom_lab/studies/compression`."""


def report(runs: Path, out: Path) -> Path:
    """Write ``out/compression.md`` and its figures.

    Args:
        runs: folder of ``facegeom lab compress-study``; in it ``variants``, that of ``quantise``.
        out: folder to write into.

    Raises:
        InputError: no finished row in ``runs``.
        OutputError: the folder cannot be written.
    """
    rows, about, bits, steps = collect(runs)
    published = load().compression
    blocks = [
        _INTRODUCTION,
        page_lines({name: row.figures.get(KEY, {}) for name, row in rows.items()}),
        _setting(rows, about),
        results(rows, published).markdown(),
        figures(rows, published, out),
        memory(rows, published).markdown(),
        "## What the rows say",
        "\n".join(f"- {line}" for line in sentences(rows)),
        "## The published conclusions",
        "\n".join(f"{number}. {line}" for number, line in enumerate(conclusions(rows, bits), 1)),
        *notes(rows, steps),
        *([bit_products(bits).markdown()] if bits else []),
        *variants(runs / VARIANTS),
    ]
    write(out / FILE, ("\n\n".join(block.strip() for block in blocks) + "\n").encode())
    return out / FILE


Collected = tuple[dict[str, MeasuredRow], dict[str, str], dict[str, dict[str, float]], dict[str, float]]


def collect(runs: Path) -> Collected:
    """Return the finished rows by name, the machine, the times of the bit products and of training steps.

    Raises:
        InputError: no row is finished.
    """
    finished = [row for row in ROWS if (runs / row.name / RESULT).is_file()]
    if not finished:
        raise InputError(f"expected rows of `facegeom lab compress-study` in {runs}, found none")
    file = runs / TIMES
    times = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return (
        {row.name: _read_row(row, runs, times.get("onnx_ms", {}).get(row.name)) for row in finished},
        times.get("about", {}),
        times.get("bits", {}),
        times.get("steps_ms", {}),
    )


def _read_row(row: Row, runs: Path, onnx_ms: float | None) -> MeasuredRow:
    figures = json.loads((runs / row.name / RESULT).read_text(encoding="utf-8"))
    with np.load(runs / row.name / "predictions_val.npz") as arrays:
        classes, predictions = arrays["classes"], arrays["answers"]
    return MeasuredRow(row, figures, onnx_ms, classes, predictions == classes)


def _setting(rows: dict[str, MeasuredRow], about: dict[str, str]) -> str:
    samples = sorted({row.figures["samples"] for row in rows.values() if row.figures["samples"]})
    spent = ", ".join(f"{count:,}" for count in samples)
    faces = next(iter(rows.values())).figures["faces"]
    missing = [row.name for row in ROWS if row.name not in rows]
    lines = [f"- pictures seen in training by each row: {spent}; validation faces: {faces}"]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    return "\n".join([*lines, *([f"- not run: {', '.join(missing)}"] if missing else [])])


def results(rows: dict[str, MeasuredRow], published: Compression) -> Table:
    """Tabulate training and run times, size and accuracy of every row."""
    table: list[tuple[Cell, ...]] = []
    for name, row in rows.items():
        theirs = published.results.get(name)
        figures = row.figures
        table.append(
            (
                row.title,
                figures["training_ms"],
                figures["torch_ms"],
                row.onnx_ms,
                figures["file_bytes"] / MEGA,
                figures["macs"] / MEGA,
                figures["accuracy"],
                _against(row, baseline(row, rows)),
                *(
                    (theirs.training_ms, theirs.run_ms, theirs.megabytes, theirs.accuracy)
                    if theirs
                    else (None,) * 4
                ),
            )
        )
    protocol = (
        "Training: median of a step for each picture. Run: one picture, one thread, by PyTorch as the method "
        "is trained and by ONNX Runtime as it is exported, all rows taking turns; BranchyNet's is the mean "
        "over the validation faces. Size: the file that is decoded back bit for bit; "
        "eight bits: the ONNX file. Baseline: the same training again where a row had two trainings, else "
        "its start, or VGG-S. "
        f"Published: {published.source}; {published.protocol}."
    )
    columns = ("method", "training, ms", "run, ms (torch)", "run, ms (ONNX)", "MB", "multiply-adds, M")
    theirs_columns = ("published: training, ms", "run, ms", "MB", "accuracy, %")
    ours = (*columns, "accuracy, %", "against its baseline, points")
    return Table("Time, size, accuracy", protocol, (*ours, *theirs_columns), table)


def _against(row: MeasuredRow, base: MeasuredRow | None) -> str | None:
    if base is None or base is row:
        return None
    return f"{row.figures['accuracy'] - base.figures['accuracy']:+.1f}"


def memory(rows: dict[str, MeasuredRow], published: Compression) -> Table:
    """Tabulate the memory and the time of VGG-S divided by those of each row."""
    table: list[tuple[Cell, ...]] = []
    base = rows.get(BASELINE)
    for name, row in rows.items():
        theirs = published.memory.get(name)
        cells = (theirs.training, theirs.use, theirs.faster) if theirs else (None,) * 3
        table.append((row.title, *_ratios(row, base), *cells))
    protocol = (
        "Against VGG-S. Training: parameters, gradients, Adam's two moments and what the forward pass of two "
        "pictures keeps for the backward one. On disk: the file. In memory: parameters and buffers when the "
        "network runs. Faster: ONNX Runtime, one picture, one thread. Published: as the methods' authors "
        "state it, each for another network."
    )
    columns = (
        "method",
        "training, times less",
        "on disk, times less",
        "in memory, times less",
        "times faster",
    )
    theirs_columns = ("published: training", "in use", "faster")
    return Table("Memory", protocol, (*columns, *theirs_columns), table)


def _ratios(row: MeasuredRow, base: MeasuredRow | None) -> tuple[Cell, ...]:
    if base is None:
        return (None,) * 4
    keys = ("training_bytes", "file_bytes", "resident_bytes")
    faster = base.onnx_ms / row.onnx_ms if base.onnx_ms and row.onnx_ms else None
    return (*(base.figures[key] / row.figures[key] for key in keys), faster)


def sentences(rows: dict[str, MeasuredRow]) -> Sequence[str]:
    """Compare each row with its baseline; see :func:`baseline`."""
    lines = []
    for row in rows.values():
        base = baseline(row, rows)
        if base is not None and base is not row:
            lines.append(_comparison(row, base))
        if "exit_shares" in row.figures:
            lines.append(_exits_sentence(row))
    return lines


def _comparison(row: MeasuredRow, base: MeasuredRow) -> str:
    smaller = base.figures["file_bytes"] / row.figures["file_bytes"]
    fewer = base.figures["macs"] / row.figures["macs"]
    low, high = interval(row, base)
    change = row.figures["accuracy"] - base.figures["accuracy"]
    return (
        f"**{row.title}** against {base.title}: {smaller:.1f} times smaller on disk, {fewer:.1f} times fewer "
        f"multiply-adds, accuracy {change:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})."
    )


def _exits_sentence(row: MeasuredRow) -> str:
    shares = row.figures["exit_shares"]
    early = 100 * sum(shares[:-1])
    each = ", ".join(f"{100 * share:.0f} %" for share in shares)
    time = f"{row.onnx_ms:.2f} ms in ONNX Runtime" if row.onnx_ms else "not measured"
    return (
        f"**{row.title}**: {early:.0f} % of the faces leave early (exits: {each}); mean time {time}; "
        f"accuracy {row.figures['accuracy']:.1f} %, were all to go to the end "
        f"{row.figures['full_accuracy']:.1f} %."
    )


def variants(file: Path) -> list[str]:
    """Return the tables of ``facegeom lab quantise`` as Markdown; none where it was not run."""
    if not file.is_file():
        return []
    saved = json.loads(file.read_text(encoding="utf-8"))
    tables = [Table(**{**table, "title": f"{saved['title']}: {table['title']}"}) for table in saved["tables"]]
    return [table.markdown() for table in tables]


def bit_products(bits: dict[str, dict[str, float]]) -> Table:
    """Tabulate the times of bit operations and of floats."""
    table: list[tuple[Cell, ...]] = [
        (title, row["bits_ms"], row["floats_ms"], row["floats_ms"] / row["bits_ms"], 32.0)
        for title, row in bits.items()
    ]
    protocol = (
        "Products of ±1 by XNOR and a count of ones, 64 at a time (compiled by numba, one thread, "
        "activations packed within the time), beside numpy's float32 product (BLAS); both give the same "
        "integers. Memory: weights."
    )
    columns = ("product", "bits, ms", "float32, ms", "times faster", "times less memory")
    return Table("Binary layers as bit operations", protocol, columns, table)


def figures(rows: dict[str, MeasuredRow], published: Compression, out: Path) -> str:
    """Write both figures below ``out``; return the Markdown that shows those with points."""
    blocks = []
    for what, caption in CAPTIONS.items():
        name = f"compression-{what}"
        if render(partial(_accuracy_against, rows, published, what), out / FIGURES, name):
            link = f"[![{caption}]({FIGURES}/{name}.png)]({FIGURES}/{name}.svg)"
            blocks.append(f"{link}\n\n*{caption}*: ours filled, published hollow.")
    return "\n\n".join(blocks)


def _accuracy_against(rows: dict[str, MeasuredRow], published: Compression, what: str) -> Figure | None:
    """Plot the accuracy of all rows against their size in MB or their time in milliseconds."""
    figure, (axes,) = panels(1, height=5.0)
    drawn = 0
    for number, (name, row) in enumerate(rows.items()):
        marker: dict[str, Any] = {
            "color": COLOURS[number % len(COLOURS)],
            "marker": MARKERS[number // len(COLOURS) % len(MARKERS)],
        }
        ours = row.figures["file_bytes"] / MEGA if what == "size" else row.onnx_ms
        theirs = published.results.get(name)
        if ours:
            axes.plot(ours, row.figures["accuracy"], linestyle="", label=row.title, **marker)
            drawn += 1
        if theirs:
            cost = theirs.megabytes if what == "size" else theirs.run_ms
            axes.plot(cost, theirs.accuracy, linestyle="", fillstyle="none", alpha=0.7, **marker)
    _label(axes, what)
    figure.legend(loc="outside lower center", ncols=2)
    return figure if drawn else None


def _label(axes: Axes, what: str) -> None:
    axes.set_xlabel("MB on disk" if what == "size" else "ms for one picture, one thread (ONNX Runtime)")
    axes.set_ylabel("accuracy, %", color=GREY)
    log_scale(axes, "x")
