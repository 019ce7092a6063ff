"""Figures of the two depth networks, after figures 5 to 14 of the published study."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from facegeom_lab.datasets.depth_classes import CLASSES, NEAREST_MM, STEP_MM
from facegeom_lab.networks.depth import DepthClasses
from facegeom_lab.studies.depth.predictions import DepthPredictions
from facegeom_lab.studies.depth.views import error_image, map_image, rotated_surface
from facegeom_lab.studies.reports.style import COLOURS, epochs_axis, panels

Curves = dict[str, NDArray[np.floating]]
Image = NDArray[np.uint8]

SHOWN_RESPONSES = 24


def histogram(values: NDArray[np.floating], label: str) -> Figure:
    """Plot the histogram of figures of faces, with the mean."""
    figure, (axes,) = panels(1, width=4.6, height=2.8)
    axes.hist(values, bins=40, color=COLOURS[0])
    axes.axvline(float(np.mean(values)), color=COLOURS[3])
    axes.set_title(f"mean {np.mean(values):.3g}, median {np.median(values):.3g}")
    axes.set_xlabel(label)
    axes.set_ylabel("faces")
    return figure


def curves(log: Curves, rows: Sequence[tuple[str, str]]) -> Figure | None:
    """Plot each (key, label) of a run's log over its epochs; None where none was logged."""
    present = [(key, label) for key, label in rows if key in log and not np.isnan(log[key]).all()]
    if not present:
        return None
    figure, drawn = panels(len(present), height=2.4)
    for number, (axes, (key, label)) in enumerate(zip(drawn, present, strict=True)):
        known = ~np.isnan(log[key])
        axes.plot(log["epoch"][known], log[key][known], color=COLOURS[number])
        axes.set_ylabel(label)
        epochs_axis(axes)
    return figure


def segmentations(predictions: DepthPredictions, chosen: Sequence[int]) -> Figure:
    """Draw photo, true classes and stage I's, one column for each chosen face."""
    known = np.where(
        predictions.face,
        NEAREST_MM + STEP_MM * np.floor((predictions.truth_mm - NEAREST_MM) / STEP_MM),
        np.nan,
    )
    predicted = np.where(predictions.classes > 0, NEAREST_MM + STEP_MM * (predictions.classes - 1), np.nan)
    rows = [
        [predictions.crops[index] for index in chosen],
        [map_image(known[index]) for index in chosen],
        [map_image(predicted[index]) for index in chosen],
    ]
    titles = [f"{100 * (1 - predictions.top1[index]):.0f} % wrong" for index in chosen]
    return grid(rows, ("photo", "truth", "stage I"), titles)


def regressions(predictions: DepthPredictions, chosen: Sequence[int]) -> Figure:
    """Draw photo, predicted and true depth as maps and as surfaces, one column for each chosen face."""
    predicted = np.where(predictions.face, predictions.second_mm, np.nan)
    rows = [
        [predictions.crops[index] for index in chosen],
        [map_image(predicted[index]) for index in chosen],
        [map_image(predictions.truth_mm[index]) for index in chosen],
        [rotated_surface(predicted[index]) for index in chosen],
        [rotated_surface(predictions.truth_mm[index]) for index in chosen],
    ]
    error = predictions.means_mm("second")
    titles = [f"{error[index]:.2f} mm" for index in chosen]
    return grid(rows, ("photo", "stage II", "truth", "stage II", "truth"), titles)


def models(predictions: DepthPredictions, chosen: Sequence[int], yaw_deg: float = 35) -> Figure:
    """Draw the predicted and the true surface, rotated, and the error as colour on the predicted one."""
    predicted = np.where(predictions.face, predictions.second_mm, np.nan)
    errors = predictions.errors_mm("second")
    rows = [
        [rotated_surface(predicted[index], yaw_deg) for index in chosen],
        [rotated_surface(predictions.truth_mm[index], yaw_deg) for index in chosen],
        [rotated_surface(predicted[index], yaw_deg, error_image(errors[index]) / 255) for index in chosen],
    ]
    return grid(rows, ("stage II", "truth", "error, ±6 mm"))


def filters(net: DepthClasses) -> Figure:
    """Draw the last layer's weights: a row for each class, a column for each input channel."""
    weights = net.classify.weight[:, :, 0, 0].detach().numpy()
    figure, (axes,) = panels(1, width=5.2, height=4.2)
    limit = float(np.abs(weights).max())
    image = axes.imshow(weights, cmap="coolwarm", vmin=-limit, vmax=limit, aspect="auto")
    axes.set_xlabel("channel")
    axes.set_ylabel("class")
    axes.grid(False)
    figure.colorbar(image, ax=axes)
    return figure


def responses(net: DepthClasses, crop: Image) -> Figure:
    """Draw the last layer's logits for one photo, for evenly spaced classes."""
    image = torch.from_numpy(crop).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        logits = net(image)[0].numpy()
    chosen = np.linspace(0, CLASSES - 1, SHOWN_RESPONSES).astype(int)
    figure, axes = panels(8, 3, height=1.1)
    for each, number in zip(axes, chosen, strict=True):
        each.imshow(logits[number], cmap="viridis")
        _bare(each)
        low = NEAREST_MM + STEP_MM * (number - 1)
        each.set_title("no face" if number == 0 else f"{low:.0f} mm", fontsize=6)
    return figure


def grid(rows: Sequence[Sequence[Image]], names: Sequence[str], titles: Sequence[str] = ()) -> Figure:
    """Images in rows with names, and titles over the columns."""
    columns = len(rows[0])
    figure, axes = panels(columns, len(rows), width=1.5 * columns + 0.6, height=1.5)
    for number, (each, image) in enumerate(zip(axes, (shown for row in rows for shown in row), strict=True)):
        each.imshow(image)
        _bare(each)
        if number % columns == 0:
            each.set_ylabel(names[number // columns])
        if number < len(titles):
            each.set_title(titles[number], fontsize=7)
    return figure


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
