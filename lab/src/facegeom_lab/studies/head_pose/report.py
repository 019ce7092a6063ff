"""The page of the study of FPNet: tables, sentences and figures from ``study.json`` and the runs' logs."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegeom.export.files import write
from facegeom_lab.evaluation.run import read_metrics, read_result
from facegeom_lab.measures.tables import Cell, Table
from facegeom_lab.studies.head_pose.study import (
    FACE_NETWORK,
    FILE,
    FRACTIONS,
    SETS,
    TARGETS,
    TEACHER,
    name_of,
)
from facegeom_lab.studies.reports.comparison import Difference, verdict
from facegeom_lab.studies.reports.style import COLOURS, GREY, MARKERS, epochs_axis, panels, render
from facegeom_lab.training.provenance import KEY, page_lines

OWN = {name_of(target, mining) for target in TARGETS for mining in FRACTIONS}
"""Names of the study's own runs; others carry the names of their folders."""

PAGE, FIGURES = "pose-study.md", "figures"

_INTRODUCTION = """\
# FPNet: a study of its training

FPNet replaces MTCNN's third stage and predicts the direction of a head. It learns from a teacher by
distillation. Two choices of its method are tested here, each against the plain alternative: only the **middle
60 %** of every batch by loss counts (neither the easiest samples nor the most extreme ones), and the targets
are the teacher's **two raw vectors** instead of angles. Four trainings of one budget differ in nothing else.
Beside them stand runs of whole recipes: `fpnet-published` has the published numbers (the middle 60 % of the
whole batch, rate 0.01 · 0.83^(epoch - 1), 30 epochs), `fpnet` is the recipe of the network that ships.

`facegeom lab pose-study` runs the trainings; `facegeom lab pose-report runs/pose-study -o docs` writes this
page. How to use the network: [head directions](pose.md)."""

_PROTOCOL = (
    "Windows of P-Net and R-Net around faces whose rotation is known; every system is asked about the same "
    "faces. Mean absolute errors in degrees; geodesic: angle of the turn between the true and the given "
    "rotation; to the teacher: the same between the teacher's and the system's."
)
_TRUTH = {
    "val": "True rotation: the canonical head laid on MediaPipe's mesh, of photos not trained on.",
    "heads": "True rotation: exact; heads, lights and backgrounds not trained on.",
}


def report(study: Path, out: Path) -> Path:
    """Write ``out/pose-study.md`` and its figures.

    Args:
        study: folder of ``facegeom lab pose-study``.
        out: folder to write into.

    Raises:
        InputError: the study is not finished, or a file of it is damaged.
        OutputError: the folder cannot be written.
    """
    figures = read_result(study, FILE, "pose-study")
    stamps = page_lines({FILE: figures.get(KEY, {})})
    blocks = [_INTRODUCTION, stamps, *_sections(figures, study, out / FIGURES)]
    write(out / PAGE, ("\n\n".join(block.strip() for block in blocks) + "\n").encode())
    return out / PAGE


def _sections(figures: Mapping[str, Any], study: Path, folder: Path) -> Iterable[str]:
    yield _trainings(figures).markdown()
    yield _goal(figures)
    caption = "Mean geodesic error on the validation windows, against the teacher's answers, over the epochs"
    own = [name for name in figures["runs"] if name in OWN]
    yield _figure(folder, "pose-study-curves", caption, partial(curves, study, own))
    for name, measured in figures["sets"].items():
        yield errors_table(name, measured, figures["teacher"]).markdown()
        yield "\n".join(f"- {sentence(difference)}" for difference in measured["differences"])
    caption = "Mean geodesic error by the size of the true yaw"
    yield _figure(folder, "pose-study-by-yaw", caption, partial(by_yaw, figures["sets"], figures["teacher"]))


def _figure(folder: Path, name: str, caption: str, draw: partial[Figure]) -> str:
    render(draw, folder, name)
    return f"[![{caption}]({FIGURES}/{name}.png)]({FIGURES}/{name}.svg)\n\n*{caption}*"


def title(system: str, teacher: str) -> str:
    """Return the name of a system on the page."""
    if system == TEACHER:
        return f"the teacher, {teacher}"
    if system == FACE_NETWORK:
        return "the face network"
    if system not in OWN:
        return f"FPNet, {system}"
    target, mining = system.split("-")
    return f"FPNet, {target}, {'middle 60 %' if mining == 'mined' else 'all samples'}"


def _goal(figures: Mapping[str, Any]) -> str:
    """Return a line: how far the best student of vectors is from its teacher on held-out windows."""
    found = {
        name: run["student_to_teacher_deg"] for name, run in figures["runs"].items() if "angles" not in name
    }
    best = min(found, key=found.__getitem__)
    return (
        f"The student nearest to its teacher on the validation windows is **{title(best, '')}**: "
        f"{found[best]:.2f}° away in the mean; the goal is 4°."
    )


def _trainings(figures: Mapping[str, Any]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            title(name, ""),
            run["epochs"],
            run["samples"],
            run["train_seconds"] / 60,
            100 * run["accuracy"],
            100 * run["spread"],
            "yes" if run["collapsed"] else "no",
        )
        for name, run in figures["runs"].items()
    ]
    one = next(iter(figures["runs"].values()))
    protocol = (
        f"Teacher: {figures['teacher']}. The recipe `fpnet` with {figures['epochs']} epochs; other rows as "
        "their recipes say. The network has "
        f"{one['parameters'] / 1e6:.2f} million parameters and takes {one['macs'] / 1e6:.1f} million "
        "multiply-adds a window. Told right: validation windows whose score is on the right side of ½. "
        "Spread: standard deviation of the answers by that of the targets; below 30 % the network has "
        "collapsed to the mean."
    )
    columns = ("training", "epochs", "samples", "minutes", "told right, %", "spread, %", "collapsed")
    return Table("The four trainings", protocol, columns, rows)


def errors_table(name: str, measured: Mapping[str, Any], teacher: str) -> Table:
    """Tabulate the errors of all systems on one set, a row for each range of yaw."""
    keys = ("faces", "yaw", "pitch", "roll", "geodesic", "to_teacher")
    rows: list[tuple[Cell, ...]] = [
        (_range(band), title(system, teacher), *(values[key] for key in keys))
        for band in next(iter(measured["systems"].values()))
        for system, values in ((system, bands[band]) for system, bands in measured["systems"].items())
    ]
    columns = ("yaw", "system", "faces", "yaw °", "pitch °", "roll °", "geodesic °", "to the teacher °")
    return Table(f"Errors: {SETS[name]}", f"{_PROTOCOL} {_TRUTH[name]}", columns, rows)


def _range(band: str) -> str:
    return band if band == "all" else f"±({band.replace('-', '° to ')}°)"


def sentence(values: Mapping[str, Any]) -> str:
    """Return a line of Markdown: two mean errors, the interval of their difference, a verdict."""
    found = Difference(
        values["error"], values["baseline"], values["low"], values["high"], int(values["faces"])
    )
    return (
        f"**{values['title']}**: {found.nme:.2f}° against {found.baseline:.2f}°, {found.change:+.2f}° (95 % "
        f"interval {found.low:+.2f}° to {found.high:+.2f}°, {found.faces} faces). {verdict(found)}"
    )


def curves(study: Path, names: Iterable[str]) -> Figure:
    """Plot the validation error of the runs over their epochs."""
    figure, (axes,) = panels(1, width=4.6, height=2.8)
    for name, colour, marker in zip(names, COLOURS, MARKERS, strict=False):
        log = read_metrics(study / name)
        known = ~np.isnan(log["val/geodesic_deg"])
        axes.plot(
            log["epoch"][known],
            log["val/geodesic_deg"][known],
            color=colour,
            marker=marker,
            markersize=3,
            label=title(name, ""),
        )
    epochs_axis(axes)
    axes.set_ylabel("error against the teacher, °")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def by_yaw(sets: Mapping[str, Any], teacher: str) -> Figure:
    """Plot the geodesic error of every system by range of yaw, a panel for each set."""
    figure, every = panels(len(sets), height=3.2)
    for axes, (name, measured) in zip(every, sets.items(), strict=True):
        _by_yaw_panel(axes, measured["systems"], teacher)
        axes.set_title(SETS[name])
    every[0].set_ylabel("geodesic error, °")
    figure.legend(*every[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _by_yaw_panel(axes: Axes, systems: Mapping[str, Any], teacher: str) -> None:
    bands = [band for band in next(iter(systems.values())) if band != "all"]
    for (name, values), colour, marker in zip(systems.items(), COLOURS, MARKERS, strict=False):
        student = name not in (TEACHER, FACE_NETWORK)
        axes.plot(
            range(len(bands)),
            [values[band]["geodesic"] for band in bands],
            color=colour if student else ("black" if name == TEACHER else GREY),
            marker=marker,
            linestyle="-" if student else "--",
            label=title(name, teacher),
        )
    axes.set_xticks(range(len(bands)), [f"{band}°" for band in bands])
    axes.set_xlabel("size of the true yaw")
    axes.set_ylim(bottom=0)
