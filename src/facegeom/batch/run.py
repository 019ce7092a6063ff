"""A run from start to end: list the photos, see what is done, have the rest done, say what there is."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias

from facegeom.analyzer import FaceAnalyzer
from facegeom.batch import local, manifest, ray_engine
from facegeom.batch.inventory import Inventory, Job, take_inventory
from facegeom.batch.lock import locked
from facegeom.batch.parts import Parts
from facegeom.batch.photo import Photo
from facegeom.batch.rows import Counts, count_of
from facegeom.batch.shards import Columns
from facegeom.batch.sources import list_photos
from facegeom.batch.work import Settings
from facegeom.errors import InputError
from facegeom.export.files import make_folder
from facegeom.models import weights

PART_SIZE = 128
_NETWORKS = ("pnet", "rnet", "face")
_TELL_EVERY = 1000

EngineName: TypeAlias = Literal["local", "ray"]
Source: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        done: photos, faces and errors of the parts that are there.
        photos: of the whole run; of those listed so far while ``listing``.
        earlier: photos that were done before.
        seconds: since the work began.
        listing: whether the photos are still being listed.
    """

    done: Counts = field(default_factory=Counts)
    photos: int = 0
    earlier: int = 0
    seconds: float = 0.0
    listing: bool = False

    @property
    def photos_per_second(self) -> float:
        """Of this time alone, without what was done before."""
        return (self.done.photos - self.earlier) / self.seconds if self.seconds else 0.0


Listener: TypeAlias = Callable[[Progress], object]


@dataclass(frozen=True)
class Crew:
    """Who works.

    Attributes:
        engine: "local" or "ray".
        workers: processes; None for one on each core, or a single one with a GPU.
        gpus_per_worker: share of a GPU that Ray gives to each worker, for the device "cuda".

    Raises:
        InputError: a value out of its range.
    """

    engine: EngineName = "local"
    workers: int | None = None
    gpus_per_worker: float = 1.0

    def __post_init__(self) -> None:
        if self.engine not in ("local", "ray"):
            raise InputError(f"engine: expected 'local' or 'ray', got {self.engine!r}")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"workers: expected at least 1, got {self.workers!r}")
        if not self.gpus_per_worker > 0:
            raise InputError(f"gpus_per_worker: expected more than 0, got {self.gpus_per_worker!r}")

    def work(self, jobs: Iterator[Job], settings: Settings) -> Iterator[tuple[int, bytes]]:
        """Numbers and files of the parts, as they get ready."""
        workers = self.workers or (1 if settings.device == "cuda" else _cores())
        if self.engine == "ray":
            return ray_engine.run(jobs, settings, workers, self.gpus_per_worker)
        return local.run(jobs, settings, workers)


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        sources: paths, globs and URLs; see :func:`facegeom.batch.sources.list_photos`.
        out: folder of the run.
        columns: of Parquet sources.
        settings: of the workers.
        part_size: photos of a part; None for that of the run that goes on, else ``PART_SIZE``.
    """

    sources: Sequence[Source]
    out: Path
    columns: Columns = field(default_factory=Columns)
    settings: Settings = field(default_factory=Settings)
    part_size: int | None = None

    def made_with(self, part_size: int) -> dict[str, Any]:
        """All that the rows depend on but the photos."""
        return {
            "facegeom": version("facegeom"),
            "networks": {name: weights.manifest()[name].sha256 for name in _NETWORKS},
            "device": self.settings.device,
            "mesh": self.settings.mesh,
            "column": self.columns.image,
            "name_column": self.columns.name,
            "part_size": part_size,
            **self.settings.options,
        }


def execute(plan: Plan, crew: Crew, tell: Listener = lambda progress: None) -> Progress:
    """Begin a run, or go on with it.

    Args:
        plan: what is to be done.
        crew: who does it; may change when the run goes on.
        tell: called while photos are listed, then with every part that gets ready.

    Raises:
        InputError: wrong options or sources, or not those of the run that is in the folder.
        OutputError: the folder cannot be written.
        WorkerError: workers do not start.
    """
    if not plan.sources:
        raise InputError("expected photos, folders, shards or URLs, got none")
    FaceAnalyzer(threads=1, **plan.settings.options)  # so that a wrong option is told before the listing
    make_folder(plan.out)
    with locked(plan.out):
        inventory, photos = _prepare(plan, tell)
        return _finish(plan, crew, inventory, Progress(photos=photos), tell)


def _prepare(plan: Plan, tell: Listener) -> tuple[Inventory, int]:
    """The list of photos and their number; the list and the options are those of the run that goes on."""
    before = manifest.read(plan.out)
    began_with = before["made_with"] if before else {}
    part_size = plan.part_size or int(began_with.get("part_size", PART_SIZE))
    made_with = plan.made_with(part_size)
    if before:
        manifest.check(before, made_with, plan.out)
    elif Parts(plan.out).exist():
        raise InputError(f"{str(plan.out)!r} has parts, but no {manifest.FILE}; use another output folder")
    listed = list_photos(plan.sources, plan.columns, leave_out=plan.out.resolve().as_posix())
    old = Inventory(plan.out) if before else None
    photos = take_inventory(_told(listed, tell), plan.out, part_size, old)
    inventory = Inventory(plan.out)
    if not before:
        found = {"sources": [os.fspath(s) for s in plan.sources], "photos": photos, "parts": len(inventory)}
        manifest.store(plan.out, made_with, found)
    return inventory, photos


def _told(photos: Iterator[Photo], tell: Listener) -> Iterator[Photo]:
    """The photos, counted aloud."""
    for number, photo in enumerate(photos):
        if number % _TELL_EVERY == 0:
            tell(Progress(photos=number, listing=True))
        yield photo


def _finish(plan: Plan, crew: Crew, inventory: Inventory, progress: Progress, tell: Listener) -> Progress:
    """Have every part done that is not there yet."""
    parts = Parts(plan.out)
    parts.clean()
    waiting: list[int] = []
    for part in range(len(inventory)):
        counts = parts.read_counts(part, inventory[part].about)
        waiting += [part] if counts is None else []
        progress = replace(progress, done=progress.done + (counts or Counts()))
    progress = replace(progress, earlier=progress.done.photos)
    tell(progress)
    started = time.perf_counter()
    for part, content in crew.work(map(inventory.__getitem__, waiting), plan.settings) if waiting else ():
        parts.write(part, content)
        done = progress.done + count_of(content)
        progress = replace(progress, done=done, seconds=time.perf_counter() - started)
        tell(progress)
    return progress


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
