"""Runs of the studies as jobs: each in its own process, resumable, several at once, with their hours."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from tqdm import tqdm

from facegeom.errors import FacegeomError, InputError
from facegeom.export.files import write
from facegeom_lab.evaluation.run import RECIPE, RESULT
from facegeom_lab.training.loop import BEST

DONE = "job.done"
KEPT = (RECIPE, RESULT, "errors_*.json", "log/version_*/metrics.csv")
"""Files of a run that reports read."""
REFERENCE_SECONDS = 0.45
"""Processor time of :func:`step_seconds` where ``Job.hours`` were measured: a busy Xeon of 2 GHz."""


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        name: of its folder.
        recipe: to train; empty for a ``command``.
        overrides: values of the recipe that differ here.
        backbone_run: name of the run whose backbone it starts from; empty for none.
        needs: names of other runs that come before it.
        places: options of the commands that name results of other runs, by paths below the folder of all
            runs: ``{"data": "poses"}`` is ``--data RUNS/poses``.
        tested: like ``places``, where the evaluation reads another folder than the training.
        command: words of a `facegeom lab` command in place of a training; ``{data}``, ``{labels}`` and
            ``{out}`` stand for the pack, the labels and the folder of all runs.
        evaluated: whether a training is measured.
        hours: it takes on one core of the reference machine.
    """

    name: str
    recipe: str = ""
    overrides: Mapping[str, object] = field(default_factory=dict)
    backbone_run: str = ""
    needs: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    tested: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    evaluated: bool = True
    hours: float = 0.0

    @property
    def before(self) -> set[str]:
        """Names of the runs that it needs."""
        return {*self.needs, *([self.backbone_run] if self.backbone_run else [])}

    @property
    def measured(self) -> bool:
        """Whether it is a training whose figures count."""
        return bool(self.recipe) and self.evaluated

    def done(self, out: Path) -> bool:
        """Return whether the run is finished."""
        return (out / self.name / (RESULT if self.measured else DONE)).exists()


def keep(job: Job, out: Path, kept: Path) -> None:
    """Copy the small files of a measured training, all that the reports read, to ``kept/NAME``."""
    for pattern in KEPT if job.measured else ():
        for file in sorted((out / job.name).glob(pattern)):
            write(kept / file.relative_to(out), file.read_bytes())


def restore(everything: Sequence[Job], out: Path, kept: Path) -> None:
    """Copy what :func:`keep` kept back to ``out``, where no unfinished run needs the network itself."""
    for job in reversed(everything):
        needed = any(job.name in other.before and not other.done(out) for other in everything)
        if not needed and not job.done(out) and (kept / job.name / RESULT).is_file():
            for file in sorted(path for path in (kept / job.name).rglob("*") if path.is_file()):
                write(out / file.relative_to(kept), file.read_bytes())


def forgotten(before: Sequence[Job], after: Sequence[Job], out: Path) -> list[Job]:
    """Return the runs that unfinished ones of ``after`` start from and of which only figures are left.

    Their results are removed, so that they count as unfinished.
    """
    wanted = {job.backbone_run for job in after if not job.done(out)}
    found = [job for job in before if job.name in wanted and not (out / job.name / BEST).is_file()]
    for job in found:
        (out / job.name / RESULT).unlink(missing_ok=True)
    return found


def select(everything: Sequence[Job], only: Sequence[str]) -> list[Job]:
    """Return the jobs that match a pattern, and all that they need; all without patterns.

    Raises:
        InputError: nothing matches.
    """
    wanted = {job.name for job in everything if not only or any(fnmatch(job.name, each) for each in only)}
    if not wanted:
        raise InputError(
            f"no run matches {', '.join(only)}; there are {', '.join(job.name for job in everything)}"
        )
    for job in reversed(everything):  # what is needed comes first in the list
        if job.name in wanted:
            wanted |= job.before
    return [job for job in everything if job.name in wanted]


def run_jobs(chosen: Sequence[Job], start: Callable[[Job], None], out: Path, processes: int) -> None:
    """Run the jobs that are not finished in ``out``, at most ``processes`` at once, with a progress bar."""
    left = [job for job in chosen if not job.done(out)]
    with tqdm(total=len(chosen), initial=len(chosen) - len(left), desc="runs") as bar:
        _run_all(left, start, processes, bar)


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
    return not job.before & {other.name for other in unfinished}


def run(job: Job, data: Path, labels: Path, out: Path) -> None:
    """Run one job by the command line; its output goes to ``run.log``."""
    folder = out / job.name
    folder.mkdir(parents=True, exist_ok=True)
    if job.command:
        _call([word.format(data=data, labels=labels, out=out) for word in job.command], folder)
        (folder / DONE).touch()
        return
    settings = dict(job.overrides)
    if job.backbone_run:
        settings["pretrained"] = str(out / job.backbone_run / BEST)
    options = {"data": str(data), "labels": str(labels), "workers": "0"}
    given = _options(options, job.places, out)
    values = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    _call(["train", job.recipe, "-o", str(folder), *given, *values], folder)
    if job.evaluated:
        places = {**job.places, **job.tested}
        _call(["evaluate", str(folder), *_options(options, places, out)], folder)
    else:
        (folder / DONE).touch()


def _options(options: Mapping[str, str], places: Mapping[str, str], out: Path) -> list[str]:
    every = {**options, **{name: str(out / place) for name, place in places.items()}}
    return [word for name, value in every.items() for word in (f"--{name}", value)]


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


def plan_text(chosen: Sequence[Job], out: Path, processes: int, slower: float) -> str:
    """Return what is left, one line for a job, and the hours that all will take.

    Args:
        chosen: the jobs.
        out: folder of the runs.
        processes: jobs at once.
        slower: :func:`slowness` of this machine.
    """
    left = [job for job in chosen if not job.done(out)]
    if not left:
        return f"all {len(chosen)} runs are finished"
    lines = [f"  {slower * job.hours:6.1f}  {job.name}" for job in left]
    hours = slower * max(sum(job.hours for job in left) / processes, _longest(left))
    first = f"{len(left)} of {len(chosen)} runs are left; about {hours:.1f} hours with {processes} at once:"
    return "\n".join([first, " hours  run", *lines])


def _longest(left: Iterable[Job]) -> float:
    """Return the hours of the longest chain of jobs that need one another."""
    ends: dict[str, float] = {}
    for job in left:
        ends[job.name] = job.hours + max((ends.get(name, 0.0) for name in job.before), default=0.0)
    return max(ends.values())


def slowness() -> float:
    """Return how many times longer this machine takes than the reference, by a few steps of a training."""
    return step_seconds() / REFERENCE_SECONDS


def step_seconds(steps: int = 3) -> float:
    """Return the least processor time of a training step: ResNet18, 96 px, 16 images, float32, one thread."""
    import torch

    from facegeom_lab.networks import backbones

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        net = backbones.create("resnet18", 136).to(memory_format=torch.channels_last)
        images = torch.rand(16, 3, 96, 96).contiguous(memory_format=torch.channels_last)
        times = []
        for _ in range(steps + 1):
            start = time.thread_time()
            net(images).square().mean().backward()
            times.append(time.thread_time() - start)
        return min(times[1:])
    finally:
        torch.set_num_threads(threads)
