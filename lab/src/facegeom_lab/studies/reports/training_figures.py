"""Figures of trainings: learning rate, loss and error over the epochs, the two losses as functions."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegeom_lab.studies.reports.runs import Run
from facegeom_lab.studies.reports.style import COLOURS, epochs_axis, log_scale, panels
from facegeom_lab.training.losses import wing

WIDTH_PX, CURVATURE_PX = 15.0, 3.0  # the study's w and ε

_SPLITS = {"train": ("training", COLOURS[0]), "val": ("validation", COLOURS[3])}


def learning_rate(run: Run) -> Figure | None:
    """Learning rate of a run over its epochs; None where none was logged."""
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
    """Loss and NME of a run over its epochs; None where neither was logged."""
    figure, (left, right) = panels(2)
    drawn = [_curves(left, run, "loss"), _curves(right, run, "nme")]
    if not any(drawn):
        return None
    left.set_title("Loss")
    left.set_ylabel("loss")
    right.set_title(f"Error{_least(right, run)}")
    right.set_ylabel("NME")
    return figure


def losses() -> Figure:
    """Wing and the squared error of one coordinate, as functions of the error in pixels."""
    error = torch.linspace(-30, 30, 601)
    figure, (axes,) = panels(1, width=4.6, height=2.8)
    axes.plot(error, error**2, color=COLOURS[0], label="squared error")
    label = f"Wing, w = {WIDTH_PX:g}, ε = {CURVATURE_PX:g}"
    axes.plot(error, wing(error.abs(), WIDTH_PX, CURVATURE_PX), color=COLOURS[3], linestyle="--", label=label)
    axes.set_ylim(0, 60)
    axes.set_xlabel("error, px")
    axes.set_ylabel("loss")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def _curves(axes: Axes, run: Run, quantity: str) -> bool:
    """Training and validation over the epochs; whether there was anything to draw."""
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


def _least(axes: Axes, run: Run) -> str:
    """Mark the least error of validation; the words for it."""
    values = run.curves.get("val/nme")
    if values is None or np.isnan(values).all():
        return ""
    best = int(np.nanargmin(values))
    epoch = run.curves["epoch"][best]
    axes.plot(epoch, values[best], "o", color=_SPLITS["val"][1])
    return f": least {values[best]:.4f}, epoch {epoch:.0f}"
