"""Evaluation of the compact task with its own measure and marks; ``facegeom lab train keypoints14``."""

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
from facegeom_lab.keypoints14.data import GT, read_table
from facegeom_lab.keypoints14.detection import detect
from facegeom_lab.keypoints14.network import load_network, load_training_cost
from facegeom_lab.keypoints14.prepare import VARIANTS
from facegeom_lab.keypoints14.task import Keypoints14Recipe
from facegeom_lab.keypoints14.train import MODEL, train_detector
from facegeom_lab.training.trainers import Inputs

MARKS = ((20, 2), (18, 3), (16, 4), (14, 5), (12, 6), (10, 7), (8, 8), (6, 9), (5, 10))
"""Largest error of each mark."""

RECIPE = "keypoints14"
IMAGES = "images"
EVALUATED = ("val", "afw")


def compare(found: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray], folder: Path) -> Predictions:
    """Pair predictions with the ground truth, both 28 numbers by file name.

    Raises:
        InputError: no ground truth, or an image without a prediction.
        ImageError: an image cannot be read.
    """
    missing = [name for name in truth if name not in found or not np.isfinite(found[name]).all()]
    if missing or not truth:
        raise InputError(
            f"expected predictions for each of the {len(truth)} images with true points, "
            f"{len(missing)} have none: {', '.join(missing[:3])}"
        )
    sizes = [reading.read(folder / name).shape[1::-1] for name in truth]
    predicted = np.stack([np.reshape(found[name], (-1, 2)) for name in truth])
    true = np.stack([np.reshape(points, (-1, 2)) for points in truth.values()])
    return Predictions(np.array(list(truth)), predicted, true, np.array(sizes), "facepoints14")


def error_of(compared: Predictions) -> float:
    """Compute the mean squared error of annotated coordinates, every image scaled to 100 x 100."""
    return error_100x100(compared.predicted, compared.truth, compared.sizes_wh)


def mark(error: float) -> int:
    """Return the task's mark for an error: 10 up to 5, … 2 up to 20, 0 beyond."""
    return max((points for largest, points in MARKS if error <= largest), default=0)


def write_run(run: Path, name: str, compared: Predictions, model: Path | None = None) -> dict[str, Any]:
    """Write ``predictions_NAME.npz`` and add the error to ``result.json`` of a run folder.

    Args:
        run: the folder; figures of other sets of images are kept.
        name: name of the set of images, as in ``error_100x100_NAME``.
        compared: predictions and ground truth.
        model: the network's file, to measure its cost; None to skip that.

    Returns:
        All figures of the result.

    Raises:
        InputError: the existing result is damaged; the model cannot be loaded.
        OutputError: the folder cannot be written.
    """
    before = read_result(run) if (run / RESULT).is_file() else {}
    figures = {**before, "recipe": RECIPE, f"error_100x100_{name}": error_of(compared)}
    figures |= model_cost(model) if model else {}
    write_predictions(run, name, compared)
    write_result(run, figures)
    return figures


def model_cost(model: Path) -> dict[str, Any]:
    """Return the cost of the network and of its training."""
    net = load_network(model)
    side = int(net.input_px)
    return {**vars(cost(net, torch.zeros(1, 3, side, side))), **vars(load_training_cost(model))}


def train(recipe: Keypoints14Recipe, inputs: Inputs) -> Path:
    """Train on ``train`` of the folder ``inputs.data``; return the network's file."""
    folder, model = inputs.data / "train", inputs.out / MODEL
    train_detector(folder / GT, folder / IMAGES, out=model, recipe=recipe, workers=inputs.workers)
    return model


def evaluate(recipe: Keypoints14Recipe, inputs: Inputs) -> dict[str, Any]:
    """Evaluate the network on ``val`` and ``afw`` of the folder ``inputs.data``, and their looser crops."""
    figures: dict[str, Any] = {}
    variants = [f"{name}-{variant}" for variant in VARIANTS for name in EVALUATED]
    for name in (*EVALUATED, *variants):
        folder = inputs.data / name
        if name in variants and not (folder / GT).is_file():
            continue  # the course's own folders have none
        found = detect(inputs.out / MODEL, folder / IMAGES)
        compared = compare(found, read_table(folder / GT), folder / IMAGES)
        write_predictions(inputs.out, name, compared)
        figures[f"error_100x100_{name}"] = error_of(compared)
    return figures | model_cost(inputs.out / MODEL)
