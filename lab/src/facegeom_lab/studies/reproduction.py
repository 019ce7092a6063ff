"""The published experiments on the data pack, at the published schedule and a smaller image size.

Every row is a run of its own (``facegeom lab train``, then ``facegeom lab evaluate``) in its own process. A
finished row is not repeated, an interrupted one is resumed from its last checkpoint.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from tqdm import tqdm

from facegeom.errors import FacegeomError, InputError
from facegeom_lab.evaluation.run import RESULT
from facegeom_lab.training import recipes
from facegeom_lab.training.loop import BEST

SIZE_PX = 96
BACKBONE: dict[str, object] = {
    "size_px": SIZE_PX,
    "epochs": 16,
    "samples_per_epoch": 4096,
    "batch": 16,
}
LANDMARKS: dict[str, object] = {"size_px": SIZE_PX, "max_epochs": 40}
"""Warm-up, learning rate and patience are the recipe's, the published ones; about 60,000 samples a row."""
MESH_BACKBONE = BACKBONE | {"epochs": 30, "learning_rate": 0.001, "statistics_share": 0.25}
"""Longer, for this backbone is frozen afterwards: only a small head is trained on it."""
MESH: dict[str, object] = {"size_px": 128, "frames_per_picture": 1, "max_epochs": 25}
DENSE_CONVOLUTIONS = ("resnet18", "efficientnetv2b0")
"""Backbones that bfloat16 speeds up on a CPU; it slows down those of depthwise convolutions."""
UNSTABLE = ("mobilenetv2", "efficientnetb0", "mobilevit")
"""Backbones that need frozen batch normalisation in the second half; see ``training/tasks/backbone.py``."""


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        name: of its folder.
        recipe: to train.
        overrides: values of the recipe that differ here.
        backbone_run: name of the run whose backbone it starts from; empty for none.
        evaluated: whether it is measured; backbones are not.
    """

    name: str
    recipe: str
    overrides: Mapping[str, object] = field(default_factory=dict)
    backbone_run: str = ""
    evaluated: bool = True

    def done(self, out: Path) -> bool:
        """Return whether the run is finished."""
        folder = out / self.name
        return (folder / (RESULT if self.evaluated else f"{BEST}.done")).exists()


def jobs() -> list[Job]:
    """Return all runs, backbones before the rows that start from them."""
    rows = [name for name in recipes.names() if recipes.kind(name) == "landmarks"]
    backbones = dict.fromkeys(_backbone(name) for name in rows)
    return [
        _backbone_job("efficientnetv2b0", "frame", MESH_BACKBONE),
        *(_backbone_job(backbone, "close", BACKBONE) for backbone in backbones),
        *(_landmarks_job(name, _backbone(name)) for name in rows),
        Job("mesh478-efficientnetv2b0", "mesh478-efficientnetv2b0", MESH, "body-efficientnetv2b0"),
        Job("dlib68", "dlib68"),
    ]


def _backbone(recipe: str) -> str:
    return recipe.split("-")[1]


def _precision(backbone: str) -> dict[str, object]:
    return {"precision": "bf16-mixed" if backbone in DENSE_CONVOLUTIONS else "32-true"}


def _backbone_job(backbone: str, view: str, scale: Mapping[str, object]) -> Job:
    fixed = {"statistics_share": 0.5} if backbone in UNSTABLE else {}
    settings = {"backbone": backbone, "view": view, **_precision(backbone), **fixed, **scale}
    return Job(f"body-{backbone}", "body", settings, evaluated=False)


def _landmarks_job(recipe: str, backbone: str) -> Job:
    backbone_run = "" if recipe.endswith("not-pretrained") else f"body-{backbone}"
    return Job(recipe, recipe, LANDMARKS | _precision(backbone), backbone_run)


def reproduce(data: Path, labels: Path, out: Path, only: Sequence[str] = (), processes: int = 2) -> list[str]:
    """Run the unfinished rows, several at once; return the names of the finished rows.

    Args:
        data: the data pack.
        labels: mesh labels.
        out: folder of the runs.
        only: shell patterns of runs; the backbones that they need are added.
        processes: rows at once, each with one thread, which is fastest on a CPU.

    Raises:
        InputError: a pattern that matches no run.
        FacegeomError: a run has failed; its output is in its ``run.log``.
    """
    chosen = select(jobs(), only)
    run_jobs(chosen, lambda job: run(job, data, labels, out), out, processes)
    return [job.name for job in chosen]


def run_jobs(chosen: Sequence[Job], start: Callable[[Job], None], out: Path, processes: int) -> None:
    """Run the jobs that are not finished in ``out``, at most ``processes`` at once, with a progress bar."""
    left = [job for job in chosen if not job.done(out)]
    with tqdm(total=len(chosen), initial=len(chosen) - len(left), desc="runs") as bar:
        _run_all(left, start, processes, bar)


def select(everything: Sequence[Job], only: Sequence[str]) -> list[Job]:
    """Return the jobs that match a pattern, and the backbones they start from; all without patterns."""
    wanted = {job.name for job in everything if not only or any(fnmatch(job.name, each) for each in only)}
    if not wanted:
        raise InputError(
            f"no run matches {', '.join(only)}; there are {', '.join(job.name for job in everything)}"
        )
    wanted |= {job.backbone_run for job in everything if job.name in wanted}
    return [job for job in everything if job.name in wanted]


def _run_all(left: list[Job], start: Callable[[Job], None], processes: int, bar: "tqdm[None]") -> None:
    running: dict[Future[None], Job] = {}
    with ThreadPoolExecutor(processes) as pool:
        while left or running:
            for job in [job for job in left if _ready(job, [*left, *running.values()])]:
                if len(running) < processes:
                    running[pool.submit(start, job)] = job
                    left.remove(job)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                running.pop(future)
                future.result()
                bar.update()


def _ready(job: Job, unfinished: Sequence[Job]) -> bool:
    return job.backbone_run not in {other.name for other in unfinished}


def run(job: Job, data: Path, labels: Path, out: Path) -> None:
    """Train and measure one row by the command line; its output goes to ``run.log``."""
    folder = out / job.name
    folder.mkdir(parents=True, exist_ok=True)
    settings = dict(job.overrides)
    if job.backbone_run:
        settings["pretrained"] = str(out / job.backbone_run / BEST)
    given = ["--data", str(data), "--labels", str(labels), "--workers", "0"]
    values = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    _call(["train", job.recipe, "-o", str(folder), *given, *values], folder)
    if job.evaluated:
        _call(["evaluate", str(folder), *given], folder)
    else:
        (folder / f"{BEST}.done").touch()


def _call(words: list[str], folder: Path) -> None:
    log = folder / "run.log"
    with log.open("ab") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "facegeom", "lab", *words],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    if done.returncode != 0:
        raise FacegeomError(
            f"facegeom lab {' '.join(words)} failed with exit code {done.returncode}; see {log}"
        )
