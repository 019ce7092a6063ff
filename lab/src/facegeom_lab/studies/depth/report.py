"""The page of the two depth networks: figures of their errors, trainings and filters."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from facegeom.export.files import write
from facegeom_lab.evaluation.run import read_metrics
from facegeom_lab.networks.depth import DepthClasses
from facegeom_lab.studies.depth import figures
from facegeom_lab.studies.depth.predictions import DepthPredictions, predict, stage_one, stage_two
from facegeom_lab.studies.reports.style import render
from facegeom_lab.training.tasks.depth import val_crops

FILE, FIGURES = "depth.md", "figures"
ENDS = 4
"""Number of best, and of worst, faces shown."""

STAGE_ONE_CURVES = (("train/loss", "loss"), ("val/top1", "top-1"), ("val/top3", "top-3"))
STAGE_TWO_CURVES = (
    ("train/loss", "loss"),
    ("val/mae_mm_aligned", "error, aligned, mm"),
    ("val/mae_mm", "error, mm"),
)

_INTRODUCTION = """\
# Depth

Two stages: depth in classes of 4 mm by segmentation, then millimetres by regression. {faces} crops of people
not trained on, rendered heads and photos with a fitted model, placed by the true mesh. Stage I: top-1
{top1:.1f} %, top-3 {top3:.1f} % of the face's pixels. Mean absolute error with means aligned: stage I
{first:.2f} mm, stage II {second:.2f} mm."""


def report(first_run: Path, second_run: Path, rendered: Path, out: Path, count: int = 400) -> Path:
    """Write ``out/depth.md`` and its figures.

    Args:
        first_run: finished run of ``depth1``.
        second_run: finished run of ``depth2``.
        rendered: folder of the shards; those of ``val`` are used.
        out: folder to write into.
        count: crops to predict.

    Returns:
        The Markdown file.

    Raises:
        InputError: a run or the shards are missing.
        OutputError: the folder cannot be written.
    """
    net = stage_one(first_run)
    predictions = predict(net, stage_two(second_run), val_crops(rendered), count)
    blocks = [_introduction(predictions), *_sections(predictions, net, first_run, second_run, out / FIGURES)]
    write(out / FILE, ("\n\n".join(blocks) + "\n").encode())
    return out / FILE


def _introduction(predictions: DepthPredictions) -> str:
    return _INTRODUCTION.format(
        faces=len(predictions.top1),
        top1=100 * predictions.top1.mean(),
        top3=100 * predictions.top3.mean(),
        first=predictions.means_mm("first").mean(),
        second=predictions.means_mm("second").mean(),
    )


def _sections(
    predictions: DepthPredictions, net: DepthClasses, first_run: Path, second_run: Path, folder: Path
) -> Iterator[str]:
    by_class, by_error = np.argsort(-predictions.top1), np.argsort(predictions.means_mm("second"))
    middle = [int(by_error[0]), int(by_error[len(by_error) // 2]), int(by_error[-1])]
    logs = read_metrics(first_run), read_metrics(second_run)
    wrong = partial(figures.histogram, 100 * (1 - predictions.top1), "pixels of the face in a wrong class, %")
    error = partial(figures.histogram, predictions.means_mm("second"), "mean absolute error, mm")
    drawn: tuple[tuple[str, str, Callable[[], Figure | None]], ...] = (
        ("05-histogram-classes", "Stage I: wrong classes", wrong),
        ("06-curves-classes", "Stage I: training", partial(figures.curves, logs[0], STAGE_ONE_CURVES)),
        (
            "07-best-classes",
            "Stage I: four best",
            partial(figures.segmentations, predictions, by_class[:ENDS].tolist()),
        ),
        (
            "08-worst-classes",
            "Stage I: four worst",
            partial(figures.segmentations, predictions, by_class[-ENDS:].tolist()),
        ),
        ("09-filters", "Stage I: filters of the last layer", partial(figures.filters, net)),
        (
            "10-responses",
            "Stage I: responses of the last layer",
            partial(figures.responses, net, predictions.crops[middle[1]]),
        ),
        ("11-histogram-depth", "Stage II: errors", error),
        ("12-curves-depth", "Stage II: training", partial(figures.curves, logs[1], STAGE_TWO_CURVES)),
        ("13-depth", "Stage II: best, middle and worst", partial(figures.regressions, predictions, middle)),
        (
            "14-models",
            "The found model, the true one, the error as colour",
            partial(figures.models, predictions, middle),
        ),
    )
    for name, caption, draw in drawn:
        if render(draw, folder, name):
            yield f"[![{caption}]({FIGURES}/{name}.png)]({FIGURES}/{name}.svg)\n\n*{caption}*"
        else:
            yield f"*{caption}*: not logged."
