"""Figures of the reproduction: accuracy against cost and by loss, distributions, regions, learning curves."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from facegeom_lab.evaluation import points
from facegeom_lab.studies.reports.published import Landmarks, Network
from facegeom_lab.studies.reports.runs import (
    HEATMAP,
    LOSSES,
    NME_PUPILS,
    TREES,
    Run,
    Runs,
    network_run,
)
from facegeom_lab.studies.reports.style import COLOURS, GREY, MARKERS, epochs_axis, log_scale, panels
from facegeom_lab.studies.reports.tables import network_runs
from facegeom_lab.training.losses import wing

LOSS_TITLES = {"mse": "Squared error", "wing": "Wing"}
LOSS_COLOURS = {"mse": COLOURS[5], "wing": COLOURS[1]}  # light: numbers are written on them
NME_LABEL = "NME, inter-pupil"
EYES_LABEL = "error, share of the inter-ocular distance"
CED_LIMIT = 0.12
WING_WIDTH_PX, WING_CURVATURE_PX = 15.0, 3.0  # w and ε of the published study

_SPLITS = {"train": ("training", COLOURS[0]), "val": ("validation", COLOURS[3])}

_COSTS: dict[str, tuple[str, float, Callable[[Network], float | None]]] = {
    "CPU, ms": ("cpu_ms", 1, lambda network: network.cpu_ms),
    "GPU, ms": ("gpu_ms", 1, lambda network: network.gpu_ms),
    "GFLOPs (1e9 multiply-adds)": ("macs", 1e9, lambda network: network.gflops),
    "parameters, millions": ("parameters", 1e6, lambda network: network.parameters_millions),
}
"""Label of the axis: key in a result, unit of the axis, the published figure."""

_OTHERS = {HEATMAP: ("heat maps", "black", "--", "P"), TREES: ("regression trees", GREY, ":", "X")}
"""Methods other than regression by a network: label, colour, line, marker."""


def error_against_cost(runs: Runs, published: Landmarks) -> Figure:
    """Plot NME on the test faces against time and size: measured filled, published hollow."""
    figure, every = panels(2, rows=2, share_y=True)
    for axes, (label, cost) in zip(every, _COSTS.items(), strict=True):
        measured = _cost_panel(axes, runs, published, *cost)
        log_scale(axes, "x")
        axes.set_xlabel(label)
        axes.set_title("" if measured else "ours: not measured", color=GREY, fontweight="normal")
    for axes in every[::2]:
        axes.set_ylabel(NME_LABEL)
    handles = [
        Line2D([], [], **_mark(colour, marker), label=network.title)
        for _, network, colour, marker in _network_marks(published)
    ]
    handles.append(Line2D([], [], **_mark(GREY, "o"), label="filled: ours"))
    handles.append(Line2D([], [], **_hollow(GREY, "o"), label="hollow: published"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def losses_side_by_side(runs: Runs, published: Landmarks) -> Figure:
    """Plot the NME of each network with either loss: bars measured, hollow marks published."""
    figure, (axes,) = panels(1, height=3.2)
    handles: list[Any] = []
    for loss, shift in zip(LOSSES, (-0.2, 0.2), strict=True):
        theirs = published.networks if loss == "mse" else published.wing
        for place, key in enumerate(published.networks):
            _bar(axes, place + shift, runs[network_run(key, loss)].figure(NME_PUPILS), LOSS_COLOURS[loss])
            _dot(axes, place + shift, theirs[key].nme if key in theirs else None, **_hollow("black", "D"))
        handles.append(Patch(color=LOSS_COLOURS[loss], label=LOSS_TITLES[loss]))
    handles.append(Line2D([], [], **_hollow("black", "D"), label="published"))
    titles = [network.title for network in published.networks.values()]
    axes.set_xticks(range(len(titles)), titles)
    axes.set(xlim=(-0.5, len(titles) - 0.5), ylabel=NME_LABEL)
    axes.grid(axis="x", visible=False)
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def error_distributions(runs: Runs, published: Landmarks) -> Figure | None:
    """Plot the CED of all networks, a panel for each loss, with other methods; None without errors."""
    figure, every = panels(2, height=3.4)
    drawn = 0
    for axes, loss in zip(every, LOSSES, strict=True):
        for key, network, colour, _ in _network_marks(published):
            drawn += _ced(axes, runs[network_run(key, loss)], color=colour, label=network.title)
        for name, (label, colour, line, _) in _OTHERS.items():
            drawn += _ced(axes, runs[name], color=colour, linestyle=line, label=label)
        axes.axvline(points.THRESHOLD, color=GREY, linewidth=0.8)
        axes.set(xlim=(0, CED_LIMIT), ylim=(0, 100), xlabel=EYES_LABEL, title=LOSS_TITLES[loss])
    every[0].set_ylabel("faces with at most this error, %")
    _shared_legend(figure, every)
    return figure if drawn else None


def region_errors(runs: Runs, published: Landmarks) -> Figure | None:
    """Plot NME by region of the face, a panel for each loss, with other methods; None if not measured."""
    regions = _regions(runs, published)
    if not regions:
        return None
    figure, every = panels(2, height=3.4)
    for axes, loss in zip(every, LOSSES, strict=True):
        shown = [(network_run(k, loss), n.title, _mark(c, m)) for k, n, c, m in _network_marks(published)]
        shown += [(name, label, _mark(c, m)) for name, (label, c, _, m) in _OTHERS.items()]
        for name, label, mark in shown:
            errors = runs[name].regions()
            rows = [regions.index(region) for region in errors]
            axes.plot(list(errors.values()), rows, **mark, label=label if errors else None)
        axes.set(xlabel="NME, share of the inter-ocular distance", title=LOSS_TITLES[loss], xlim=(0, None))
    for axes in every:
        axes.set_yticks(range(len(regions)), [name.replace("_", " ") for name in regions])
        axes.set_ylim(len(regions) - 0.5, -0.5)
    _shared_legend(figure, every)
    return figure


def _network_marks(published: Landmarks) -> Iterable[tuple[str, Network, str, str]]:
    """Return key, network, colour and marker, the same in all figures."""
    return [
        (key, network, colour, marker)
        for (key, network), colour, marker in zip(published.networks.items(), COLOURS, MARKERS, strict=False)
    ]


def _mark(colour: str, marker: str) -> dict[str, Any]:
    return {"color": colour, "marker": marker, "markersize": 6, "linestyle": ""}


def _hollow(colour: str, marker: str) -> dict[str, Any]:
    return _mark(colour, marker) | {"markerfacecolor": "white"}


def _cost_panel(
    axes: Axes,
    runs: Runs,
    published: Landmarks,
    key: str,
    unit: float,
    theirs: Callable[[Network], float | None],
) -> bool:
    """Plot one cost of all networks against their NME; return whether any of ours was measured."""
    measured = False
    for name, network, colour, marker in _network_marks(published):
        run = runs[network_run(name, "mse")]
        cost = run.figure(key)
        measured |= _dot(axes, cost and cost / unit, run.figure(NME_PUPILS), **_mark(colour, marker))
        _dot(axes, theirs(network), network.nme, **_hollow(colour, marker))
    return measured


def _dot(axes: Axes, x: float | None, y: float | None, **style: Any) -> bool:
    """Draw a mark if both coordinates are known; return whether they are."""
    if x is None or y is None:
        return False
    axes.plot(x, y, **style)
    return True


def _bar(axes: Axes, place: float, height: float | None, colour: str) -> None:
    """Draw a bar with its number at its foot, where no mark hides it."""
    axes.bar(place, height or 0, 0.38, color=colour)
    text = "not run" if height is None else f"{height:.4f}"
    axes.annotate(text, (place, 0), (0, 3), textcoords="offset points", ha="center", fontsize=7)


def _ced(axes: Axes, run: Run, **style: Any) -> bool:
    errors = run.face_errors("interocular")
    if errors is None:
        return False
    levels, shares = points.ced(np.array(list(errors.values())))
    axes.plot(levels, 100 * shares, drawstyle="steps-post", **style)
    return True


def _regions(runs: Runs, published: Landmarks) -> list[str]:
    """Return the regions that any run was measured on, in the order of their schemes."""
    names = [*network_runs(published), *_OTHERS]
    return list(dict.fromkeys(region for name in names for region in runs[name].regions()))


def _shared_legend(figure: Figure, every: Sequence[Axes]) -> None:
    """Draw one legend for all panels, below them."""
    handles = {
        label: handle
        for axes in every
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)


def learning_rate(run: Run) -> Figure | None:
    """Plot the learning rate of a run over its epochs; None if not logged."""
    if "lr" not in run.curves:
        return None
    figure, (axes,) = panels(1, width=4.6, height=2.8)
    known = ~np.isnan(run.curves["lr"])
    axes.plot(run.curves["epoch"][known], run.curves["lr"][known], drawstyle="steps-mid", color=COLOURS[0])
    axes.set_yscale("log")
    epochs_axis(axes)
    axes.set_ylabel("learning rate")
    return figure


def learning_curves(run: Run) -> Figure | None:
    """Plot loss and NME of a run over its epochs; None if neither was logged."""
    figure, (left, right) = panels(2)
    drawn = [_curves(left, run, "loss"), _curves(right, run, "nme")]
    if not any(drawn):
        return None
    left.set_title("Loss")
    left.set_ylabel("loss")
    right.set_title(f"Error{_mark_least(right, run)}")
    right.set_ylabel("NME")
    return figure


def loss_functions() -> Figure:
    """Plot Wing and the squared error of one coordinate over the error in pixels."""
    error = torch.linspace(-30, 30, 601)
    figure, (axes,) = panels(1, width=4.6, height=2.8)
    axes.plot(error, error**2, color=COLOURS[0], label="squared error")
    label = f"Wing, w = {WING_WIDTH_PX:g}, ε = {WING_CURVATURE_PX:g}"
    axes.plot(
        error,
        wing(error.abs(), WING_WIDTH_PX, WING_CURVATURE_PX),
        color=COLOURS[3],
        linestyle="--",
        label=label,
    )
    axes.set_ylim(0, 60)
    axes.set_xlabel("error, px")
    axes.set_ylabel("loss")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def _curves(axes: Axes, run: Run, quantity: str) -> bool:
    """Plot training and validation over the epochs; return whether anything was logged."""
    for split, (label, colour) in _SPLITS.items():
        values = run.curves.get(f"{split}/{quantity}")
        if values is not None:
            known = ~np.isnan(values)
            axes.plot(run.curves["epoch"][known], values[known], color=colour, label=label)
    epochs_axis(axes)
    if not axes.lines:
        return False
    log_scale(axes, "y")
    axes.legend(loc="upper right")
    return True


def _mark_least(axes: Axes, run: Run) -> str:
    """Mark the least validation error; return the text for the title."""
    values = run.curves.get("val/nme")
    if values is None or np.isnan(values).all():
        return ""
    best = int(np.nanargmin(values))
    epoch = run.curves["epoch"][best]
    axes.plot(epoch, values[best], "o", color=_SPLITS["val"][1])
    return f": least {values[best]:.4f}, epoch {epoch:.0f}"
