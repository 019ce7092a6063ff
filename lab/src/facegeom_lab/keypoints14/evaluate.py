"""The task's own measure of answers, its marks, and the files that a report reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facegeom.errors import InputError
from facegeom.image import reading
from facegeom_lab.evaluation.cost import cost
from facegeom_lab.evaluation.points import error_100x100
from facegeom_lab.evaluation.run import (
    RESULT,
    Predictions,
    read_result,
    write_predictions,
    write_result,
)
from facegeom_lab.keypoints14.weights import load_effort, load_network

MARKS = ((20, 2), (18, 3), (16, 4), (14, 5), (12, 6), (10, 7), (8, 8), (6, 9), (5, 10))
"""Largest error of each mark."""

RECIPE = "keypoints14"


def compare(answers: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray], folder: Path) -> Predictions:
    """Answers beside the truth, for every picture that has one; both 28 numbers by file name.

    Raises:
        InputError: no truth, or a picture without an answer.
        ImageError: a picture cannot be read.
    """
    missing = [name for name in truth if name not in answers or not np.isfinite(answers[name]).all()]
    if missing or not truth:
        raise InputError(
            f"expected an answer for each of the {len(truth)} pictures with true points, "
            f"{len(missing)} have none: {', '.join(missing[:3])}"
        )
    sizes = [reading.read(folder / name).shape[1::-1] for name in truth]
    predicted = np.stack([np.reshape(answers[name], (-1, 2)) for name in truth])
    true = np.stack([np.reshape(points, (-1, 2)) for points in truth.values()])
    return Predictions(np.array(list(truth)), predicted, true, np.array(sizes), "facepoints14")


def error_of(compared: Predictions) -> float:
    """Mean squared error of the annotated coordinates, every picture scaled to 100 x 100."""
    return error_100x100(compared.predicted, compared.truth, compared.sizes_wh)


def mark(error: float) -> int:
    """The task's mark of an error: 10 up to 5, … 2 up to 20, 0 beyond."""
    return max((points for largest, points in MARKS if error <= largest), default=0)


def write_run(run: Path, name: str, compared: Predictions, model: Path | None = None) -> dict[str, Any]:
    """Write ``predictions_NAME.npz`` and add the error to ``result.json`` of a run folder.

    Args:
        run: the folder; what its result says of other sets of pictures stays.
        name: of the set of pictures, as in ``error_100x100_NAME``.
        compared: answers and truth.
        model: the network's file, to measure what it costs; None to leave that out.

    Returns:
        All that the result says.

    Raises:
        InputError: the result that is there is damaged; the model cannot be loaded.
        OutputError: the folder cannot be written.
    """
    before = read_result(run) if (run / RESULT).is_file() else {}
    figures = {**before, "recipe": RECIPE, f"error_100x100_{name}": error_of(compared)}
    figures |= model_cost(model) if model else {}
    write_predictions(run, name, compared)
    write_result(run, figures)
    return figures


def model_cost(model: Path) -> dict[str, Any]:
    """What the network costs, and what its training took."""
    net = load_network(model)
    side = int(net.input_px)
    return {**vars(cost(net, torch.zeros(1, 3, side, side))), **vars(load_effort(model))}
