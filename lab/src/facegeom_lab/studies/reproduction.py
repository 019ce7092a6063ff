"""The documents' experiments on the data pack, at a scale that a processor with two cores can afford.

Every row is a run of its own (``facegeom lab train``, then ``facegeom lab evaluate``) in its own process. A
finished row is not repeated, an interrupted one goes on from its last checkpoint.
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
from facegeom_lab.training.tasks.loop import BEST

SIZE_PX = 96
SAMPLES_OF_A_BODY: dict[str, object] = {
    "size_px": SIZE_PX,
    "epochs": 8,
    "samples_per_epoch": 4096,
    "batch": 16,
}
LANDMARKS: dict[str, object] = {
    "size_px": SIZE_PX,
    "max_epochs": 6,
    "warmup_epochs": 1,
    "learning_rate": 0.0003,
    "patience": 0,
}
SAMPLES_OF_THE_MESH_BODY = SAMPLES_OF_A_BODY | {
    "epochs": 14,
    "learning_rate": 0.001,
    "statistics_share": 0.25,
}
"""More, for this body is not trained further: only a small head is learned on top of it."""
MESH: dict[str, object] = {"size_px": 128, "frames_per_picture": 1, "max_epochs": 25}
DENSE_CONVOLUTIONS = ("resnet18", "efficientnetv2b0")
"""Bodies that bfloat16 speeds up on a processor; it slows those of depthwise convolutions down."""
EXPLODING = ("mobilenetv2", "efficientnetb0", "mobilevit")
"""Bodies that need fixed statistics in the second half of their training; see ``tasks/body.py``."""


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        name: of its folder.
        recipe: that is trained.
        overrides: values of the recipe that the scale asks for.
        body: name of the run whose body it starts from; empty for none.
        evaluated: whether it is measured; bodies are not.
    """

    name: str
    recipe: str
    overrides: Mapping[str, object] = field(default_factory=dict)
    body: str = ""
    evaluated: bool = True

    def done(self, out: Path) -> bool:
        """Whether nothing is left to do."""
        folder = out / self.name
        return (folder / (RESULT if self.evaluated else f"{BEST}.done")).exists()


def jobs() -> list[Job]:
    """All runs, bodies before what starts from them, the longest first."""
    rows = [name for name in recipes.names() if recipes.kind(name) == "landmarks"]
    bodies = dict.fromkeys(_backbone(name) for name in rows)
    return [
        _body("efficientnetv2b0", "frame", SAMPLES_OF_THE_MESH_BODY),
        *(_body(backbone, "close", SAMPLES_OF_A_BODY) for backbone in bodies),
        *(_row(name, _backbone(name)) for name in rows),
        Job("mesh478-efficientnetv2b0", "mesh478-efficientnetv2b0", MESH, body="body-efficientnetv2b0"),
        Job("dlib68", "dlib68"),
    ]


def _backbone(recipe: str) -> str:
    return recipe.split("-")[1]


def _precision(backbone: str) -> dict[str, object]:
    return {"precision": "bf16-mixed" if backbone in DENSE_CONVOLUTIONS else "32-true"}


def _body(backbone: str, view: str, scale: Mapping[str, object]) -> Job:
    fixed = {"statistics_share": 0.5} if backbone in EXPLODING else {}
    settings = {"backbone": backbone, "view": view, **_precision(backbone), **fixed, **scale}
    return Job(f"body-{backbone}", "body", settings, evaluated=False)


def _row(recipe: str, backbone: str) -> Job:
    settings = LANDMARKS | _precision(backbone)
    if recipe.endswith(("no-warmup", "not-pretrained")):
        settings = {key: value for key, value in settings.items() if key != "warmup_epochs"}
    body = "" if recipe.endswith("not-pretrained") else f"body-{backbone}"
    return Job(recipe, recipe, settings, body)


def reproduce(data: Path, labels: Path, out: Path, only: Sequence[str] = (), processes: int = 2) -> list[str]:
    """Run what is not done yet, several rows at once; the names of the rows that are done.

    Args:
        data: the data pack.
        labels: mesh labels.
        out: folder of the runs.
        only: patterns of the runs wanted, as of a shell; the bodies that they need come along.
        processes: rows at once, each with one thread: on a processor the quickest way.

    Raises:
        InputError: a pattern that fits no run.
        FacegeomError: a run has failed; what it said is in its ``run.log``.
    """
    chosen = select(jobs(), only)
    run_jobs(chosen, lambda job: run(job, data, labels, out), out, processes)
    return [job.name for job in chosen]


def run_jobs(chosen: Sequence[Job], start: Callable[[Job], None], out: Path, processes: int) -> None:
    """Start the jobs that are not done in ``out`` yet, so many at once, with a progress bar."""
    left = [job for job in chosen if not job.done(out)]
    with tqdm(total=len(chosen), initial=len(chosen) - len(left), desc="runs") as bar:
        _run_all(left, start, processes, bar)


def select(everything: Sequence[Job], only: Sequence[str]) -> list[Job]:
    """The jobs that fit a pattern, and the bodies they start from; all without patterns."""
    wanted = {job.name for job in everything if not only or any(fnmatch(job.name, each) for each in only)}
    if not wanted:
        raise InputError(
            f"no run fits {', '.join(only)}; there are {', '.join(job.name for job in everything)}"
        )
    wanted |= {job.body for job in everything if job.name in wanted}
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
    return job.body not in {other.name for other in unfinished}


def run(job: Job, data: Path, labels: Path, out: Path) -> None:
    """Train and measure one row by the commands that a person would type; their words go to ``run.log``."""
    folder = out / job.name
    folder.mkdir(parents=True, exist_ok=True)
    settings = dict(job.overrides)
    if job.body:
        settings["pretrained"] = str(out / job.body / BEST)
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
