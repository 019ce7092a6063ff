"""Style and output of the figures: the same numbers give the same files, byte for byte."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from facegeom.export.files import write

# Okabe and Ito's colours (2008), distinguishable with any colour vision; the markers distinguish in grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#666666"
NARROW, WIDE = 2, 20  # ratios high / low of the data

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "figure.dpi": 150,
    "svg.hashsalt": "facegeom",
}


def panels(
    columns: int, rows: int = 1, width: float = 7.4, height: float = 2.9, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """Create a figure with panels in rows; ``height`` inches for each row."""
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, sharey=share_y).flat)


def log_scale(axes: Axes, name: str) -> None:
    """Make the x or y axis logarithmic, with plain numbers; a narrow range of data stays linear."""
    axis = axes.xaxis if name == "x" else axes.yaxis
    low, high = axis.get_data_interval()
    if not high > NARROW * low > 0:
        return
    axes.set(**{f"{name}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > WIDE * low else (1, 1.5, 2, 3, 5, 7)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def epochs_axis(axes: Axes) -> None:
    """Label the x axis with whole numbers of epochs."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def render(draw: Callable[[], Figure | None], folder: Path, name: str) -> bool:
    """Draw a figure and write ``name.png`` and ``name.svg``, each atomically.

    Returns:
        False if there was nothing to draw.

    Raises:
        OutputError: the folder cannot be written.
    """
    with matplotlib.rc_context(STYLE):
        figure = draw()
        if figure is None:
            return False
        png, svg = BytesIO(), BytesIO()
        FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
        figure.set_layout_engine("none")  # keep the computed layout: both formats look the same
        FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})
    write(folder / f"{name}.png", png.getvalue())
    write(folder / f"{name}.svg", svg.getvalue())
    return True
