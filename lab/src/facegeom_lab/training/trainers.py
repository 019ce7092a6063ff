"""``facegeom lab train``: which training a recipe is for, and what every training is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from facegeom.errors import InputError
from facegeom_lab.evaluation.run import read_metrics, write_result
from facegeom_lab.training import recipes
from facegeom_lab.training.runs import RECIPE, read_recipe, save_recipe

TRAINERS: dict[str, tuple[str, str]] = {
    "body": ("facegeom_lab.training.tasks.body", "BodyRecipe"),
    "depth1": ("facegeom_lab.training.tasks.depth1", "Depth1Recipe"),
    "depth2": ("facegeom_lab.training.tasks.depth2", "Depth2Recipe"),
    "detector": ("facegeom_lab.training.tasks.detector", "DetectorRecipe"),
    "face": ("facegeom_lab.training.tasks.face", "FaceRecipe"),
    "fpnet": ("facegeom_lab.training.tasks.fpnet", "FPNetRecipe"),
    "heatmap": ("facegeom_lab.training.tasks.heatmap", "HeatmapRecipe"),
    "keypoints14": ("facegeom_lab.keypoints14.run", "Keypoints14Recipe"),
    "landmarks": ("facegeom_lab.training.tasks.landmarks", "LandmarksRecipe"),
    "mesh478": ("facegeom_lab.training.tasks.mesh478", "Mesh478Recipe"),
    "onepass": ("facegeom_lab.training.tasks.onepass", "OnePassRecipe"),
    "sixdrepnet": ("facegeom_lab.training.tasks.sixdrepnet", "SixDRepNetRecipe"),
    "trees": ("facegeom_lab.studies.baselines.trees", "TreesRecipe"),
}
"""Module and recipe type by kind; the module's ``train(recipe, inputs)`` gives a checkpoint or several."""


@dataclass(frozen=True)
class Inputs:
    """What a training is given beside its recipe.

    Attributes:
        data: the root of the data set.
        out: folder of the run.
        dataset: a key of ``lab.datasets.registry.DATASETS``, for the trainings that read any set.
        labels: mesh labels, the file of ``facegeom lab label``.
        rendered: folder of ``facegeom lab synth``; None for none.
        hard_negatives: the file of ``facegeom lab mine``; None for none.
        start: checkpoint that gives the first weights; None for random ones.
        workers: processes that prepare samples.
        processes: training processes, or GPUs.
    """

    data: Path
    out: Path
    dataset: str = "pack"
    labels: Path = Path("runs/labels.npz")
    rendered: Path | None = None
    hard_negatives: Path | None = None
    start: Path | None = None
    workers: int = 2
    processes: int = 1


def train(name: str, inputs: Inputs, overrides: Mapping[str, object] | None = None) -> dict[str, Path]:
    """Train the recipe ``name`` with some of its values replaced; the checkpoints by network.

    Raises:
        InputError: an unknown recipe, key or value; a folder that holds another run; missing data.
    """
    kind = recipes.kind(name)
    module, recipe_type = _trainer(kind)
    recipe: Any = recipes.load(recipe_type, name, **overrides or {})
    save_recipe(inputs.out, name, kind, recipe)
    made = module.train(recipe, inputs)
    return made if isinstance(made, dict) else {name: made}


def evaluate(inputs: Inputs) -> dict[str, Any]:
    """Measure the finished run in ``inputs.out`` and write its ``result.json``.

    Raises:
        InputError: the folder holds no run, one of another version, or one that nothing is measured of.
    """
    values = read_recipe(inputs.out)
    name, kind = values.pop("recipe"), values.pop("kind")
    module, recipe_type = _trainer(kind)
    if not hasattr(module, "evaluate"):
        raise InputError(f"{inputs.out} is a run of {name}; `facegeom bench accuracy` measures what it makes")
    recipe = _of_a_run(recipe_type, values, inputs.out)
    figures = {"recipe": name, **module.evaluate(recipe, inputs), **effort(inputs.out)}
    write_result(inputs.out, figures)
    return figures


def _trainer(kind: str) -> tuple[Any, type]:
    if kind not in TRAINERS:
        raise InputError(f"expected one of the kinds {', '.join(TRAINERS)}, got {kind!r}")
    module_name, type_name = TRAINERS[kind]
    module = import_module(module_name)
    return module, getattr(module, type_name)


def _of_a_run(recipe_type: Any, values: dict[str, Any], run: Path) -> Any:
    known = set(recipe_type.__dataclass_fields__)
    if wrong := sorted(known ^ set(values)):
        raise InputError(
            f"{run / RECIPE} is of another version, which differs in {', '.join(wrong)}; train again"
        )
    return recipe_type(**values)


def effort(out: Path) -> dict[str, Any]:
    """Epochs, seconds and samples of a training so far, by its log."""
    log = read_metrics(out)
    if not log:
        return {}
    return {
        "epochs": len(log["epoch"]),
        "train_seconds": float(np.nansum(log["seconds"])),
        "samples": int(np.nansum(log["samples"])),
    }
