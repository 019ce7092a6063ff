"""Finished runs and their figures, read from their folders."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from facegeom.errors import InputError
from facegeom_lab.datasets.schemes import SCHEMES
from facegeom_lab.evaluation import points
from facegeom_lab.evaluation.run import (
    RESULT,
    predictions_file,
    read_metrics,
    read_predictions,
    read_result,
)

MESH, KEYPOINTS, TREES, HEATMAP = "mesh478-efficientnetv2b0", "keypoints14", "dlib68", "heatmap68"
LOSSES = ("mse", "wing")
ABLATED = "mobilenetv3"
NME_EYES, NME_PUPILS = "nme_interocular", "nme_interpupil"


def network_run(network: str, loss: str) -> str:
    """Return the name of the run that trains a network of the landmarks study with a loss."""
    return f"landmarks106-{network}-{loss}"


def ablation_run(ablation: str) -> str:
    """Return the name of the run of an ablation of the training of MobileNetV3-Large."""
    return f"{network_run(ABLATED, 'mse')}-{ablation}"


@dataclass(frozen=True, eq=False)
class Run:
    """One run, finished or missing.

    Attributes:
        name: of its recipe.
        folder: of its files.
        result: content of ``result.json``; empty if there is no such run.
    """

    name: str
    folder: Path
    result: dict[str, Any]

    @property
    def finished(self) -> bool:
        """Whether it was measured."""
        return bool(self.result)

    def figure(self, key: str, split: str = "test") -> float | None:
        """Return a figure of the split, else that of the whole run, else None."""
        value = self.result.get(split, {}).get(key, self.result.get(key))
        return None if value is None else float(value)

    def regions(self, split: str = "test") -> dict[str, float]:
        """Return the errors by region of the face; empty if not measured."""
        measured = self.result.get(split, self.result).get("regions", {})
        return {name: error for name, error in measured.items() if error is not None}

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """Learning curves, see ``evaluation.run.read_metrics``; empty if nothing was logged."""
        return read_metrics(self.folder) if self.finished else {}

    def face_errors(self, normaliser: str, split: str = "test") -> dict[str, float] | None:
        """Return the errors of the split's faces by name; None if the run kept no predictions.

        Args:
            normaliser: one of ``facegeom_lab.evaluation.points.NORMALISERS`` that the scheme has.
            split: of the faces.
        """
        if not self.finished or not predictions_file(self.folder, split).is_file():
            return None
        stored = read_predictions(self.folder, split)
        scale = points.scales(stored.truth, SCHEMES[stored.scheme])[normaliser]
        errors = points.face_errors(stored.predicted, stored.truth, scale)
        return dict(zip(stored.files.tolist(), errors.tolist(), strict=True))


@dataclass(frozen=True)
class Runs:
    """The runs of the given folders.

    Attributes:
        finished: runs by name.
        unfinished: folder names of the runs without a result.
    """

    finished: dict[str, Run]
    unfinished: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Run:
        """Return the run of a name, or one without figures if it is missing."""
        return self.finished.get(name, Run(name, Path(), {}))


def collect(paths: Sequence[Path]) -> Runs:
    """Collect the runs in folders: each a run itself, or a folder of runs.

    Raises:
        InputError: no such folder, no run in any, two runs of one recipe, or a damaged result.
    """
    folders = [folder for path in paths for folder in _run_folders(path)]
    if not folders:
        listed = ", ".join(map(str, paths))
        raise InputError(f"expected run folders of `facegeom lab train`, found none in {listed}")
    finished: dict[str, Run] = {}
    for folder in folders:
        if (folder / RESULT).is_file():
            run = _read(folder)
            if run.name in finished:
                raise InputError(f"{run.name} was given twice: {finished[run.name].folder} and {folder}")
            finished[run.name] = run
    unfinished = {folder.name for folder in folders} - {run.folder.name for run in finished.values()}
    return Runs(finished, tuple(sorted(unfinished)))


def _run_folders(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        raise InputError(f"expected a folder of runs, got {path}")
    if _is_run(path):
        return [path]
    return sorted(folder for folder in path.iterdir() if folder.is_dir() and _is_run(folder))


def _is_run(folder: Path) -> bool:
    return (folder / RESULT).is_file() or (folder / "recipe.yaml").is_file()


def _read(folder: Path) -> Run:
    result = read_result(folder)
    return Run(str(result.get("recipe", folder.name)), folder, result)
