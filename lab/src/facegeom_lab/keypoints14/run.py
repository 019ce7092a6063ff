"""The compact task as a recipe: ``facegeom lab train keypoints14`` on the folders of its ``prepare``."""

from pathlib import Path
from typing import Any

from facegeom_lab.evaluation.run import write_predictions
from facegeom_lab.keypoints14.detection import detect
from facegeom_lab.keypoints14.evaluate import compare, error_of, model_cost
from facegeom_lab.keypoints14.recipe import Keypoints14Recipe
from facegeom_lab.keypoints14.table import GT, read_table
from facegeom_lab.keypoints14.train import MODEL, train_detector
from facegeom_lab.training.trainers import Inputs

IMAGES = "images"
MEASURED = ("val", "afw")

__all__ = ["Keypoints14Recipe", "evaluate", "train"]


def train(recipe: Keypoints14Recipe, inputs: Inputs) -> Path:
    """Train on ``train`` of the folder ``inputs.data``; the network's file."""
    folder, model = inputs.data / "train", inputs.out / MODEL
    train_detector(folder / GT, folder / IMAGES, out=model, recipe=recipe, workers=inputs.workers)
    return model


def evaluate(recipe: Keypoints14Recipe, inputs: Inputs) -> dict[str, Any]:
    """Measure the network on ``val`` and ``afw`` of the folder ``inputs.data``; keeps the predictions."""
    figures: dict[str, Any] = {}
    for name in MEASURED:
        folder = inputs.data / name
        answers = detect(inputs.out / MODEL, folder / IMAGES)
        compared = compare(answers, read_table(folder / GT), folder / IMAGES)
        write_predictions(inputs.out, name, compared)
        figures[f"error_100x100_{name}"] = error_of(compared)
    return figures | model_cost(inputs.out / MODEL)
