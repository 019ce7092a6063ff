"""Finished runs and their figures, read from their folders."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from facegeom.errors import InputError
from facegeom_lab.evaluation.run import (
    RECIPE,
    RESULT,
    errors_file,
    read_metrics,
    read_recipe,
    read_result,
)
from facegeom_lab.training.provenance import KEY

MESH, KEYPOINTS, TREES, HEATMAP = "mesh478-efficientnetv2b0", "keypoints14", "dlib68", "heatmap68"
LOSSES = ("mse", "wing")
WING_UNIT = "wing-unit"
ABLATED, NOTEBOOK = "mobilenetv3", "notebook"
FIRST_SEED = 1
MANY_RUNS = ("body", "fpnet")
NME_EYES, NME_PUPILS = "nme_interocular", "nme_interpupil"


def network_run(network: str, loss: str) -> str:
    """Return the name of the run that trains a network of the landmarks study with a loss."""
    return f"landmarks106-{network}-{loss}"


def ablation_run(ablation: str) -> str:
    """Return the name of the run of an ablation of the training of MobileNetV3-Large."""
    return f"{network_run(ABLATED, 'mse')}-{ablation}"


def with_seed(name: str, seed: int) -> str:
    """Return the name of a run with another seed."""
    return f"{name}-seed{seed}"


@dataclass(frozen=True, eq=False)
class Run:
    """One run, finished or missing.

    Attributes:
        name: of its recipe.
        folder: of its files.
        result: content of ``result.json``; empty if there is no such run.
        others: the same run with other seeds; errors are means over all seeds.
    """

    name: str
    folder: Path
    result: dict[str, Any]
    others: tuple["Run", ...] = ()

    @property
    def finished(self) -> bool:
        """Whether it was measured."""
        return bool(self.result)

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return 1 + len(self.others)

    def first_seed(self) -> "Run":
        """Return the run without its other seeds."""
        return replace(self, others=())

    @property
    def stamp(self) -> dict[str, Any]:
        """Commit, date and hashes; see ``training.provenance``."""
        return self.result.get(KEY, {})

    def figure(self, key: str, split: str = "test") -> float | None:
        """Return a figure of the split, else that of the whole run, else None; the mean over the seeds."""
        values = [run.result.get(split, {}).get(key, run.result.get(key)) for run in (self, *self.others)]
        return None if any(value is None for value in values) else float(np.mean(values))

    def regions(self, split: str = "test") -> dict[str, float]:
        """Return the errors by region of the face; empty if not measured."""
        measured = self.result.get(split, self.result).get("regions", {})
        return {name: error for name, error in measured.items() if error is not None}

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """Learning curves, see ``evaluation.run.read_metrics``; empty if nothing was logged."""
        return read_metrics(self.folder) if self.finished else {}

    def face_errors(self, normaliser: str, split: str = "test") -> dict[str, float] | None:
        """Return the errors of the split's faces by name; None if the run kept none.

        Args:
            normaliser: one of ``facegeom_lab.evaluation.points.NORMALISERS`` that the scheme has.
            split: of the faces.
        """
        file = errors_file(self.folder, split)
        if not self.finished or not file.is_file():
            return None
        own = read_result(self.folder, file.name)[normaliser]
        more = [other.face_errors(normaliser, split) or {} for other in self.others]
        return {
            name: float(np.mean([error, *(each[name] for each in more if name in each)]))
            for name, error in own.items()
        }


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
    finished = _seeds_joined(finished)
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
    """Read a run, named after its recipe and seed, or its folder where a recipe serves many."""
    result = read_result(folder)
    name = str(result.get("recipe", folder.name))
    if name in MANY_RUNS:
        return Run(folder.name, folder, result)
    seed = read_recipe(folder).get("seed", FIRST_SEED) if (folder / RECIPE).is_file() else FIRST_SEED
    return Run(name if seed == FIRST_SEED else with_seed(name, seed), folder, result)


def _seeds_joined(finished: dict[str, Run]) -> dict[str, Run]:
    """Put the runs of further seeds below those of the first."""
    more = {name: run for name, run in finished.items() if name.rpartition("-seed")[0] in finished}
    return {
        name: replace(run, others=tuple(more[key] for key in more if key.rpartition("-seed")[0] == name))
        for name, run in finished.items()
        if name not in more
    }
