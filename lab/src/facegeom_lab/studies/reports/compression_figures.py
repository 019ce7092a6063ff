"""Figures of the comparison of small and fast networks: accuracy against size and against time."""

from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegeom_lab.studies.reports.compression_rows import MEGA, Measured
from facegeom_lab.studies.reports.published import Compression
from facegeom_lab.studies.reports.style import COLOURS, GREY, MARKERS, log_scale, panels, render

FIGURES = "figures"
CAPTIONS = {
    "size": "Accuracy against size on disk",
    "time": "Accuracy against the time of one picture",
}


def figures(rows: dict[str, Measured], published: Compression, out: Path) -> str:
    """Write both figures below ``out``; the Markdown that shows them, nothing of one that has no point."""
    blocks = []
    for what, caption in CAPTIONS.items():
        name = f"compression-{what}"
        if render(partial(_against, rows, published, what), out / FIGURES, name):
            link = f"[![{caption}]({FIGURES}/{name}.png)]({FIGURES}/{name}.svg)"
            blocks.append(f"{link}\n\n*{caption}*: ours filled, published hollow.")
    return "\n\n".join(blocks)


def _against(rows: dict[str, Measured], published: Compression, what: str) -> Figure | None:
    """Accuracy of all rows against MB or milliseconds."""
    figure, (axes,) = panels(1, height=5.0)
    drawn = 0
    for number, (name, row) in enumerate(rows.items()):
        look: dict[str, Any] = {
            "color": COLOURS[number % len(COLOURS)],
            "marker": MARKERS[number // len(COLOURS) % len(MARKERS)],
        }
        ours = row.figures["file_bytes"] / MEGA if what == "size" else row.onnx_ms
        theirs = published.results.get(name)
        if ours:
            axes.plot(ours, row.figures["accuracy"], linestyle="", label=row.title, **look)
            drawn += 1
        if theirs:
            cost = theirs.megabytes if what == "size" else theirs.run_ms
            axes.plot(cost, theirs.accuracy, linestyle="", fillstyle="none", alpha=0.7, **look)
    _label(axes, what)
    figure.legend(loc="outside lower center", ncols=2)
    return figure if drawn else None


def _label(axes: Axes, what: str) -> None:
    axes.set_xlabel("MB on disk" if what == "size" else "ms for one picture, one thread (ONNX Runtime)")
    axes.set_ylabel("accuracy, %", color=GREY)
    log_scale(axes, "x")
