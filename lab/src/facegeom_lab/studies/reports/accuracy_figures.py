"""Figures of accuracy: error against cost, the two losses, distribution of errors, regions of the face."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
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
from facegeom_lab.studies.reports.style import COLOURS, GREY, MARKERS, log_scale, panels
from facegeom_lab.studies.reports.tables import network_runs

LOSS_TITLES = {"mse": "Squared error", "wing": "Wing"}
LOSS_COLOURS = {"mse": COLOURS[5], "wing": COLOURS[1]}  # light: numbers stand on them
NME_LABEL = "NME, inter-pupil"
EYES_LABEL = "error, share of the inter-ocular distance"
CED_LIMIT = 0.12

_COSTS: dict[str, tuple[str, float, Callable[[Network], float | None]]] = {
    "CPU, ms": ("cpu_ms", 1, lambda network: network.cpu_ms),
    "GPU, ms": ("gpu_ms", 1, lambda network: network.gpu_ms),
    "GFLOPs (1e9 multiply-adds)": ("macs", 1e9, lambda network: network.gflops),
    "parameters, millions": ("parameters", 1e6, lambda network: network.parameters_millions),
}
"""Label of the axis: key in a result, unit of the axis, the published figure."""

_OTHERS = {HEATMAP: ("heat maps", "black", "--", "P"), TREES: ("regression trees", GREY, ":", "X")}
"""Methods that are no regression by a network: label, colour, line, marker."""


def error_against_cost(runs: Runs, published: Landmarks) -> Figure:
    """NME on the test faces against time and size: measured filled, published hollow."""
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
        for _, network, colour, marker in _looks(published)
    ]
    handles.append(Line2D([], [], **_mark(GREY, "o"), label="filled: ours"))
    handles.append(Line2D([], [], **_hollow(GREY, "o"), label="hollow: published"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def losses_side_by_side(runs: Runs, published: Landmarks) -> Figure:
    """NME of each network with either loss: bars measured, hollow marks published."""
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
    """CED of all networks, a panel for each loss, other methods in both; None without predictions."""
    figure, every = panels(2, height=3.4)
    drawn = 0
    for axes, loss in zip(every, LOSSES, strict=True):
        for key, network, colour, _ in _looks(published):
            drawn += _ced(axes, runs[network_run(key, loss)], color=colour, label=network.title)
        for name, (label, colour, line, _) in _OTHERS.items():
            drawn += _ced(axes, runs[name], color=colour, linestyle=line, label=label)
        axes.axvline(points.THRESHOLD, color=GREY, linewidth=0.8)
        axes.set(xlim=(0, CED_LIMIT), ylim=(0, 100), xlabel=EYES_LABEL, title=LOSS_TITLES[loss])
    every[0].set_ylabel("faces with at most this error, %")
    _shared_legend(figure, every)
    return figure if drawn else None


def region_errors(runs: Runs, published: Landmarks) -> Figure | None:
    """NME by region of the face, a panel for each loss, other methods in both; None where not measured."""
    regions = _regions(runs, published)
    if not regions:
        return None
    figure, every = panels(2, height=3.4)
    for axes, loss in zip(every, LOSSES, strict=True):
        shown = [(network_run(k, loss), n.title, _mark(c, m)) for k, n, c, m in _looks(published)]
        shown += [(name, label, _mark(c, m)) for name, (label, c, _, m) in _OTHERS.items()]
        for name, label, look in shown:
            errors = runs[name].regions()
            rows = [regions.index(region) for region in errors]
            axes.plot(list(errors.values()), rows, **look, label=label if errors else None)
        axes.set(xlabel="NME, share of the inter-ocular distance", title=LOSS_TITLES[loss], xlim=(0, None))
    for axes in every:
        axes.set_yticks(range(len(regions)), [name.replace("_", " ") for name in regions])
        axes.set_ylim(len(regions) - 0.5, -0.5)
    _shared_legend(figure, every)
    return figure


def _looks(published: Landmarks) -> Iterable[tuple[str, Network, str, str]]:
    """Key, network, colour and marker: the same in all figures."""
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
    """One cost of all networks against their NME; whether one of ours has it."""
    measured = False
    for name, network, colour, marker in _looks(published):
        run = runs[network_run(name, "mse")]
        cost = run.figure(key)
        measured |= _dot(axes, cost and cost / unit, run.figure(NME_PUPILS), **_mark(colour, marker))
        _dot(axes, theirs(network), network.nme, **_hollow(colour, marker))
    return measured


def _dot(axes: Axes, x: float | None, y: float | None, **look: Any) -> bool:
    """Draw a mark where both coordinates are known; whether they are."""
    if x is None or y is None:
        return False
    axes.plot(x, y, **look)
    return True


def _bar(axes: Axes, place: float, height: float | None, colour: str) -> None:
    """A bar with its number at its foot, where no mark hides it."""
    axes.bar(place, height or 0, 0.38, color=colour)
    text = "not run" if height is None else f"{height:.4f}"
    axes.annotate(text, (place, 0), (0, 3), textcoords="offset points", ha="center", fontsize=7)


def _ced(axes: Axes, run: Run, **look: Any) -> bool:
    errors = run.face_errors("interocular")
    if errors is None:
        return False
    levels, shares = points.ced(np.array(list(errors.values())))
    axes.plot(levels, 100 * shares, drawstyle="steps-post", **look)
    return True


def _regions(runs: Runs, published: Landmarks) -> list[str]:
    """Regions that a run was measured on, in the order of their schemes."""
    names = [*network_runs(published), *_OTHERS]
    return list(dict.fromkeys(region for name in names for region in runs[name].regions()))


def _shared_legend(figure: Figure, every: Sequence[Axes]) -> None:
    """One legend for panels that show the same things, below them."""
    handles = {
        label: handle
        for axes in every
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
